"""`fewshot run`: masks, tables and a report; what is stopped goes on, what fails is recorded."""

import csv
import hashlib
import json
import re

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from fewshot.cli.main import main
from tests.fewshot.pipeline.scenes import squares

PIPELINE = """
name: squares
steps:
  - denoise: {method: median}
  - window: {level: 80, width: 160}
  - segment: {support: support.png, mask: support_mask.png, classes: square, predictor: threshold}
  - least-size: {least: 20 px}
  - separate
  - objects
  - classes
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An annotated image, a pipeline, and three images: one empty, one with an odd name."""
    scenes = {"support": ((5, 5), (30, 40)), "in/a": ((0, 20), (40, 10)), "in/empty": ()}
    scenes["in/<script>"] = ((20, 20),)
    (tmp_path / "in").mkdir()
    for name, corners in scenes.items():
        image, labels = squares(*corners)
        Image.fromarray(image).save(tmp_path / f"{name}.png")
        if name == "support":
            Image.fromarray(labels * np.uint8(255)).save(tmp_path / "support_mask.png")
    (tmp_path / "p.yaml").write_text(PIPELINE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def table(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def digests(folder):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.suffix in (".png", ".csv", ".gz", ".yaml") and path.is_file()
    }


def run(*words):
    return main(["run", *words])


def test_a_folder_of_images_gets_masks_tables_and_a_report(folder, capsys):
    assert run("p.yaml", "in", "--out", "out") == 0, capsys.readouterr().err
    rows = {row["image"]: row for row in table(folder / "out/summary.csv")}
    assert [rows[n]["count"] for n in ("a.png", "empty.png", "<script>.png")] == ["2", "0", "1"]
    assert rows["empty.png"]["mean_area"] == ""
    objects = table(folder / "out/objects.csv")
    assert [(r["image"], r["touches_border"]) for r in objects if r["image"] == "a.png"] == [
        ("a.png", "1"),
        ("a.png", "0"),
    ]
    assert {row["unit"] for row in objects} == {"px"}
    page = (folder / "out/report.html").read_text()
    assert "<script" not in page
    assert "&lt;script&gt;.png" in page
    assert not re.search(r'(src|href)="(?!data:image/jpeg;base64,)', page)  # needs no other file
    assert "1 of 3 objects touches the border" in page
    assert "counted in pixels (all 3 images)" in page
    images = re.findall(r"<img [^>]*>", page)
    assert len(images) == 6
    assert all('alt="' in image for image in images)
    for _, kind in re.findall(r"<(th|td)([^>]*)>", page):
        assert "onclick" not in kind
    about = json.loads((folder / "out/summary.json").read_text())
    assert {"numpy", "scikit-image", "torch"} <= set(about["versions"])
    assert [each["file"] for each in about["inputs"]] == ["support.png", "support_mask.png"]


def test_the_saved_pipeline_gives_identical_masks_and_tables(folder, capsys):
    assert run("p.yaml", "in", "--out", "out") == 0, capsys.readouterr().err
    (folder / "elsewhere").mkdir()
    assert run("out/pipeline.yaml", "in", "--out", "elsewhere/out") == 0
    first, second = digests(folder / "out"), digests(folder / "elsewhere/out")
    assert len(first) == 3 * 2 + 3
    assert first.pop("pipeline.yaml") != second.pop("pipeline.yaml")  # its paths are relative
    assert first == second


def test_what_was_done_is_not_done_again_and_a_failure_stops_nothing(folder, capsys):
    (folder / "in/broken.png").write_text("no image")
    assert run("p.yaml", "in", "--out", "out") == 2
    assert "broken.png is not an image" in capsys.readouterr().err
    assert len(table(folder / "out/summary.csv")) == 3
    assert "1 image failed" in (folder / "out/report.html").read_text()
    before = (folder / "out/a.png").stat().st_mtime_ns
    (folder / "in/broken.png").unlink()
    image, _ = squares((10, 10), (30, 30), (50, 50))
    Image.fromarray(image).save(folder / "in/later.png")
    assert run("p.yaml", "in", "--out", "out") == 0, capsys.readouterr().err
    assert "3 of them by an earlier run" in capsys.readouterr().out
    assert (folder / "out/a.png").stat().st_mtime_ns == before
    assert len(table(folder / "out/summary.csv")) == 4
    assert run("p.yaml", "in", "--out", "out") == 0  # nothing is left


def test_inputs_and_files_of_others_are_not_replaced(folder, capsys):
    for name in ("objects.csv", "report.html"):
        (folder / "out").mkdir(exist_ok=True)
        (folder / "out" / name).write_text("mine")
    assert run("p.yaml", "in", "--out", "out") == 2
    assert "exists, and no earlier run" in capsys.readouterr().err
    assert (folder / "out/report.html").read_text() == "mine"
    assert run("p.yaml", "support.png", "--out", ".", "--overwrite") == 2
    assert "support.png" in capsys.readouterr().err
    assert run("p.yaml", "in", "--out", "out", "--overwrite") == 0


def test_volumes_are_measured_in_the_unit_of_the_header(folder, capsys):
    def save(name, voxels, unit=None):
        image = nib.Nifti1Image(voxels, np.diag([0.5, 0.5, 3.0, 1]))
        if unit:
            image.header.set_xyzt_units(unit)
        nib.save(image, folder / name)

    _, labels = squares((20, 20))
    voxels = np.stack([labels] * 3, axis=2)
    noise = np.random.default_rng(0).integers(0, 20, voxels.shape)
    bright = (voxels * 150 + noise).astype(np.int16)
    save("v.nii.gz", bright, "mm")
    save("v_mask.nii.gz", voxels)
    save("um.nii.gz", bright, "micron")
    save("none.nii.gz", bright)
    text = PIPELINE.replace("support.png", "v.nii.gz").replace("support_mask.png", "v_mask.nii.gz")
    (folder / "v.yaml").write_text(text.replace("  - denoise: {method: median}\n", ""))
    assert run("v.yaml", "um.nii.gz", "none.nii.gz", "--out", "v") == 0, capsys.readouterr().err
    first, second = table(folder / "v/objects.csv")
    assert (first["unit"], second["unit"]) == ("um3", "mm3")
    assert float(first["area"]) == 300 * 0.75
    mask = nib.load(folder / "v/um.nii.gz")
    assert np.array_equal(mask.get_fdata(), voxels)
    assert mask.affine == pytest.approx(np.diag([0.5, 0.5, 3.0, 1]))
    page = (folder / "v/report.html").read_text()
    assert "different units (µm³, mm³)" in page
    assert "millimetres are assumed (none.nii.gz)" in page


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "PIPELINE.yaml, INPUT, --out FOLDER is missing"),
        (["p.yaml", "in"], "--out FOLDER is missing"),
        (["nothing.yaml", "in", "--out", "x"], "there is no file"),
        (["p.yaml", "nothing", "--out", "x"], "there is no file"),
        (["support.png", "in", "--out", "x"], "no text in UTF-8"),
        (["wrong.yaml", "in", "--out", "x"], "did you mean denoise"),
        (["--example", "nucleus"], "did you mean nuclei"),
    ],
)
def test_what_is_wrong_is_refused_before_anything_is_written(folder, capsys, words, said):
    (folder / "wrong.yaml").write_text("steps: [denoize]")
    assert run(*words) == 2
    assert said in capsys.readouterr().err
    assert not (folder / "x").exists()


def test_steps_and_examples_are_printed(capsys):
    assert run("--steps") == 0
    printed = capsys.readouterr().out
    assert "least-size (postprocess)" in printed
    assert "a whole number from 1 to 99; default 3" in printed
    assert run("--example", "organ") == 0
    assert "window: {level: 40, width: 400}" in capsys.readouterr().out
