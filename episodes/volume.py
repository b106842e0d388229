"""NIfTI volumes: how their planes lie in the file and in the body."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from episodes.errors import DataError
from episodes.limits import BROKEN, MAX_VOXELS


@dataclass(frozen=True)
class Geometry:
    """How the planes of a volume lie in its file, so that a result can be written back in place.

    Attributes:
        affine: voxel index -> millimetres, as in the file [4, 4].
        shape: the file's own array shape.
        order: the file's axes that become depth, height and width.
        flips: the file's axes that run against the display direction.
    """

    affine: np.ndarray
    shape: tuple[int, ...]
    order: tuple[int, int, int]
    flips: tuple[int, ...]

    @property
    def plane_shape(self) -> tuple[int, int, int]:
        """Depth, height and width of the planes."""
        full = (*self.shape, 1, 1)
        depth, height, width = (full[axis] for axis in self.order)
        return depth, height, width

    def to_planes(self, voxels: np.ndarray) -> np.ndarray:
        """Bring an array in file order to [depth, height, width] as a radiologist looks at it."""
        return np.transpose(np.flip(voxels, self.flips), self.order)

    def from_planes(self, planes: np.ndarray) -> np.ndarray:
        """Undo `to_planes`, giving the array in the file's own order and shape."""
        voxels = np.flip(np.transpose(planes, np.argsort(self.order)), self.flips)
        return np.ascontiguousarray(voxels.reshape(self.shape))


def volume_geometry(path: Path) -> Geometry:
    """Read the header of a volume.

    Raises:
        DataError: no NIfTI file, more than three axes, or larger than the limits.
    """
    return _open(path)[0]


def read_volume(path: Path) -> np.ndarray:
    """Read all voxels as planes [depth, height, width]; see `Geometry.to_planes`."""
    geometry, proxy = _open(path)
    return geometry.to_planes(_voxels(path, proxy))


def _open(path: Path) -> tuple[Geometry, object]:
    import nibabel as nib
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError

    if path.is_dir():
        raise DataError(f"{path} is a folder; expected a NIfTI file")
    try:
        image: Any = nib.load(path)
    except FileNotFoundError:
        raise DataError(f"there is no file {path}; check the name and the folder") from None
    except (ImageFileError, HeaderDataError, *BROKEN) as error:
        raise DataError(f"{path} is no readable NIfTI volume: {error}") from error
    shape = tuple(int(n) for n in image.shape)
    if math.prod(shape) > MAX_VOXELS or min(shape, default=0) < 1:
        raise DataError(
            f"{path} declares {' x '.join(map(str, shape))} = {math.prod(shape):,} voxels; "
            f"between 1 and {MAX_VOXELS:,} are read. Is the header damaged? Otherwise crop it"
        )
    spatial = tuple(n for n in shape[3:] if n > 1)
    if spatial or len(shape) < 2:
        raise DataError(
            f"{path} has {len(shape)} axes {shape}; expected a volume of three. "
            "Save one time point or channel a file"
        )
    if image.get_data_dtype().fields is not None or image.get_data_dtype().kind == "c":
        raise DataError(f"{path} holds {image.get_data_dtype()}; expected one real number a voxel")
    zooms = tuple(float(zoom) for zoom in image.header.get_zooms())
    geometry = _geometry(image.affine, shape, zooms)
    return geometry, image.dataobj


def _geometry(affine: np.ndarray, shape: tuple[int, ...], zooms: tuple[float, ...]) -> Geometry:
    """Choose the plane axis and the directions in which a radiologist looks at the planes.

    Planes are cut across the axis of the largest spacing (the way the scan was acquired), across
    the body's long axis where all are equal. Rows run to posterior or inferior, columns to the
    patient's left.
    """
    from nibabel.orientations import io_orientation

    if affine is None or not np.isfinite(affine).all() or not _spans_space(affine[:3, :3]):
        affine = np.diag([*(float(z) or 1.0 for z in (*zooms, 1.0, 1.0)[:3]), 1.0])
    world, direction = io_orientation(affine).T  # the world axis (R, A, S) of each file axis
    spacing = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    body = int(np.argmax(world == 2))
    axis = int(np.argmax(spacing)) if spacing.max() > 1.2 * np.median(spacing) else body
    if len(shape) == 2:
        axis = 2
    # Rows and columns: the world axes in the order S, A, R; S and A shown first.
    rest = sorted((a for a in range(3) if a != axis), key=lambda a: -world[a])
    flips = []
    for file_axis in range(3):
        is_plane_axis = file_axis == axis
        towards = +1 if is_plane_axis else -1  # columns to L, rows to P or I, planes to R, A or S
        if direction[file_axis] != towards:
            flips.append(file_axis)
    return Geometry(affine, shape, (axis, rest[0], rest[1]), tuple(flips))


def _spans_space(axes: np.ndarray) -> bool:
    """Whether three axes, of any length (micrometres are 0.001 mm), lie in no common plane."""
    lengths = np.linalg.norm(axes, axis=0)
    return bool(lengths.all() and abs(np.linalg.det(axes / lengths)) > 1e-6)


def _voxels(path: Path, proxy: object) -> np.ndarray:
    try:
        voxels = np.asanyarray(proxy)
    except BROKEN as error:
        raise DataError(
            f"{path} ends before its voxels do, or is damaged: {error}; copy it again"
        ) from error
    if voxels.dtype == np.float64:
        voxels = voxels.astype(np.float32)  # scaled integers arrive as float64
    return voxels.reshape((*voxels.shape, 1, 1)[:3])
