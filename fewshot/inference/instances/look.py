"""Which annotated images a query looks like: stained, bright or dark."""

from collections.abc import Sequence

import numpy as np

from episodes.catalog.letterbox import intensity_range
from fewshot.inference.inputs import ImageStack

COLOURED = 0.04
"""Least difference between the highest and the lowest channel, mean over pixels, of the range."""
BRIGHT = 0.5
"""Least median of an image with a bright background, in its own range."""


def look_of(picture: ImageStack) -> str:
    """Tell "coloured", "bright" or "dark" of an image of any depth of intensities.

    >>> look_of(ImageStack(np.full((1, 2, 2, 3), (200, 150, 180), np.uint8), "a"))
    'coloured'
    """
    pixels = picture.pixels
    full = 255.0 if pixels.dtype == np.uint8 else max(float(pixels.max()), 1e-12)
    if pixels.ndim == 4:
        step = max(1, pixels[..., 0].size // 1_000_000)
        colours = pixels.reshape(-1, 3)[::step].astype(np.float32)
        if float(np.ptp(colours, axis=1).mean()) / full > COLOURED:
            return "coloured"
    low, high = intensity_range(pixels)
    middle = (float(np.median(pixels)) - low) / max(high - low, 1e-12)
    return "bright" if middle >= BRIGHT else "dark"


def groups_of(pictures: Sequence[ImageStack]) -> dict[str, list[int]]:
    """List the pictures of each look, by their places."""
    found: dict[str, list[int]] = {}
    for place, picture in enumerate(pictures):
        found.setdefault(look_of(picture), []).append(place)
    return found
