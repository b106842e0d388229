"""How much larger images have to be compared for thin structures to be seen."""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from episodes.io.pixels import IGNORE
from fewshot.lazily import lazily

ndimage = lazily("scipy.ndimage")
_ENTRIES = 2.5  # of the feature grid: the least width of a structure
_HALVINGS, _PLANES = 10, 8


def upsampling_factor(maps: Sequence[np.ndarray], size: int, stride: int) -> int:
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
    if _all_wide(maps, size, stride):
        return 1
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
    return min(3, math.ceil(_ENTRIES * stride / width))


def _all_wide(maps: Sequence[np.ndarray], size: int, stride: int) -> bool:
    """Whether every class is sure to be wide enough as it is, told without exact distances."""
    return _mostly_deep(maps, _ENTRIES * stride / 4 / size)


def structure_width(maps: Sequence[np.ndarray]) -> float:
    """Measure how wide the structures of the thinnest class are, as a share of the longest side.

    As in `upsampling_factor`, but by squares instead of exact distances, so that no SciPy is
    loaded: of a strip along the grid the width itself, of a disc about 0.8 of its diameter.

    Args:
        maps: label maps uint8 [depth height width], 0 background, 255 unknown; of a volume, eight
            planes are looked at.
    """
    few = [found[_marked_planes(found)] for found in maps]
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if _mostly_deep(few, middle / 4) else (low, middle)
    return high


def _marked_planes(found: np.ndarray) -> np.ndarray:
    """Choose some of the planes of label maps in which anything is marked, evenly spaced."""
    marked = np.flatnonzero(((found > 0) & (found != IGNORE)).any(axis=(1, 2)))
    return marked[np.linspace(0, len(marked) - 1, min(len(marked), _PLANES)).round().astype(int)]


def _mostly_deep(maps: Sequence[np.ndarray], depth: float) -> bool:
    """Whether most pixels of every class are at least so far from its edge.

    A pixel whose square of side 2 r + 1 lies within its structure is more than r from the edge. If
    most are, so is the median.

    Args:
        maps: label maps uint8 [depth height width].
        depth: as a share of the longest side.
    """
    deep, every = Counter[int](), Counter[int]()
    for found in maps:
        radius = math.ceil(depth * max(found.shape[1:])) - 1
        for plane in found:
            for label in np.unique(plane[(plane > 0) & (plane != IGNORE)]).tolist():
                inside = _cropped(plane == label, radius + 1)
                every[label] += int(inside.sum())
                deep[label] += int(_eroded(inside, radius).sum())
    return all(2 * deep[label] > every[label] for label in every)


def _cropped(inside: np.ndarray, rim: int) -> np.ndarray:
    """Cut away what is far from a structure."""
    for axis in (0, 1):
        shown = np.flatnonzero(inside.any(axis=1 - axis))
        start, stop = max(0, shown[0] - rim), shown[-1] + 1 + rim
        inside = inside[start:stop] if axis == 0 else inside[:, start:stop]
    return inside


def _eroded(inside: np.ndarray, radius: int) -> np.ndarray:
    """Keep pixels whose whole square lies inside; what is beyond the picture does not count."""
    for axis in (0, 1):
        width = [(radius + 1, radius) if each == axis else (0, 0) for each in (0, 1)]
        sums = np.pad(inside, width, mode="edge").cumsum(axis=axis, dtype=np.int32)
        upper = np.take(sums, range(2 * radius + 1, sums.shape[axis]), axis=axis)
        lower = np.take(sums, range(sums.shape[axis] - 2 * radius - 1), axis=axis)
        inside = upper - lower == 2 * radius + 1
    return inside
