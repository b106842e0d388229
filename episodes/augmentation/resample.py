"""Taking the pixels of an image and its labels from the same places.

Pure functions; `episodes.augmentation.spatial` draws their arguments.
"""

import math
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

from episodes.io.pixels import IGNORE


def resample(
    images: Float[Tensor, "*batch channel height width"],
    labels: UInt8[Tensor, "*batch height width"],
    displacement: Float[Tensor, "height width 2"],
) -> tuple[Tensor, Tensor]:
    """Take every output pixel from its place plus a displacement.

    Args:
        images: interpolated linearly; what comes from outside is black.
        labels: the nearest is taken; what comes from outside is 255.
        displacement: (column, row) in pixels, from an output pixel to its source in the input.

    Returns:
        Images and labels of the same shapes.
    """
    if not displacement.any():
        return images, labels
    height, width = labels.shape[-2:]
    # What torchvision's elastic does, with one grid for both and no extra channel for the fill.
    grid = torch.addcmul(_places(height, width), displacement, _per_pixel(height, width))
    flat, masks = images.reshape(-1, *images.shape[-3:]), labels.reshape(-1, 1, height, width)
    grids = grid.expand(len(flat), -1, -1, -1)
    moved = functional.grid_sample(flat, grids, mode="bilinear", align_corners=False)
    # Outside is 0: counted from 255 downwards, that is 255. float32 holds every label exactly.
    found = functional.grid_sample(
        masks.float() - IGNORE, grids, mode="nearest", align_corners=False
    )
    return moved.reshape(images.shape), (found + IGNORE).byte().reshape(labels.shape)


@lru_cache(4)
def _places(height: int, width: int) -> Float[Tensor, "1 height width 2"]:
    """The pixels' centres (column, row) where -1 and 1 are the picture's edges."""
    columns, rows = ((2 * torch.arange(n) + 1) / n - 1 for n in (width, height))
    return torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1)[None]


def _per_pixel(height: int, width: int) -> Tensor:
    return torch.tensor([2 / width, 2 / height])


def affine_matrix(
    rotation: float, shear: tuple[float, float], scale: float
) -> Float[np.ndarray, "2 2"]:
    """Make the matrix that carries (column, row) from the centre of the image: R * shear * scale.

    Args:
        rotation: clockwise in the image, in degrees.
        shear: along the columns and along the rows, in degrees.
        scale: factor of lengths.

    Example:
        >>> affine_matrix(90, (0, 0), 2).round(6) + 0.0  # what was on the right is below
        array([[ 0., -2.],
               [ 2.,  0.]])
    """
    angle, across, down = (math.radians(value) for value in (rotation, *shear))
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    tilt = np.array([[1, 0], [-math.tan(down), 1]]) @ np.array([[1, -math.tan(across)], [0, 1]])
    return scale * turn @ tilt


def displacement(
    matrix: np.ndarray, bend: Tensor | None, size: tuple[int, int]
) -> Float[Tensor, "height width 2"]:
    """From each output pixel x to its source, x + bend(x) taken back through the matrix.

    Args:
        matrix: 2 x 3, [A | t]: a point p from the centre lands at A p + t, in pixels.
        bend: displacement (column, row) after that, [height width 2] in pixels; None for none.
        size: (height, width) in pixels.

    Returns:
        (column, row) in pixels, as `resample` takes it.
    """
    height, width = size
    back = np.linalg.inv(matrix[:, :2])
    still = np.allclose(matrix, np.eye(2, 3), rtol=0, atol=0)
    if still:
        return torch.zeros(*size, 2) if bend is None else bend
    # Displacement of x: back (x + bend - shift) - x, a column and a row of it at a time.
    (a, b), (c, d) = back.tolist()
    right, down = (-back @ matrix[:, 2]).tolist()
    columns = torch.arange(width) - (width - 1) / 2
    rows = torch.arange(height)[:, None] - (height - 1) / 2
    across = ((a - 1) * columns + right) + b * rows
    along = c * columns + ((d - 1) * rows + down)
    if bend is not None:
        across.add_(bend[..., 0], alpha=a).add_(bend[..., 1], alpha=b)
        along.add_(bend[..., 0], alpha=c).add_(bend[..., 1], alpha=d)
    return torch.stack([across, along], dim=-1)
