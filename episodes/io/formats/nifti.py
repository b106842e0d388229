"""NIfTI volumes: their voxels as planes, and the geometry in their headers."""

import logging
import math
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from episodes.errors import DataError, shorten
from episodes.io.geometry import Geometry, display_axes, spans_space
from episodes.io.limits import BROKEN, MAX_VOXELS

Channels = tuple[int, ...] | None


def volume_geometry(path: Path, channels: Channels = None) -> Geometry:
    """Read the header of a volume; see `read_volume` for channels.

    Raises:
        DataError: no NIfTI file, more than three axes, or larger than the limits.
    """
    return _open(path, channels)[0]


def read_volume(path: Path, channels: Channels = None) -> np.ndarray:
    """Read all voxels as planes [depth, height, width]; see `Geometry.to_planes`.

    Scaled integers are float32.

    Args:
        path: the file.
        channels: numbers along the fourth axis, from 0, which become the last axis; empty where a
            user may choose some, None where nobody can.
    """
    geometry, proxy = _open(path, channels)
    voxels = _voxels(path, proxy, channels)
    if voxels.dtype == np.float64:
        voxels = voxels.astype(np.float32)
    if voxels.ndim == 3:
        return geometry.to_planes(voxels)
    planes = [geometry.to_planes(voxels[..., channel]) for channel in range(voxels.shape[3])]
    return np.stack(planes, axis=3)


def read_label_voxels(path: Path) -> tuple[Geometry, np.ndarray, float]:
    """Read all voxels in the file's own order and in full precision.

    Returns:
        Geometry, voxels [i, j, k], and the step between neighbouring values that the header's
        scale allows; 0 where it scales nothing.
    """
    geometry, proxy = _open(path)
    slope = float(getattr(proxy, "slope", 1.0) or 1.0)
    scaled = (slope, float(getattr(proxy, "inter", 0.0) or 0.0)) != (1.0, 0.0)
    whole = getattr(proxy, "dtype", np.dtype(float)).kind in "iu"
    return geometry, _voxels(path, proxy), abs(slope) if scaled and whole else 0.0


def _open(path: Path, channels: Channels = None) -> tuple[Geometry, Any]:
    """Read a header, check it, and return it with what gives the voxels."""
    image = _load(path)
    shape = tuple(int(n) for n in image.shape)
    if math.prod(shape) > MAX_VOXELS or min(shape, default=0) < 1:
        raise DataError(
            f"{path} declares {' x '.join(map(str, shape))} = {math.prod(shape):,} voxels; "
            f"between 1 and {MAX_VOXELS:,} are read. Is the header damaged? Otherwise crop it"
        )
    count = math.prod(shape[3:])
    if (count > 1 and not channels) or len(shape) < 2:
        choice = ", or choose with --channels 0 (channels=(0,) in Python)" * (channels is not None)
        raise DataError(
            f"{path} has {len(shape)} axes {shape}; expected a volume of three. "
            f"Save one time point or channel a file{choice}"
        )
    if missing := [number for number in channels or () if number >= count]:
        raise DataError(
            f"{path} has {count} channels; channel {shorten(missing)} is not there; expected "
            f"numbers from 0 to {count - 1}"
        )
    shape = shape[:3] if count > 1 else shape
    if image.get_data_dtype().fields is not None or image.get_data_dtype().kind == "c":
        raise DataError(f"{path} holds {image.get_data_dtype()}; expected one real number a voxel")
    return _geometry(path, image.affine, shape, image.header), image.dataobj


def _load(path: Path) -> Any:
    """Read a header with nibabel, and collect its warnings."""
    import nibabel as nib
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError

    if path.is_dir():
        raise DataError(f"{path} is a folder; expected a NIfTI file")
    mended = _mended()
    try:
        image = nib.load(path)
    except FileNotFoundError:
        raise DataError(f"there is no file {path}; check the name and the folder") from None
    except (ImageFileError, HeaderDataError, *BROKEN) as error:
        words = str(error)
        if "w2 should be positive" in words:
            words = "its qform is no rotation, and it has no sform; set one of them"
        raise DataError(f"{path} is no readable NIfTI volume: {words}") from error
    for words in dict.fromkeys(mended):
        warnings.warn(f"the header of {path} was wrong and is mended: {words}", stacklevel=5)
    return image


class _Heard(logging.Handler):
    """Collects nibabel's warnings on a header, for each thread, instead of printing them."""

    def __init__(self) -> None:
        super().__init__()
        self.local = threading.local()

    def emit(self, record: logging.LogRecord) -> None:
        self.local.__dict__.setdefault("words", []).append(record.getMessage())


_HEARD = _Heard()


def _mended() -> list[str]:
    """Return an empty list that nibabel's remarks on the next header go to."""
    from nibabel.imageglobals import logger

    logger.handlers = [_HEARD]
    words: list[str] = []
    _HEARD.local.words = words
    return words


def _geometry(path: Path, affine: np.ndarray, shape: tuple[int, ...], header: Any) -> Geometry:
    """Read the position of the voxels from a header."""
    qform = _qform(header)
    declared = qform is not None or int(header["sform_code"]) > 0
    if not spans_space(affine):
        if declared:
            warnings.warn(
                f"{path} has an affine that spans no space (zeros, NaN or axes in one plane); "
                + (
                    "its qform is used"
                    if qform is not None
                    else "left, right, front and back are unknown, and the spacing alone is used"
                ),
                stacklevel=4,
            )
        declared = qform is not None
        affine = _spacing_alone(header) if qform is None else qform
        qform = None
    elif int(header["sform_code"]) <= 0:
        qform = None  # it is the affine
    unit = {1: 1000.0, 2: 1.0, 3: 0.001}.get(int(header["xyzt_units"]) & 7)
    order, flips = display_axes(affine, shape)
    if qform is not None and display_axes(qform, shape) != (order, flips):
        warnings.warn(
            f"the sform and the qform of {path} turn its axes differently; the sform is taken, as "
            "nibabel does. Other programs may show the volume mirrored or turned",
            stacklevel=4,
        )
    return Geometry(affine, shape, order, flips, qform, declared, unit, header)


def _qform(header: Any) -> np.ndarray | None:
    """Return the qform where there is one that spans space."""
    from nibabel.spatialimages import HeaderDataError

    if int(header["qform_code"]) <= 0:
        return None
    try:
        found: np.ndarray = header.get_qform()
    except (HeaderDataError, ValueError):  # no rotation
        return None
    return found if spans_space(found) else None


def _spacing_alone(header: Any) -> np.ndarray:
    zooms = (*(float(zoom) for zoom in header.get_zooms()), 1.0, 1.0)[:3]
    return np.diag([*(z if np.isfinite(z) and z > 0 else 1.0 for z in zooms), 1.0])


def _voxels(path: Path, proxy: object, channels: Channels = None) -> np.ndarray:
    try:
        voxels = np.asanyarray(proxy)
    except BROKEN as error:
        raise DataError(
            f"{path} ends before its voxels do, or is damaged; copy it again"
        ) from error
    space = (*voxels.shape, 1, 1)[:3]
    return voxels.reshape(*space, -1)[..., list(channels)] if channels else voxels.reshape(space)
