"""Decides whether the numbers in masks are of objects rather than of classes."""

from collections.abc import Callable, Sequence

import numpy as np

_SAMPLED = 8  # masks checked
_LEAST = 4  # values; fewer are not enough


def are_numbered(reads: Sequence[Callable[[], np.ndarray]]) -> bool:
    """Whether most of some masks hold one blob a value, numbered as objects are.

    Args:
        reads: functions that read masks of at least 4 values each.
    """
    step = max(1, len(reads) // _SAMPLED)
    looked = [is_numbered(read()) for read in reads[::step][:_SAMPLED]]
    return sum(looked) > len(looked) / 2


def is_numbered(labels: np.ndarray) -> bool:
    """Whether every value is one blob, and they are in reading order or of similar size.

    Programs that label objects number them in reading order; for four blobs that happens by chance
    once in 24 times. Objects of one kind are of similar size, and organs are not.

    Args:
        labels: whole numbers from 0 upwards [depth height width].
    """
    from scipy import ndimage  # loads slowly, and is rarely needed

    boxes = ndimage.find_objects(labels)
    values = [value for value, box in enumerate(boxes, 1) if box is not None]
    if len(values) < _LEAST:
        return False
    firsts, areas = [], []
    for value in values:
        inside = labels[boxes[value - 1]] == value
        if ndimage.label(inside, np.ones((3,) * labels.ndim))[1] != 1:
            return False
        areas.append(int(inside.sum()))
        place = np.unravel_index(int(inside.argmax()), inside.shape)
        firsts.append(tuple(p + box.start for p, box in zip(place, boxes[value - 1], strict=True)))
    similar = np.percentile(areas, 90) <= 6 * np.percentile(areas, 10)
    return firsts == sorted(firsts) or (len(values) >= 2 * _LEAST and bool(similar))
