import itertools

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from episodes.io.formats.nifti import read_volume, volume_geometry
from episodes.io.geometry import Geometry
from episodes.io.read import read_header, read_labels, read_planes
from episodes.io.write import write_mask

PAIRS = ("LR", "PA", "IS")
ORIENTATIONS = [
    "".join(codes) for pairs in itertools.permutations(PAIRS) for codes in itertools.product(*pairs)
]
AXES = list(itertools.permutations(range(3)))
FLIPS = [tuple(np.flatnonzero(bits).tolist()) for bits in itertools.product((0, 1), repeat=3)]


def test_there_are_48_orientations():
    assert len(set(ORIENTATIONS)) == len(AXES) * len(FLIPS) == 48


@pytest.mark.parametrize("order", AXES)
@pytest.mark.parametrize("flips", FLIPS)
def test_from_planes_undoes_to_planes(order, flips):
    shape = (2, 3, 5)
    geometry = Geometry(np.eye(4), shape, order, flips)
    voxels = np.arange(30).reshape(shape)
    planes = geometry.to_planes(voxels)
    assert planes.shape == geometry.plane_shape == tuple(shape[axis] for axis in order)
    np.testing.assert_array_equal(geometry.from_planes(planes), voxels)
    again = np.arange(30).reshape(geometry.plane_shape)
    np.testing.assert_array_equal(geometry.to_planes(geometry.from_planes(again)), again)


@given(
    st.lists(st.integers(1, 5), min_size=2, max_size=4),
    st.sampled_from(AXES),
    st.sampled_from(FLIPS),
)
@settings(max_examples=50, deadline=None)
def test_from_planes_gives_the_files_own_shape(sides, order, flips):
    shape = (*sides[:3], *([1] if len(sides) == 4 else []))
    geometry = Geometry(np.eye(4), shape, order, flips)
    planes = np.arange(np.prod(shape)).reshape(geometry.plane_shape)
    voxels = geometry.from_planes(planes)
    assert voxels.shape == shape
    flat = voxels.reshape((*shape, 1, 1)[:3])
    np.testing.assert_array_equal(geometry.to_planes(flat), planes)


# The phantom's value at (x to right, y to anterior, z to superior) is 100 x + 10 y + z, with
# 7 x 6 x 5 voxels, so each view can be written down.
X, Y, Z = np.arange(7), np.arange(6), np.arange(5)
VIEWS = {
    # planes from the feet up; rows to posterior; columns to the patient's left
    "axial": ((1, 1, 4), Z[:, None, None] + 10 * Y[::-1][:, None] + 100 * X[::-1]),
    # planes to anterior; rows to inferior; columns to the patient's left
    "coronal": ((1, 4, 1), 10 * Y[:, None, None] + Z[::-1][:, None] + 100 * X[::-1]),
    # planes to the right; rows to inferior; columns to posterior
    "sagittal": ((4, 1, 1), 100 * X[:, None, None] + Z[::-1][:, None] + 10 * Y[::-1]),
}


@pytest.mark.parametrize("codes", ORIENTATIONS)
@pytest.mark.parametrize("view", VIEWS)
def test_planes_hang_the_same_way_whatever_the_file(tmp_path, make_phantom, codes, view):
    spacing, expected = VIEWS[view]
    nib.save(make_phantom(codes, spacing), tmp_path / "p.nii")
    np.testing.assert_array_equal(read_volume(tmp_path / "p.nii"), expected)


@pytest.mark.parametrize("codes", ["LAS", "SRP", "AIL"])
def test_equal_spacing_is_cut_across_the_long_axis_of_the_body(tmp_path, make_phantom, codes):
    nib.save(make_phantom(codes, (2, 2, 2)), tmp_path / "p.nii")
    np.testing.assert_array_equal(read_planes(tmp_path / "p.nii"), VIEWS["axial"][1])


