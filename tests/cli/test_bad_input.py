"""Every bad input through the command: exit code 2 and one line that says what and the way out."""

import struct
import zlib
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from fewshot.cli.main import main
from tests.fewshot.conftest import disc_scene


@pytest.fixture
def good(tmp_path) -> dict[str, Path]:
    """An image, its mask and a query."""
    image, labels = disc_scene(0)
    paths = {name: tmp_path / f"{name}.png" for name in ("image", "mask", "query")}
    Image.fromarray(image).save(paths["image"])
    Image.fromarray(np.where(labels == 1, 255, 0).astype(np.uint8)).save(paths["mask"])
    Image.fromarray(disc_scene(1)[0]).save(paths["query"])
    return paths


@pytest.fixture
def refused(good, tmp_path, capsys):
    """Run `fewshot segment` with one thing replaced; return what it complains of."""

    def run(*more: str, out: Path | None = None, **replaced: Path) -> str:
        paths = {**good, **replaced}
        target = out or tmp_path / "out"
        code = main(
            [
                *("segment", "--support", str(paths["image"]), "--mask", str(paths["mask"])),
                *("--query", str(paths["query"]), "--out", str(target), *more),
            ]
        )
        said = capsys.readouterr().err
        assert code == 2, said
        assert "Traceback" not in said
        line = next(line for line in said.splitlines() if line.startswith("fewshot: error: "))
        assert not list(target.glob("*.png")) if target.is_dir() else True
        return line

    return run


def test_a_missing_file(refused, tmp_path):
    for name in ("image", "mask", "query"):
        assert "there is no file or folder" in refused(**{name: tmp_path / "nothing.png"})
    assert "there is no file or folder" in refused("--model", str(tmp_path / "nothing"))


def test_a_text_file_named_png(refused, tmp_path):
    path = tmp_path / "notes.png"
    path.write_text("liver, spleen, kidney")
    said = refused(image=path)
    assert "notes.png is not an image" in said
    assert "expected one of .png" in said


def test_a_16_bit_mask_with_unknown_values(refused, tmp_path, good):
    path = tmp_path / "deep.png"
    labels = np.asarray(Image.open(good["mask"])).astype(np.uint16) * 100
    labels[:3] = 777
    Image.fromarray(labels).save(path)
    assert "2 values without names (777, 25500)" in refused(mask=path)
    assert "which nobody named" in refused("--classes", "777=disc", mask=path)


def test_image_and_mask_of_different_size(refused, tmp_path):
    path = tmp_path / "small.png"
    Image.fromarray(np.ones((40, 50), np.uint8)).save(path)
    said = refused(mask=path)
    assert "40 x 50 pixels" in said
    assert "has 96 x 96" in said


def test_an_all_background_mask(refused, tmp_path):
    path = tmp_path / "empty.png"
    Image.fromarray(np.zeros((96, 96), np.uint8)).save(path)
    assert "is all background" in refused(mask=path)


def test_a_png_header_of_20000_squared(refused, tmp_path):
    def chunk(kind: bytes, content: bytes) -> bytes:
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    path = tmp_path / "bomb.png"
    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 0, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )
    said = refused(image=path)
    assert "too large" in said
    assert "at most 80,000,000 pixels" in said


def test_a_nifti_header_of_1e11_voxels(refused, tmp_path):
    path = tmp_path / "huge.nii"
    image = nib.Nifti1Image(np.zeros((2, 2, 2), np.uint8), np.eye(4))
    nib.save(image, path)
    content = bytearray(path.read_bytes())
    content[40:56] = struct.pack("<8h", 3, 10_000, 10_000, 1_000, 1, 1, 1, 1)
    path.write_bytes(content)
    said = refused(query=path)
    assert "100,000,000,000 voxels" in said


def test_an_unwritable_output_folder(refused, tmp_path):
    (tmp_path / "taken").write_text("a file")
    assert "cannot be written" in refused(out=tmp_path / "taken" / "out")
    assert "cannot be written" in refused(out=Path("/proc/fewshot"))


def test_one_bad_query_does_not_stop_the_others(good, tmp_path, capsys):
    folder = tmp_path / "queries"
    folder.mkdir()
    (folder / "broken.png").write_bytes(good["query"].read_bytes()[:200])
    (folder / "fine.png").write_bytes(good["query"].read_bytes())
    arguments = ["segment", "--support", str(good["image"]), "--mask", str(good["mask"])]
    code = main([*arguments, "--query", str(folder), "--out", str(tmp_path / "out")])
    said = capsys.readouterr().err
    assert code == 2
    assert "1 of 2 failed" in said
    assert "broken.png" in said
    assert (tmp_path / "out" / "fine.png").exists()


def test_folders_without_data(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    for arguments, said in (
        (["inspect", str(tmp_path / "nothing")], "there is no file or folder"),
        (["inspect", str(tmp_path / "empty")], "holds no file that can be read"),
        (["train", str(tmp_path / "empty")], "holds no file that can be read"),
        (["evaluate", str(tmp_path / "empty")], "there is no model"),
    ):
        assert (
            main([*arguments, *(["--out", str(tmp_path / "o")] if "train" in arguments else [])])
            == 2
        )
        assert said in capsys.readouterr().err
