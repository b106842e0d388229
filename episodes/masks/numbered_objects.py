"""Decides whether the numbers in masks are of objects rather than of classes."""

from collections.abc import Callable, Sequence

import numpy as np

_SAMPLED = 8  # masks checked
_LEAST = 4  # values; fewer are not enough
_WHOLE = 0.8  # share of the values that are one blob
_COLOURS = 2**20  # values from here on are colours


def are_numbered(reads: Sequence[Callable[[], np.ndarray]]) -> bool:
    """Whether most of some masks hold one blob a value, numbered as objects are.

    Args:
        reads: functions that read masks of at least 4 values each.
    """
    step = max(1, len(reads) // _SAMPLED)
    looked = [is_numbered(read()) for read in reads[::step][:_SAMPLED]]
    return sum(looked) > len(looked) / 2


def numbers_objects(masks: Sequence[np.ndarray], least: int, *, strict: bool = True) -> bool:
    """Whether masks number objects of one kind.

    Args:
        masks: labels [depth height width], or colours, which number nothing.
        least: values that one of them has to hold at least.
        strict: at least half of the masks with as many values follow `is_numbered`; otherwise most
            values are one blob each: enough where it is known that all values are of one class.
    """
    if any(each.ndim != 3 or each.max(initial=0) >= _COLOURS for each in masks):
        return False
    counts = [len(np.setdiff1d(np.unique(each), [0])) for each in masks]
    if strict:
        held = [each for each, count in zip(masks, counts, strict=True) if count >= least]
        return bool(held) and sum(map(is_numbered, held)) > len(held) / 2
    if max(counts, default=0) < max(2, least):
        return False
    return sum(_single_blobs(each) for each in masks) >= _WHOLE * sum(counts)


def _single_blobs(labels: np.ndarray) -> int:
    """Count the values that are one blob."""
    from scipy import ndimage

    found = 0
    for value, box in enumerate(ndimage.find_objects(labels), 1):
        if box is not None:
            found += ndimage.label(labels[box] == value, np.ones((3,) * labels.ndim))[1] == 1
    return found


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
