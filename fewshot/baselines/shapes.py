"""Shapes as signed distance maps in a circle of one size, and where they fit an image best."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from fewshot.lazily import lazily

decomposition = lazily("sklearn.decomposition")
optimize = lazily("scipy.optimize")
signal = lazily("scipy.signal")

_SIDE = 96  # of the square that holds a shape, in its pixels
_RADIUS = 36.0  # of the circle around every shape, in the same
_SCALES = (0.7, 0.85, 1.0, 1.2, 1.4)
"""Of the mean annotated size, that are sought."""
_TURNS = (-0.35, 0.0, 0.35)  # radians
_EVALUATIONS = 250
_STIFFNESS = 0.02  # cost of a mode at one standard deviation


@dataclass(frozen=True, eq=False)
class Shape:
    """A shape and how it varies.

    Attributes:
        mean: signed distance, positive inside, in pixels of its square [side side].
        modes: at one standard deviation [mode side side].
        radius: mean radius of the circle around the annotated shapes, as a share of the longer
            side of their images.
        empty: whether no annotated image shows the class.
    """

    mean: np.ndarray
    modes: np.ndarray
    radius: float
    empty: bool = False


def learn_shape(masks: Sequence[np.ndarray], modes: int) -> Shape:
    """Move and scale masks to one circle, and find the mean and the modes of their distance maps.

    Args:
        masks: bool [height width] of each image; empty ones are left out.
        modes: at most so many.
    """
    shown = [mask for mask in masks if mask.any()]
    if not shown:
        return Shape(np.zeros((_SIDE, _SIDE)), np.zeros((0, _SIDE, _SIDE)), 0.0, empty=True)
    aligned = [_aligned(mask) for mask in shown]
    maps = np.stack([distance for distance, _ in aligned])
    radius = float(np.mean([r / max(m.shape) for (_, r), m in zip(aligned, shown, strict=True)]))
    count = min(modes, len(maps) - 1)
    if count < 1:
        return Shape(maps.mean(axis=0), np.zeros((0, _SIDE, _SIDE)), radius)
    pca = decomposition.PCA(count, svd_solver="full").fit(maps.reshape(len(maps), -1))
    found = pca.components_ * np.sqrt(pca.explained_variance_)[:, None]
    return Shape(maps.mean(axis=0), found.reshape(-1, _SIDE, _SIDE), radius)


def fit_shape(
    shape: Shape, odds: np.ndarray, gradient: np.ndarray, edges: float, modes: int
) -> np.ndarray:
    """Find the place, scale, turn and modes with the most evidence inside.

    Args:
        shape: of the class.
        odds: log odds of the class [height width].
        gradient: of the image, 0 to 1 [height width].
        edges: weight of the mean gradient along the contour.
        modes: that are fitted, at most.

    Returns:
        bool [height width].
    """
    if shape.empty:
        return np.zeros(odds.shape, bool)
    radius = shape.radius * max(odds.shape)
    variable = shape.modes[:modes]
    start = _place(shape, odds, radius)
    outside = np.abs(odds).mean() + 1e-6

    def cost(values: np.ndarray) -> float:
        window = _window(values, odds.shape)  # beyond it nothing is inside, nor on the contour
        distance = shape.mean + np.tensordot(values[4:], variable, 1)
        found = _laid(distance, values, odds.shape, window)
        inside = np.clip(found + 0.5, 0, 1)
        region = (odds[window] * inside).sum() / (outside * max(np.pi * radius**2, 1))
        along = 0.0
        if edges:
            contour = np.exp(-(found**2) / 2)
            along = (gradient[window] * contour).sum() / max(contour.sum(), 1e-6)
        return float(-region - edges * along + _STIFFNESS * (values[4:] ** 2).sum())

    first = np.concatenate([start, np.zeros(len(variable))])
    steps = np.diag([radius / 6, radius / 6, 0.15, 0.2, *[1.0] * len(variable)])
    result = optimize.minimize(
        *(cost, first),
        method="Nelder-Mead",
        options={
            "initial_simplex": np.concatenate([first[None], first + steps]),
            "maxfev": _EVALUATIONS,
            "xatol": 0.02,
            "fatol": 1e-4,
        },
    )
    return _laid(shape.mean + np.tensordot(result.x[4:], variable, 1), result.x, odds.shape) > 0


def _aligned(mask: np.ndarray) -> tuple[np.ndarray, float]:
    """Signed distance of a mask in its square, and the radius of the circle around it."""
    places = np.argwhere(mask)
    centre = places.mean(axis=0)
    radius = max(1.0, float(np.sqrt(((places - centre) ** 2).sum(axis=1)).max()) + 0.5)
    scale = radius / _RADIUS
    corner = centre - scale * (_SIDE - 1) / 2
    inside = ndimage.affine_transform(
        mask.astype(np.float32), np.full(2, scale), corner, (_SIDE, _SIDE), order=1
    )
    marked = inside > 0.5
    if not marked.any():  # thinner than a pixel of the square
        marked = inside >= inside.max()
    return _signed(marked), radius


def _signed(mask: np.ndarray) -> np.ndarray:
    """Distance to the border, positive inside: float64 [height width]."""
    inside = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    outside = ndimage.distance_transform_edt(~mask)
    return np.where(mask, inside - 0.5, 0.5 - outside)


def _place(shape: Shape, odds: np.ndarray, radius: float) -> np.ndarray:
    """Find row, column, log scale and turn by correlating the evidence with the mean shape."""
    best, found = -np.inf, np.zeros(4)
    for scale in _SCALES:
        size = radius * scale / _RADIUS
        side = max(3, round(_SIDE * size) | 1)
        for turn in _TURNS:
            values = np.array([(side - 1) / 2, (side - 1) / 2, np.log(size), turn])
            template = np.clip(_laid(shape.mean, values, (side, side)) + 0.5, 0, 1)
            sums = signal.fftconvolve(odds, template[::-1, ::-1], mode="same")
            highest = float(sums.max())
            if highest > best + 1e-6:
                row, column = np.unravel_index(sums.argmax(), sums.shape)
                best, found = highest, np.array([row, column, np.log(size), turn])
    return found


def _window(values: np.ndarray, shape: tuple[int, ...]) -> tuple[slice, ...]:
    """Rows and columns of an image that the square of shapes covers; of none the nearest."""
    half = _SIDE / 2 * np.exp(values[2]) * (abs(np.cos(values[3])) + abs(np.sin(values[3])))
    found = []
    for centre, length in zip(values[:2], shape, strict=True):
        first = int(np.clip(np.floor(centre - half), 0, length - 1))
        found.append(slice(first, int(np.clip(np.ceil(centre + half) + 1, first + 1, length))))
    return tuple(found)


def _laid(
    distance: np.ndarray,
    values: np.ndarray,
    shape: tuple[int, ...],
    window: tuple[slice, ...] | None = None,
) -> np.ndarray:
    """Lay a distance map on an image: signed distance in its pixels [height width].

    Args:
        distance: in the square of shapes.
        values: row and column of the centre, log of image pixels a pixel of the square, and turn.
        shape: of the image.
        window: the part of the image that is computed; by default all of it.
    """
    corner = np.array([0.0, 0.0])
    if window is not None:
        corner = np.array([each.start for each in window])
        shape = tuple(each.stop - each.start for each in window)
    row, column, size, turn = values[:4]
    scale = np.exp(size)
    cos, sin = np.cos(turn) / scale, np.sin(turn) / scale
    matrix = np.array([[cos, sin], [-sin, cos]])
    offset = (_SIDE - 1) / 2 - matrix @ (np.array([row, column]) - corner)
    outside = float(distance.min())
    laid = ndimage.affine_transform(distance, matrix, offset, shape, order=1, cval=outside)
    return laid * scale
