"""Features of every pixel at several scales, as interactive pixel classification uses them."""

from collections.abc import Iterator, Sequence

import numpy as np
from scipy import ndimage

from episodes.io.pixels import IGNORE

SIGMAS = (0.7, 1.0, 1.6, 3.5, 5.0, 10.0)
"""Standard deviations of the Gaussians, in pixels."""
FEATURES_PER_SCALE = 7
_TRUNCATE = 3.0  # filters end at so many standard deviations
_WINDOW = 0.5  # that the structure tensor is averaged over, in sigmas


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
        plane = np.ascontiguousarray(image[..., channel], np.float32)
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


def _at_scale(plane: np.ndarray, sigma: float) -> Iterator[np.ndarray]:
    """Compute the features of one channel [height width] and scale."""
    along = [_derivative(plane, sigma, 1, order) for order in range(3)]
    gain = _gain(sigma)
    smooth, across = (_derivative(along[order], sigma, 0, 0) for order in (0, 1))
    across_across = _derivative(along[2], sigma, 0, 0) - gain * smooth
    down, down_across = (_derivative(along[order], sigma, 0, 1) for order in (0, 1))
    down_down = _derivative(along[0], sigma, 0, 2) - gain * smooth
    yield smooth
    yield down_down + across_across
    yield np.hypot(down, across)
    window = _WINDOW * sigma
    tensor = (
        ndimage.gaussian_filter(product, window, truncate=_TRUNCATE)
        for product in (down * down, down * across, across * across)
    )
    yield from _eigenvalues(*tensor)
    yield from _eigenvalues(down_down, down_across, across_across)


def _derivative(plane: np.ndarray, sigma: float, axis: int, order: int) -> np.ndarray:
    return ndimage.gaussian_filter1d(plane, sigma, axis, order, truncate=_TRUNCATE)


def _gain(sigma: float) -> float:
    """Response of the second derivative to a constant 1, not 0 because the filter ends."""
    one = np.ones(1)
    return float(ndimage.gaussian_filter1d(one, sigma, order=2, truncate=_TRUNCATE)[0])


def _eigenvalues(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the larger and the smaller eigenvalue of [[a, b], [b, c]]."""
    middle, radius = (a + c) / 2, np.hypot((a - c) / 2, b)
    return middle + radius, middle - radius
