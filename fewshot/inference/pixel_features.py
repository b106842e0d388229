"""Features of every pixel at several scales, as interactive pixel classification uses them."""

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from episodes.io.pixels import IGNORE
from fewshot.lazily import lazily

ndimage = lazily("scipy.ndimage")

SIGMAS = (0.7, 1.0, 1.6, 3.5, 5.0, 10.0)
"""Standard deviations of the Gaussians, in pixels."""
FEATURES_PER_SCALE = 7
_TRUNCATE = 3.0  # filters end at so many standard deviations
_WINDOW = 0.5  # that the structure tensor is averaged over, in sigmas

Plane = Float[Tensor, "height width"]


def pixel_features(image: np.ndarray, sigmas: Sequence[float] = SIGMAS) -> np.ndarray:
    """Describe every pixel by Gaussian filters of its surroundings.

    For each channel and sigma: the smoothed image, Laplacian of Gaussian, gradient magnitude, and
    the eigenvalues, larger first, of the structure tensor and of the Hessian.

    Args:
        image: float32 [height width channel].
        sigmas: standard deviations in pixels, above 0.

    Returns:
        float32 [height width feature]; the features of a channel lie together, in the order of the
        sigmas.

    Paper:
        Berg et al., ilastik: interactive machine learning for (bio)image analysis, Nature Methods
        2019.

    >>> pixel_features(np.zeros((4, 5, 3), np.float32), (1.0, 2.0)).shape
    (4, 5, 42)
    """
    return np.ascontiguousarray(np.moveaxis(pixel_planes(image, sigmas), 0, 2))


def pixel_planes(image: np.ndarray, sigmas: Sequence[float] = SIGMAS) -> np.ndarray:
    """The same, each feature a plane: float32 [feature height width]."""
    height, width, channels = image.shape
    found = np.empty((channels * len(sigmas) * FEATURES_PER_SCALE, height, width), np.float32)
    position = 0
    for channel in range(channels):
        plane = torch.from_numpy(np.ascontiguousarray(image[..., channel], np.float32))
        for sigma in sigmas:
            for feature in _at_scale(plane, sigma):
                found[position] = feature
                position += 1
    return found


def draw_pixels(
    maps: list[np.ndarray], pixels: int, generator: np.random.Generator
) -> list[np.ndarray]:
    """Draw known pixels, as many of each label as there are, up to an equal share.

    Args:
        maps: labels of each image [height width]; 255 is unknown and not drawn.
        pixels: at most so many in all, but one of each label at least.
        generator: of the draw.

    Returns:
        Positions in each flattened image, in order.
    """
    flat = np.concatenate([labels.ravel() for labels in maps])
    present = [label for label in np.unique(flat) if label != IGNORE]
    share = max(1, pixels // len(present))
    drawn = []
    for label in present:
        places = np.flatnonzero(flat == label)
        if len(places) > share:
            places = generator.choice(places, share, replace=False)
        drawn.append(places)
    places = np.sort(np.concatenate(drawn))
    ends = np.cumsum([labels.size for labels in maps])
    starts = ends - [labels.size for labels in maps]
    return [
        places[(places >= start) & (places < end)] - start
        for start, end in zip(starts, ends, strict=True)
    ]


def _at_scale(plane: Plane, sigma: float) -> Iterator[Plane]:
    """Compute the features of one channel [height width] and scale."""
    smooth_along, across_along, second_along = _derivatives(plane, sigma, 1, (0, 1, 2))
    smooth, down, down_down = _derivatives(smooth_along, sigma, 0, (0, 1, 2))
    across, down_across = _derivatives(across_along, sigma, 0, (0, 1))
    (across_across,) = _derivatives(second_along, sigma, 0, (0,))
    yield smooth
    yield down_down + across_across
    yield torch.hypot(down, across)
    tensor = (
        _derivatives(_derivatives(product, _WINDOW * sigma, 0, (0,))[0], _WINDOW * sigma, 1, (0,))
        for product in (down * down, down * across, across * across)
    )
    yield from _eigenvalues(*(averaged for (averaged,) in tensor))
    yield from _eigenvalues(down_down, down_across, across_across)


def _derivatives(plane: Plane, sigma: float, axis: int, orders: Sequence[int]) -> list[Plane]:
    """Filter along one axis with derivatives of a Gaussian; beyond the borders is their mirror.

    A filter is a weighted sum of shifted planes. This takes a fifth of the time of SciPy's, which
    computes in double precision.
    """
    length, radius = plane.shape[axis], int(_TRUNCATE * sigma + 0.5)
    places = torch.arange(-radius, length + radius) % (2 * length)
    padded = plane.index_select(axis, torch.minimum(places, 2 * length - 1 - places))
    shifted = [padded.narrow(axis, shift, length) for shift in range(2 * radius + 1)]
    found = []
    for order in orders:
        total = torch.zeros_like(plane)
        for weight, part in zip(_kernel(sigma, order), shifted, strict=True):
            total.add_(part, alpha=weight)
        found.append(total)
    return found


@lru_cache(maxsize=64)
def _kernel(sigma: float, order: int) -> tuple[float, ...]:
    """Weights of SciPy's filter; a second derivative is 0 of a constant, although it ends."""
    radius = int(_TRUNCATE * sigma + 0.5)
    impulse = np.zeros(2 * radius + 1)
    impulse[radius] = 1
    found = ndimage.gaussian_filter1d(
        impulse, sigma, order=order, truncate=_TRUNCATE, mode="constant"
    )
    if order == 2:
        found = found - found.sum() * np.array(_kernel(sigma, 0))
    return tuple(found.tolist())


def _eigenvalues(a: Plane, b: Plane, c: Plane) -> tuple[Plane, Plane]:
    """Return the larger and the smaller eigenvalue of [[a, b], [b, c]]."""
    middle, radius = (a + c) / 2, torch.hypot((a - c) / 2, b)
    return middle + radius, middle - radius
