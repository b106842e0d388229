"""Numbered objects: table, places, files."""

import nibabel as nib
import numpy as np
import pytest
import tifffile
from PIL import Image

from episodes.errors import DataError
from fewshot.inference.inputs import ImageStack, image_planes
from fewshot.inference.instances.table import columns_of
from fewshot.inference.instances.value import Instances


def instances(labels, pixels, classes=None, way=1):
    labels = np.asarray(labels, np.int32)
    count = int(labels.max())
    return Instances(
        labels if labels.ndim == 3 else labels[None],
        np.ones(count, int) if classes is None else np.array(classes),
        np.full(count, 0.75),
        tuple(f"class {number + 1}" for number in range(way)),
        tuple(range(1, way + 1)),
        pixels if isinstance(pixels, ImageStack) else image_planes(pixels),
    )


@pytest.fixture
def two():
    labels = np.zeros((12, 20), int)
    labels[0:4, 3:8] = 1
    labels[6:10, 10:14] = 2
    image = np.zeros((12, 20, 3), np.uint8)
    image[6:8, 10:14, 1] = 200
    return instances(labels, image, [1, 2], way=3)


def test_a_row_an_object(two):
    first, second = two.table()
    assert list(first) == columns_of(two.source.pixels)
    assert (first["pixels"], first["area"], first["unit"]) == (20, 20.0, "px")
    assert (second["row"], second["column"], second["plane"]) == (7.5, 11.5, 0)
    assert [second[f"{e}_{a}"] for a in ("row", "column") for e in ("first", "end")] == [
        *(6, 10, 10, 14)
    ]
    assert (first["touches_border"], second["touches_border"]) == (1, 0)
    assert second["equivalent_diameter"] == pytest.approx(2 * np.sqrt(16 / np.pi))
    assert (second["mean_intensity_1"], second["max_intensity_1"]) == (100, 200)
    assert (second["eccentricity"], second["solidity"]) == (0, 1)
    assert second["class"] == "class 2"
    assert two.counts == {"class 1": 1, "class 2": 1, "class 3": 0}
    assert np.unique(two.panoptic()).tolist() == [0, 1001, 2001]
    with pytest.raises(DataError, match="divisor 1"):
        two.panoptic(1)


def test_an_image_without_objects_has_no_row_and_counts_zero(tmp_path):
    empty = instances(np.zeros((5, 6), int), np.zeros((5, 6), np.uint8))
    assert empty.table() == []
    assert [(row["count"], row["total_area"]) for row in empty.summary()] == [(0, 0.0)]
    assert empty.overlay().shape == (5, 6, 3)
    assert not np.asarray(Image.open(empty.save(tmp_path / "a.png"))).any()


def test_a_volume_keeps_its_place_and_has_millimetres(tmp_path):
    voxels = np.random.default_rng(0).random((6, 7, 4)).astype(np.float32)
    affine = np.diag([0.5, 0.5, 2.0, 1.0])
    affine[:3, 3] = 5, 6, 7
    nib.save(nib.Nifti1Image(voxels, affine), tmp_path / "scan.nii.gz")
    stack = image_planes(tmp_path / "scan.nii.gz")
    labels = np.zeros(stack.pixels.shape, int)
    labels[1:3, 2:5, 2:4] = 1
    found = instances(labels, stack)
    (row,) = found.table()
    assert (row["pixels"], row["area"], row["unit"]) == (12, 6.0, "mm3")
    assert row["touches_border"] == 0
    assert found.default_name() == "scan_instances.nii.gz"
    saved = nib.load(found.save(tmp_path / found.default_name()))
    np.testing.assert_allclose(saved.affine, affine)
    expected = stack.geometry.from_planes(labels)
    np.testing.assert_array_equal(np.asarray(saved.dataobj), expected)


def test_more_objects_than_16_bits_are_a_tiff(tmp_path):
    labels = np.arange(1, 70_001, dtype=np.int32).reshape(250, 280)
    many = instances(labels, np.zeros((250, 280), np.uint8))
    assert many.default_name() == "array_instances.tif"
    with pytest.raises(DataError, match=r"write a \.tif"):
        many.save(tmp_path / "a.png")
    np.testing.assert_array_equal(tifffile.imread(many.save(tmp_path / "a.tif")), labels)


def test_numbers_with_gaps_are_refused():
    with pytest.raises(DataError, match="number 1 of 2"):
        instances([[0, 2]], np.zeros((1, 2), np.uint8))
