"""Outlines of masks, and boundary IoU: the overlap of two masks near their outlines only."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewshot.ignored import DEFAULT
from fewshot.metrics.arrays import as_label_pair, refuse_black_white

Mask = NDArray[np.bool_]


def boundary_iou(
    labels: Any,
    reference: Any,
    *,
    width: int | None = None,
    class_index: int = 1,
    ignore_index: int | None = DEFAULT,
) -> float:
    """Intersection over union of the two inner bands along the outlines.

    Args:
        labels: predicted labels or mask, ``[height width]`` or ``[depth height width]``.
        reference: reference labels or mask of the same shape.
        width: how many pixels the band is wide, >= 1, by chessboard distance; None takes 2 % of
            the image diagonal as the paper does.
        class_index: the class whose boundary is compared; 1 is True in a mask.
        ignore_index: pixels with this reference label are dropped; None switches it off.

    Returns:
        A score in 0..1; 0 if one mask is empty, NaN if both are.

    Raises:
        ValueError: the shapes differ or the width is below 1.

    Example:
        A 3 x 3 square against the same square without its right column: bands of one pixel hold 8
        and 6 pixels and share 5.

        >>> square = np.zeros((5, 5), int)
        >>> square[1:4, 1:4] = 1
        >>> cut = square.copy()
        >>> cut[:, 3] = 0
        >>> round(boundary_iou(cut, square, width=1), 4)
        0.5556

    Paper:
        Cheng et al., Boundary IoU: improving object-centric image segmentation evaluation, CVPR
        2021.
    """
    first, second = as_label_pair(labels, reference)
    refuse_black_white(first, second, class_index, ignore_index)
    if width is None:
        width = max(1, round(0.02 * math.hypot(*first.shape)))
    if width < 1:
        raise ValueError(f"width is {width}, expected at least 1 pixel")
    band = inner_band(first == class_index, width)
    truth = inner_band(second == class_index, width)
    if ignore_index is not None:
        counted = second != ignore_index
        band, truth = band & counted, truth & counted
    union = np.count_nonzero(band | truth)
    return float(np.count_nonzero(band & truth) / union) if union else float("nan")


def surface(mask: Mask, ignored: Mask | None = None) -> Mask:
    """Mark the pixels of a mask that have a face neighbour outside it.

    Args:
        mask: bool, any number of axes.
        ignored: bool of the same shape; such pixels are no surface and no outside.

    Returns:
        bool of the same shape.

    Example:
        >>> surface(np.ones((3, 3), bool)).astype(int)
        array([[1, 1, 1],
               [1, 0, 1],
               [1, 1, 1]])
    """
    filled = mask if ignored is None else mask | ignored
    inner = filled.copy()
    for axis in range(mask.ndim):
        source, target = np.moveaxis(filled, axis, 0), np.moveaxis(inner, axis, 0)
        target[1:] &= source[:-1]
        target[:-1] &= source[1:]
        target[:1] = False
        target[-1:] = False
    edge = mask & ~inner
    return edge if ignored is None else edge & ~ignored


def inner_band(mask: Mask, width: int) -> Mask:
    """Mark the pixels of a mask within a chessboard distance of what is outside it.

    Args:
        mask: bool, any number of axes; outside the image counts as outside the mask.
        width: how many pixels the band is wide, >= 1.

    Returns:
        bool of the same shape.

    Example:
        >>> inner_band(np.ones((1, 5), bool), width=1).astype(int)
        array([[1, 1, 1, 1, 1]])
    """
    from scipy.ndimage import minimum_filter1d

    core = mask.astype(np.uint8)
    for axis in range(mask.ndim):  # a square erosion is one line erosion an axis
        core = minimum_filter1d(core, 2 * width + 1, axis=axis, mode="constant", cval=0)
    return mask & (core == 0)
