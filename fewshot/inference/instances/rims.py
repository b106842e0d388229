"""Numbered objects as classes that a segmenter can learn: the inside of each, and its rim."""

import numpy as np

from fewshot.inference.instances.splitting import SplitMethod
from fewshot.lazily import lazily

ndimage = lazily("scipy.ndimage")
segmentation = lazily("skimage.segmentation")

INSIDE, RIM = 1, 2
NAMES = ("inside", "rim")


def rim_map(numbers: np.ndarray, method: SplitMethod, radius: float) -> np.ndarray:
    """Mark inside and rim of every object.

    Args:
        numbers: objects [depth height width], 0 background; planes are treated one by one.
        method: "border": the rim is about an eighth of the radius wide, at least one pixel on
            either side of the outline between objects; "seeds": the inside is the core, farther
            from the outline than 0.4 of the object's own largest distance.
        radius: of the objects, in pixels.

    Returns:
        uint8: 0 background, 1 inside, 2 rim.
    """
    return np.stack([_rim_of_plane(plane, method, radius) for plane in numbers])


def _rim_of_plane(numbers: np.ndarray, method: SplitMethod, radius: float) -> np.ndarray:
    depth = depth_inside(numbers)
    if method == "seeds":
        largest = ndimage.maximum(depth, numbers, np.arange(int(numbers.max()) + 1))
        inside = depth > 0.4 * np.asarray(largest)[numbers]
    else:
        inside = depth > max(1.0, radius / 8)
    found = np.where(numbers > 0, np.where(inside, INSIDE, RIM), 0).astype(np.uint8)
    # The gap between neighbours is a rim, too, or a narrow one would be lost.
    gap = (numbers == 0) & _between(numbers)
    found[gap] = RIM if method == "border" else 0
    return found


def depth_inside(numbers: np.ndarray) -> np.ndarray:
    """Distance of each pixel of an object to the nearest pixel that is not of it, 0 outside."""
    edges = segmentation.find_boundaries(numbers, mode="inner", background=0)
    inner = ndimage.distance_transform_edt(~edges) + 1
    return np.where(numbers > 0, inner, 0)


def _between(numbers: np.ndarray) -> np.ndarray:
    """Background pixels that two different objects lie beside."""
    high = ndimage.maximum_filter(numbers, 3)
    low = ndimage.minimum_filter(np.where(numbers > 0, numbers, np.iinfo(np.int32).max), 3)
    return (high > 0) & (low < high)
