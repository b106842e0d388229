"""Label volumes that a scale in the header leaves a hair off whole numbers."""

import nibabel as nib
import numpy as np
import pytest

from episodes.errors import DataError
from episodes.io.formats.nifti import volume_geometry
from episodes.io.read import as_integer_labels, read_labels
from episodes.io.write import write_mask


def scaled(path, stored, slope, inter=0.0):
    image = nib.Nifti1Image(stored, np.diag([-1, -1, 1, 1]))
    image.header.set_slope_inter(slope, inter)
    nib.save(image, path)
    raw = nib.load(path)
    assert raw.dataobj.slope == np.float32(slope)
    return path


def saved_as_bytes(path, labels):
    """Save floats as 8-bit integers with a scale, as nibabel does."""
    image = nib.Nifti1Image(labels.astype(np.float64), np.diag([-1, -1, 1, 1]))
    image.set_data_dtype(np.uint8)
    nib.save(image, path)
    return path


@pytest.mark.filterwarnings("ignore:.*the scale in its header:UserWarning")
@pytest.mark.parametrize("most", [1, 3, 7, 200, 254])
def test_labels_saved_with_a_scale_are_what_they_were(tmp_path, most):
    labels = np.arange(24).reshape(2, 3, 4) % (most + 1)
    labels[0, 0, 0] = most
    path = saved_as_bytes(tmp_path / "a.nii", labels)
    np.testing.assert_array_equal(read_labels(path), labels.transpose(2, 1, 0))


def test_rounding_is_told(tmp_path):
    labels = np.array([0, 1, 3, 254]).reshape(1, 2, 2)
    path = saved_as_bytes(tmp_path / "a.nii", labels)
    assert np.isclose(nib.load(path).get_fdata(), 2.98824, atol=1e-4).any()
    with pytest.warns(UserWarning, match=r"a.nii: the scale in its header .* e.g. 2.98824 to 3"):
        assert np.unique(read_labels(path)).tolist() == [0, 1, 3, 254]


def test_floats_a_hair_off(tmp_path):
    values = np.array([0, 0.99999994, 2.0000002, 1e-7], np.float32)
    assert as_integer_labels(values, "m").tolist() == [0, 1, 2, 0]
    with pytest.raises(DataError, match=r"mask m holds 0.99; expected whole numbers"):
        as_integer_labels(np.array([0.99]), "m")
    with pytest.raises(DataError, match=r"holds 1e\+30; expected whole"):
        as_integer_labels(np.array([1e30]), "m")


def test_a_large_object_number_is_kept(tmp_path):
    big = np.full((2, 2, 2), 2.0**24 + 1)
    nib.save(nib.Nifti1Image(big, np.eye(4)), tmp_path / "a.nii")
    assert (read_labels(tmp_path / "a.nii") == 2**24 + 1).all()


@pytest.mark.parametrize(
    ("stored", "slope"),
    [
        (np.arange(256), 1 / 255),  # probabilities
        ([0, 1, 2, 3], 0.5),
        ([0, 1, 2, 3], 1.5),
        ([0, 128], 254 / 255),  # 127.498: 127 and 128 were both stored so
    ],
)
def test_what_may_stand_for_two_numbers_is_refused(tmp_path, stored, slope):
    values = np.array(stored, np.uint8).reshape(1, 2, -1)
    with pytest.raises(DataError, match=r"a.nii holds .*; its header scales stored integers by"):
        read_labels(scaled(tmp_path / "a.nii", values, slope))


def test_a_result_has_the_place_of_its_volume_and_nothing_else(tmp_path):
    image = nib.Nifti2Image(np.zeros((3, 4, 5), np.int16), None)
    image.set_qform(np.diag([-0.8, -0.8, 3, 1]), 1)
    image.set_sform(np.diag([-0.8, -0.8, 3.0001, 1]), 4)
    image.header.set_xyzt_units("micron")
    image.header["descrip"] = b"name of a patient"
    nib.save(image, tmp_path / "a.nii.gz")
    planes = np.zeros((5, 4, 3), np.uint8)
    write_mask(tmp_path / "mask.nii.gz", planes, volume_geometry(tmp_path / "a.nii.gz"))
    mask = nib.load(tmp_path / "mask.nii.gz")
    assert isinstance(mask, nib.Nifti2Image)
    for form in ("get_qform", "get_sform"):
        one, other = (getattr(each, form)(coded=True) for each in (image, mask))
        np.testing.assert_array_equal(one[0], other[0])
        assert one[1] == other[1]
    assert mask.header.get_xyzt_units()[0] == "micron"
    assert bytes(mask.header["descrip"]).strip(b"\0") == b""
    assert mask.get_data_dtype() == np.uint8
