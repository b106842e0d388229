"""How the planes of a volume lie in its file and in the body."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Geometry:
    """How the planes of a volume lie in its file, so that a result can be written back in place.

    Attributes:
        affine: voxel index -> position, in the file's unit of length [4, 4]; by nibabel's rule the
            sform, else the qform, else the spacing alone.
        shape: the file's own array shape.
        order: the file's axes that become depth, height and width.
        flips: the file's axes that run against the display direction.
        qform: the other affine of a file that has both, else None.
        declared: whether the file has an affine at all, and one that spans space.
        unit: millimetres in the file's unit of length; None where the file names none.
        header: nibabel's header, of which a result takes over its place.
    """

    affine: np.ndarray
    shape: tuple[int, ...]
    order: tuple[int, int, int]
    flips: tuple[int, ...]
    qform: np.ndarray | None = field(default=None, compare=False)
    declared: bool = True
    unit: float | None = None
    header: Any = field(default=None, compare=False, repr=False)

    @property
    def grid(self) -> tuple[int, int, int]:
        """The first three lengths of `shape`, 1 where there are fewer."""
        first, second, third = (*self.shape, 1, 1)[:3]
        return first, second, third

    @property
    def spacing(self) -> np.ndarray:
        """Lengths of a voxel along the file's axes, in the file's unit [3]."""
        return np.linalg.norm(self.affine[:3, :3], axis=0)

    @property
    def plane_spacing(self) -> tuple[float, float, float]:
        """Distance of planes, rows and columns in mm; a file that names no unit means mm."""
        depth, height, width = (
            float(self.spacing[axis]) * (self.unit or 1.0) for axis in self.order
        )
        return depth, height, width

    @property
    def voxel_mm3(self) -> float:
        """Volume of a voxel; a file that names no unit is taken to mean millimetres."""
        return float(abs(np.linalg.det(self.affine[:3, :3]))) * (self.unit or 1.0) ** 3

    @property
    def view(self) -> str:
        """How its planes cut the body: axial, coronal or sagittal; "" where it has no affine."""
        if not self.declared:
            return ""
        return ("sagittal", "coronal", "axial")[_axes_in_space(self.affine)[0][self.order[0]]]

    @property
    def plane_shape(self) -> tuple[int, int, int]:
        """Depth, height and width of the planes."""
        depth, height, width = (self.grid[axis] for axis in self.order)
        return depth, height, width

    def resized(self, plane_shape: tuple[int, int, int]) -> "Geometry":
        """Cover the same space by another number of planes, rows and columns.

        >>> Geometry(np.eye(4), (4, 4, 2), (2, 1, 0), ()).resized((2, 2, 4)).affine.diagonal()
        array([1., 2., 1., 1.])
        """
        shape = list(self.grid)
        for axis, length in zip(self.order, plane_shape, strict=True):
            shape[axis] = length
        times = np.array(self.grid) / np.array(shape)  # old voxels along a new one
        change = np.diag([*times, 1.0])
        change[:3, 3] = (times - 1) / 2  # the outer faces stay, not the centres
        place = self.affine @ change
        first, second, third = shape
        return replace(self, affine=place, shape=(first, second, third), qform=None, header=None)

    def to_planes(self, voxels: np.ndarray) -> np.ndarray:
        """Rearrange an array in file order to [depth, height, width] in radiological display."""
        return np.transpose(np.flip(voxels, self.flips), self.order)

    def from_planes(self, planes: np.ndarray) -> np.ndarray:
        """Undo `to_planes`, giving the array in the file's own order and shape."""
        voxels = np.flip(np.transpose(planes, np.argsort(self.order)), self.flips)
        return np.ascontiguousarray(voxels.reshape(self.shape))


def display_axes(
    affine: np.ndarray, shape: tuple[int, ...]
) -> tuple[tuple[int, int, int], tuple[int, ...]]:
    """Choose the plane axis and the directions of the radiological display.

    Planes are cut across the axis of the largest spacing (the way the scan was acquired), across
    the body's long axis where all are equal. Rows run to posterior or inferior, columns to the
    patient's left.

    Returns:
        The file's axes that become depth, height and width, and those that are turned over.
    """
    world, direction = _axes_in_space(affine)
    spacing = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    axis = int(np.argmax(spacing)) if spacing.max() > 1.2 * np.median(spacing) else world.index(2)
    if len(shape) == 2:
        axis = 2
    # Rows and columns: the world axes in the order S, A, R; S and A shown first.
    rest = sorted((a for a in range(3) if a != axis), key=lambda a: -world[a])
    # Columns to L, rows to P or I, planes to R, A or S.
    flips = tuple(a for a in range(3) if direction[a] != (1 if a == axis else -1))
    return (axis, rest[0], rest[1]), flips


def _axes_in_space(affine: np.ndarray) -> tuple[list[int], list[int]]:
    """Find the world axis (R, A, S) that each file axis is nearest to, and its direction."""
    from nibabel.orientations import io_orientation

    world, direction = io_orientation(affine).T
    return [int(axis) for axis in world], [int(sign) for sign in direction]


def spans_space(affine: np.ndarray | None) -> bool:
    """Whether three axes, of any length (micrometres are 0.001 mm), lie in no common plane."""
    if affine is None or not np.isfinite(affine).all():
        return False
    axes = affine[:3, :3]
    lengths = np.linalg.norm(axes, axis=0)
    return bool(lengths.all() and abs(np.linalg.det(axes / lengths)) > 1e-6)
