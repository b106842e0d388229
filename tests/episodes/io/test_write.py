import json
import os

import numpy as np
import pytest
from PIL import Image

from episodes.errors import DataError
from episodes.io.geometry import Geometry
from episodes.io.read import read_image, read_labels
from episodes.io.write import atomic_write, make_folder, write_image, write_json, write_mask


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def write_half(path, error, present):
    """Fail in the middle of writing, when what `present` says is there."""
    with atomic_write(path) as partial:
        partial.write_text("half")
        assert path.exists() == present
        raise error("stop")


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, OSError])
def test_an_error_in_the_middle_leaves_the_old_file(tmp_path, error):
    path = tmp_path / "result.txt"
    path.write_text("old")
    with pytest.raises(DataError if error is OSError else error, match="stop"):
        write_half(path, error, present=True)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["result.txt"]


def test_an_error_in_the_middle_leaves_no_new_file(tmp_path):
    with pytest.raises(ZeroDivisionError):
        write_half(tmp_path / "new.png", ZeroDivisionError, present=False)
    assert names(tmp_path) == []


def test_success_replaces_the_file_whole_and_readable_for_others(tmp_path):
    path = tmp_path / "scan.nii.gz"
    path.write_text("old")
    mask = os.umask(0o022)
    try:
        with atomic_write(path) as partial:
            assert partial.parent == path.parent
            assert partial.name.endswith(".nii.gz")  # writers choose the format by the ending
            partial.write_text("new")
    finally:
        os.umask(mask)
    assert path.read_text() == "new"
    assert names(tmp_path) == ["scan.nii.gz"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_place_that_cannot_be_written(tmp_path):
    with (
        pytest.raises(DataError, match=r"none/a.json cannot be written: .*; choose another folder"),
        atomic_write(tmp_path / "none" / "a.json"),
    ):
        pass
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(DataError, match=r"folder.json cannot be written"):
        write_json(tmp_path / "folder.json", {})
    assert names(tmp_path) == ["folder.json"]


def test_make_folder(tmp_path):
    made = make_folder(tmp_path / "a" / "b")
    assert made.is_dir()
    assert names(make_folder(made)) == []
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(DataError, match=r"cannot be written: .*; choose another with --out"):
            make_folder(path)


def test_json_is_readable_and_strict(tmp_path):
    path = write_json(tmp_path / "a.json", {"name": "Äpfel", "values": [1, 2.5]})
    assert "Äpfel" in path.read_text(encoding="utf-8")
    assert json.loads(path.read_text(encoding="utf-8")) == {"name": "Äpfel", "values": [1, 2.5]}
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "b.json", {"score": float("nan")})
    assert names(tmp_path) == ["a.json"]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(("ending", "depth"), [(".png", 1), (".tif", 1), (".tiff", 4)])
def test_masks_come_back_as_they_were(tmp_path, dtype, ending, depth):
    highest = np.iinfo(dtype).max
    planes = np.random.default_rng(0).integers(0, highest, (depth, 7, 9), dtype, endpoint=True)
    planes[0, 0, :3] = (0, highest, highest - 1)
    path = write_mask(tmp_path / f"mask{ending}", planes)
    labels = read_labels(path)
    assert labels.dtype == dtype
    np.testing.assert_array_equal(labels, planes)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_volume_mask_comes_back_as_it_was(tmp_path, dtype):
    geometry = Geometry(np.diag([2.0, 1, 1, 1]), (2, 3, 4), (0, 2, 1), (1,))
    planes = np.arange(24, dtype=dtype).reshape(geometry.plane_shape) * 10
    path = write_mask(tmp_path / "mask.nii.gz", planes, geometry)
    labels = read_labels(path)
    assert labels.dtype == dtype
    assert sorted(labels.ravel()) == sorted(planes.ravel())


@pytest.mark.parametrize(
    ("name", "depth", "message"),
    [
        ("mask.png", 3, r"mask.png cannot hold a mask of 3 plane\(s\) without geometry; expected"),
        ("mask.jpg", 1, r"mask.jpg cannot hold .* expected .png for one plane"),
        ("mask.nii.gz", 2, r"mask.nii.gz cannot hold .* without geometry; .*.nii.gz for a NIfTI"),
    ],
)
def test_formats_that_cannot_hold_a_mask(tmp_path, name, depth, message):
    with pytest.raises(DataError, match=message):
        write_mask(tmp_path / name, np.zeros((depth, 4, 5), np.uint8))
    assert names(tmp_path) == []


def test_pictures(tmp_path):
    colour = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    np.testing.assert_array_equal(read_image(write_image(tmp_path / "c.png", colour)), colour)
    deep = np.arange(20, dtype=np.uint16).reshape(4, 5) * 3000
    np.testing.assert_array_equal(read_image(write_image(tmp_path / "d.png", deep)), deep)
    with Image.open(write_image(tmp_path / "e.jpg", colour)) as picture:
        assert picture.format == "JPEG"
