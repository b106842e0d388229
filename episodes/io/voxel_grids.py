"""Two voxel grids of which one's voxels lie on the other's: turned, cropped, or the same."""

import json
from dataclasses import asdict, dataclass
from itertools import product

import numpy as np

from episodes.errors import DataError
from episodes.io.geometry import Geometry

TOLERANCE = 0.1
"""How far a voxel of one grid may lie from one of the other, in voxels: headers are rounded."""

Grid3 = tuple[int, int, int]


@dataclass(frozen=True)
class Placement:
    """How the voxels of a mask become planes of its image; zeros where it has none.

    Attributes:
        grid: the mask's shape in its own order.
        order: the mask's axes that become depth, height and width.
        flips: the mask's axes that are turned over.
        offset: where the mask's first plane, row and column lie in the image; may be negative.
        shape: depth, height and width of the image.
    """

    grid: Grid3
    order: Grid3
    flips: tuple[int, ...]
    offset: Grid3
    shape: Grid3

    @property
    def covered(self) -> Grid3:
        """Depth, height and width of the mask once it is turned."""
        depth, height, width = (self.grid[axis] for axis in self.order)
        return depth, height, width

    @property
    def whole(self) -> bool:
        """Whether the mask covers its image, and nothing else."""
        return self.covered == self.shape and not any(self.offset)

    def apply(self, voxels: np.ndarray) -> np.ndarray:
        """Bring voxels in the mask's own order to the planes of the image.

        Raises:
            DataError: their number is not that of `grid`.
        """
        if voxels.size != np.prod(self.grid):
            raise DataError(
                f"a mask has {voxels.shape} voxels; {self.grid} were expected. Did the file change "
                "after the data set was read?"
            )
        planes = np.transpose(np.flip(voxels.reshape(self.grid), self.flips), self.order)
        if self.whole:
            return planes
        found = np.zeros(self.shape, planes.dtype)
        to, of = [], []
        for start, length, whole in zip(self.offset, self.covered, self.shape, strict=True):
            first, last = max(0, start), min(whole, start + length)
            to.append(slice(first, last))
            of.append(slice(first - start, last - start))
        found[tuple(to)] = planes[tuple(of)]
        return found

    @property
    def member(self) -> str:
        """The placement as text, for a `PixelRef`."""
        return json.dumps(asdict(self))

    @classmethod
    def of_member(cls, member: str) -> "Placement":
        """Read what `member` gave."""
        return cls(**{name: tuple(numbers) for name, numbers in json.loads(member).items()})


def as_shown(geometry: Geometry) -> Placement:
    """Place a file on itself: its voxels as planes."""
    return Placement(geometry.grid, geometry.order, geometry.flips, (0, 0, 0), geometry.plane_shape)


def on_lattice(
    affine: np.ndarray, image: Geometry, mask_affine: np.ndarray, grid: Grid3
) -> Placement | None:
    """Place a grid whose voxels all lie on voxels of the image's grid, or on its continuation.

    Along each axis the one has to contain the other: a grid that only overlaps its image was
    shifted, even if by whole voxels.

    Args:
        affine: of the image: one of those that its file has.
        image: how its planes are shown.
        mask_affine: of the mask.
        grid: the shape of the mask in its own order.
    """
    turn, start = _turn(affine, mask_affine, grid)
    if turn is None:
        return None
    source = [int(np.flatnonzero(row)[0]) for row in turn]  # the mask's axis of each image axis
    offsets, flips = [], []
    for axis in image.order:
        length, whole = grid[source[axis]], image.grid[axis]
        backwards = turn[axis, source[axis]] < 0
        low = int(start[axis]) - (length - 1 if backwards else 0)
        inside = low >= 0 and low + length <= whole
        around = low <= 0 and low + length >= whole
        if not (inside or around):
            return None
        shown_backwards = axis in image.flips
        offsets.append(whole - low - length if shown_backwards else low)
        if backwards != shown_backwards:
            flips.append(source[axis])
    order = [source[axis] for axis in image.order]
    return Placement(grid, _three(order), tuple(sorted(flips)), _three(offsets), image.plane_shape)


def _turn(
    affine: np.ndarray, other: np.ndarray, grid: Grid3
) -> tuple[np.ndarray | None, np.ndarray]:
    """Find the signed permutation [image axis, mask axis] and the offset from voxels to voxels.

    Returns:
        None instead of the permutation where a voxel would lie farther than `TOLERANCE` from
        another: the farthest are at the corners.
    """
    step = np.linalg.solve(affine, other)
    scaled = step[:3, :3] / np.abs(step[:3, :3]).max(axis=0)
    turn = np.where(np.abs(scaled) > 0.75, np.sign(scaled), 0)
    nothing = None, np.zeros(3)
    if any((np.abs(turn).sum(axis=axis) != 1).any() for axis in (0, 1)):
        return nothing
    corners = np.array(list(product(*((0, length - 1) for length in grid))), float)
    gaps = corners @ (step[:3, :3] - turn).T + step[:3, 3]
    offset = np.rint(gaps.mean(axis=0))
    if np.abs(gaps - offset).max() > TOLERANCE:
        return nothing
    return turn, offset


def _three(numbers: list[int]) -> Grid3:
    first, second, third = numbers
    return first, second, third