@pytest.mark.parametrize("codes", ORIENTATIONS)
@pytest.mark.parametrize("ending", ["nii", "nii.gz"])
def test_a_written_mask_lies_where_its_image_lies(tmp_path, make_phantom, codes, ending):
    path = tmp_path / f"image.{ending}"
    nib.save(make_phantom(codes, (1.25, 1.5, 7.7)), path)
    planes = read_planes(path)
    mask = ((planes == 302) + 2 * (planes == 614)).astype(np.uint8)  # two single voxels
    write_mask(tmp_path / f"mask.{ending}", mask, volume_geometry(path))
    image, written = nib.load(path), nib.load(tmp_path / f"mask.{ending}")
    np.testing.assert_array_equal(written.affine, image.affine)
    voxels = np.asarray(image.dataobj)
    expected = (voxels == 302) + 2 * (voxels == 614)
    assert np.unique(expected).tolist() == [0, 1, 2]
    np.testing.assert_array_equal(np.asarray(written.dataobj), expected)
    np.testing.assert_array_equal(read_labels(tmp_path / f"mask.{ending}"), mask)


def test_oblique_scans_go_to_the_nearest_axes(tmp_path, make_phantom):
    image = make_phantom("LPS")
    angle = np.radians(20)
    turn = np.eye(4)
    turn[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    nib.save(nib.Nifti1Image(image.dataobj, turn @ image.affine), tmp_path / "oblique.nii")
    np.testing.assert_array_equal(read_planes(tmp_path / "oblique.nii"), VIEWS["axial"][1])


def test_spacing_in_micrometres_keeps_its_directions(tmp_path, make_phantom):
    image = make_phantom("LPS", (2.6e-4, 2.6e-4, 9e-4))
    nib.save(image, tmp_path / "cells.nii")
    np.testing.assert_array_equal(read_planes(tmp_path / "cells.nii"), VIEWS["axial"][1])
    stored = nib.load(tmp_path / "cells.nii").affine
    np.testing.assert_array_equal(volume_geometry(tmp_path / "cells.nii").affine, stored)


def test_an_affine_that_is_none_falls_back_on_the_spacing(tmp_path):
    image = nib.Nifti1Image(np.zeros((3, 4, 5), np.uint8), np.eye(4))
    image.header.set_zooms((2, 3, 9))
    image.header.set_sform(np.diag([2.0, 0, 9, 1]), code=1)
    image.header.set_qform(None, code=0)
    nib.save(nib.Nifti1Image(image.dataobj, None, image.header), tmp_path / "flat.nii")
    with pytest.warns(
        UserWarning, match="flat.nii has an affine that spans no space .* spacing alone"
    ):
        geometry = volume_geometry(tmp_path / "flat.nii")
    assert not geometry.declared
    np.testing.assert_array_equal(geometry.affine, np.diag([2.0, 3, 9, 1]))
    assert geometry.plane_shape == (5, 4, 3)


def test_a_single_slice_is_one_plane(tmp_path):
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    nib.save(nib.Nifti1Image(pixels, np.eye(4)), tmp_path / "slice.nii")
    header = read_header(tmp_path / "slice.nii")
    assert (header.kind, header.planes, header.size) == ("volume", 1, (4, 3))
    planes = read_planes(tmp_path / "slice.nii")
    np.testing.assert_array_equal(planes[0], pixels[::-1, ::-1].T)
    np.testing.assert_array_equal(header.geometry.from_planes(planes), pixels)


def test_scaled_integers_arrive_as_float32(tmp_path):
    image = nib.Nifti1Image(np.full((3, 4, 5), 4, np.int16), np.diag([1, 1, 4, 1]))
    image.header.set_slope_inter(0.5, 10)
    nib.save(image, tmp_path / "scaled.nii")
    planes = read_planes(tmp_path / "scaled.nii")
    assert planes.dtype == np.float32
    assert (planes == 12).all()
