"""Files of other formats are named, with what to do; headers that are wrong are told."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from episodes.errors import DataError
from episodes.io.read import read_header
from episodes.io.unsupported import no_image
from fewshot.inference.inputs import image_planes, other_view
from tests.episodes.dicom_files import slice_file


@pytest.mark.parametrize("name", ["a.dcm", "IM0001"])
def test_dicom_is_named(tmp_path, name):
    slice_file(tmp_path / name, np.zeros((4, 5), np.int16))
    with pytest.raises(DataError, match=rf"{name} is a DICOM file; convert .* dcm2niix"):
        read_header(tmp_path / name)
    assert f"PNG, JPEG, TIFF or NIfTI files. {name} is a DICOM file" in no_image(tmp_path)


@pytest.mark.parametrize("name", ["a.hdr", "a.img", "a.mha", "a.nrrd", "a.mgz", "a.czi"])
def test_other_formats_are_named(tmp_path, name):
    (tmp_path / name).write_bytes(bytes(400))
    with pytest.raises(DataError, match=rf"{name} is .*save (it|them) as"):
        read_header(tmp_path / name)


def changed(path: Path, **fields) -> Path:
    """Write a volume whose header then gets values that nibabel would not write."""
    nib.save(nib.Nifti1Image(np.zeros((3, 4, 5), np.int16), np.diag([-1, -1, 2, 1])), path)
    content = path.read_bytes()
    header = nib.Nifti1Header(content[:348], check=False)
    for name, value in fields.items():
        header.structarr[name] = value
    path.write_bytes(header.structarr.tobytes() + content[348:])
    return path


def test_headers_that_nibabel_mends_are_told_by_name(tmp_path, capfd):
    path = changed(tmp_path / "a.nii", pixdim=[1, -1, 1, 2, 0, 0, 0, 0])
    with pytest.warns(UserWarning, match=r"the header of .*a.nii was wrong and is mended: pixdim"):
        read_header(path)
    assert capfd.readouterr().err == ""


LONG = {"quatern_b": 1, "quatern_c": 1, "quatern_d": 1, "qform_code": 1}


def test_a_qform_that_is_no_rotation(tmp_path):
    assert read_header(changed(tmp_path / "a.nii", **LONG)).geometry.qform is None
    with pytest.raises(DataError, match=r"its qform is no rotation, and it has no sform; set one"):
        read_header(changed(tmp_path / "b.nii", **LONG, sform_code=0))


def test_an_sform_that_is_none_leaves_the_qform(tmp_path):
    path = changed(tmp_path / "a.nii", srow_x=[np.nan] * 4, qform_code=1)
    with pytest.warns(UserWarning, match=r"spans no space .* its qform is used"):
        geometry = read_header(path).geometry
    np.testing.assert_allclose(geometry.affine, np.diag([-1, -1, 2, 1]))
    assert geometry.declared


def test_other_planes_of_the_body_are_told(tmp_path, make_phantom):
    for name, spacing in (("axial", (1, 1, 4)), ("again", (1, 1, 5)), ("sagittal", (4, 1, 1))):
        nib.save(make_phantom("LPS", spacing), tmp_path / f"{name}.nii")
    planes = {path.stem: image_planes(path) for path in tmp_path.iterdir()}
    assert other_view([planes["axial"]], planes["again"]) is None
    words = other_view([planes["axial"]], planes["sagittal"])
    assert words is not None
    assert "sagittal.nii has sagittal slices and the annotated volumes axial ones" in words
    assert other_view([image_planes(np.zeros((4, 5)))], planes["axial"]) is None
