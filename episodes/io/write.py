"""The one place where results are written: whole files or none."""

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from episodes.errors import DataError
from episodes.io import outputs
from episodes.io.geometry import Geometry
from episodes.io.read import STACK_SUFFIXES, VOLUME_SUFFIXES, suffix

_PLACE = (
    *("pixdim", "xyzt_units", "qform_code", "sform_code", "srow_x", "srow_y", "srow_z"),
    *("quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z"),
)
"""Fields of a NIfTI header with the position of its voxels."""


@contextlib.contextmanager
def atomic_write(path: Path, *, guarded: bool = True) -> Iterator[Path]:
    """Give a temporary path beside `path`; on success it is synced and takes its place.

    A full disk, an error or Ctrl-C in the middle leaves the old file, or none.

    Args:
        path: of the file.
        guarded: whether the running command's guard checks it; not for the files of a cache.

    Raises:
        DataError: the folder is missing or may not be written; or the running command may not
            replace the file, see `episodes.io.outputs`.
    """
    if guarded:
        outputs.may_write(path)
    try:
        handle, name = tempfile.mkstemp(suffix=suffix(path), prefix=".partial-", dir=path.parent)
    except OSError as error:
        raise DataError(
            f"{path} cannot be written: {error.strerror or error}; choose another folder"
        ) from error
    partial = Path(name)
    try:
        os.close(handle)
        yield partial
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        partial.chmod(0o666 & ~umask)  # mkstemp's own mode is for its owner alone
        partial.replace(path)
        if guarded:
            outputs.wrote(path)
    except OSError as error:
        raise DataError(
            f"{path} cannot be written: {error.strerror or error}; is the disk full?"
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def make_folder(path: Path) -> Path:
    """Make a folder for results and prove that it can be written, before any work is done.

    Raises:
        DataError: it is a file, or may not be made or written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise DataError(
            f"the folder {path} cannot be written: {error.strerror or error}; "
            "choose another with --out"
        ) from error
    return path


def write_json(path: Path, content: object) -> Path:
    """Write JSON that a person can read."""
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    with atomic_write(path) as partial:
        # Bytes of a file name that are no UTF-8 become JSON's own escapes.
        partial.write_bytes((text + "\n").encode("utf-8", "backslashreplace"))
    return path


def write_image(path: Path, pixels: np.ndarray) -> Path:
    """Write uint8 or uint16 pixels [height width] or uint8 [height width 3] in path's format."""
    with atomic_write(path) as partial:
        Image.fromarray(pixels).save(partial)
    return path


def write_array(path: Path, values: np.ndarray) -> Path:
    """Write numbers of any shape as a NumPy file."""
    with atomic_write(path) as partial, partial.open("wb") as file:
        np.save(file, values, allow_pickle=False)
    return path


def write_mask(path: Path, planes: np.ndarray, geometry: Geometry | None = None) -> Path:
    """Write label values in the format that the ending names, without loss.

    Args:
        path: .png (one plane), .tif or .tiff, .nii or .nii.gz (with geometry).
        planes: uint8, uint16 or, but for .png, uint32 [depth height width].
        geometry: of the volume that the labels belong to.

    Raises:
        DataError: another ending, several planes for a PNG, a NIfTI without geometry, or the
            file cannot be written.
    """
    ending = suffix(path)
    if ending in VOLUME_SUFFIXES and geometry is not None:
        return _write_nifti(path, planes, geometry)
    if ending in STACK_SUFFIXES:
        import tifffile

        with atomic_write(path) as partial:
            tifffile.imwrite(
                partial, planes, photometric="minisblack", compression="zlib", metadata=None
            )
        return path
    if ending == ".png" and len(planes) == 1:
        return write_image(path, planes[0])
    raise DataError(
        f"{path.name} cannot hold a mask of {len(planes)} plane(s)"
        f"{'' if geometry is not None else ' without geometry'}; expected .png for one plane, "
        ".tif for several, .nii.gz for a NIfTI volume"
    )


def _write_nifti(path: Path, planes: np.ndarray, geometry: Geometry) -> Path:
    import nibabel as nib

    voxels = geometry.from_planes(planes)
    if geometry.header is None:
        image = nib.Nifti1Image(voxels, geometry.affine)
    else:
        second = isinstance(geometry.header, nib.Nifti2Header)
        header = (nib.Nifti2Header if second else nib.Nifti1Header)()
        for name in _PLACE:  # the position alone: other fields may identify the patient
            header[name] = geometry.header[name]
        header.set_data_dtype(voxels.dtype)
        image = (nib.Nifti2Image if second else nib.Nifti1Image)(voxels, None, header)
    with atomic_write(path) as partial:
        nib.save(image, partial)
    return path
