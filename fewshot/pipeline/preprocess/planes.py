"""What preprocess steps share: planes as floats, one after another, between the same limits."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from fewshot.inference.inputs import ImageStack
from fewshot.lazily import lazily

letterbox = lazily("episodes.catalog.letterbox")  # imports torch

UNIT = (0.0, 1.0)
Limits = tuple[float, float] | tuple[tuple[float, float], ...]


def map_planes(pixels: np.ndarray, function: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Apply a function to each plane, float32 [height width] or [height width 3].

    Returns:
        float32 [depth height width] or [depth height width 3].
    """
    planes = (function(plane.astype(np.float32)) for plane in pixels)
    return np.stack([np.asarray(plane, np.float32) for plane in planes])


def limits_of(picture: ImageStack) -> tuple[float, float]:
    """Return the intensities that become black and white; the widest where planes differ."""
    known = picture.limits
    if known is None:
        low, high = letterbox.intensity_range(picture.pixels)
        return low, high
    pairs = np.array(known, np.float64).reshape(-1, 2)
    return float(pairs[:, 0].min()), float(pairs[:, 1].max())


def scaled(picture: ImageStack) -> tuple[np.ndarray, float, float]:
    """Bring the intensities between an image's limits to 0..1: float32, not clipped.

    Returns:
        Pixels, and the lower limit and the difference of both, which bring them back.
    """
    low, high = limits_of(picture)
    span = max(high - low, 1e-12)
    return (picture.pixels.astype(np.float32) - np.float32(low)) / np.float32(span), low, span


def with_intensities(picture: ImageStack, pixels: np.ndarray, limits: Limits | None) -> ImageStack:
    """Put pixels into the place of an image's; limits become black and white."""
    return replace(picture, pixels=pixels, limits=limits, key=None)
