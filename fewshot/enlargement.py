"""How much larger images have to be compared for thin structures to be seen."""

import math
from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from episodes.catalog import IGNORE


def enlargement(maps: Sequence[np.ndarray], size: int, stride: int) -> int:
    """Say how many times larger images should be compared for their structures to be seen.

    A structure should be two and a half entries of the feature grid wide. Its width is four times
    the median distance of its pixels to its edge, which is exact for a strip.

    Args:
        maps: label maps uint8 [depth height width], 0 background, 255 unknown.
        size: side of the square in which images are compared, in pixels.
        stride: pixels of that square an entry of the feature grid.

    Returns:
        1, 2 or 3; what the class with the thinnest structures needs.
    """
    distances: dict[int, list[np.ndarray]] = {}
    for found in maps:
        scale = size / max(found.shape[1:])
        for plane in found:
            for label in np.unique(plane[(plane > 0) & (plane != IGNORE)]):
                inside = plane == label
                if inside.all():  # no edge: as wide as can be
                    distances.setdefault(int(label), []).append(np.array([float(size)]))
                    continue
                edge = ndimage.distance_transform_edt(np.pad(inside, 1, mode="edge"))[1:-1, 1:-1]
                distances.setdefault(int(label), []).append(edge[inside] * scale)
    width = 4 * min(float(np.median(np.concatenate(values))) for values in distances.values())
    return min(3, math.ceil(2.5 * stride / width))
