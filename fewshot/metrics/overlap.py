"""The confusion matrix, and the overlap of every class that follows from it.

Every function takes ``confusion [... classes classes]``, rows the reference and columns the
prediction, so that counts can be summed over images, batches and processes before a score is
taken, or kept a case each. What happens to empty and missing classes is described in
``fewshot.metrics``.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewshot.ignored import DEFAULT, black_white, is_black_white
from fewshot.metrics.arrays import as_label_pair

Counts = NDArray[Any]
Scores = NDArray[np.float64]

_CHUNK = 1 << 18  # pixels a bincount: the codes stay in the cache and memory stays flat


def confusion_matrix(
    labels: Any, reference: Any, classes: int, ignore_index: int | None = DEFAULT
) -> NDArray[np.int64]:
    """Count how often each reference class was given each predicted class.

    Args:
        labels: predicted labels in 0..classes-1, any shape.
        reference: reference labels of the same shape, in 0..classes-1 or ``ignore_index``.
        classes: how many classes there are, background included; at least 1.
        ignore_index: pixels with this reference label are dropped; None drops nothing.

    Returns:
        int64 ``[classes classes]``: row the reference, column the prediction.

    Raises:
        ValueError: the shapes differ, a counted label is outside 0..classes-1, or the reference
            is a mask of 0 and 255.
        TypeError: the labels are not integers.

    Example:
        >>> confusion_matrix([0, 1, 1, 1], [0, 0, 1, 255], classes=2)
        array([[1, 1],
               [0, 1]])
    """
    if classes < 1:
        raise ValueError(f"classes is {classes}, expected at least 1")
    first, second = as_label_pair(labels, reference)
    first, second = first.reshape(-1), second.reshape(-1)
    small = first.dtype == second.dtype == np.uint8 and classes <= 256
    count = _count_bytes if small else _count_integers
    table = count(first, second, classes, ignore_index)
    if is_black_white(ignore_index, bool(table[1:].any()), int(table.sum()), second.size):
        raise black_white("reference")
    return table


def _count_bytes(
    labels: Counts, reference: Counts, classes: int, ignore_index: int | None
) -> NDArray[np.int64]:
    """Count all 256 x 256 pairs: the range check and the ignored row then cost nothing."""
    table = np.zeros(1 << 16, np.int64)
    for start in range(0, labels.size, _CHUNK):
        code = reference[start : start + _CHUNK].astype(np.uint16)
        code <<= 8
        code |= labels[start : start + _CHUNK]
        table += np.bincount(code, minlength=1 << 16)
    pairs = table.reshape(256, 256)
    if ignore_index is not None and 0 <= ignore_index < 256:
        pairs[ignore_index] = 0
    if classes < 256:
        _check_range("reference", np.flatnonzero(pairs.sum(axis=1)), classes, ignore_index)
        _check_range("labels", np.flatnonzero(pairs.sum(axis=0)), classes, ignore_index)
    return pairs[:classes, :classes].copy()


def _count_integers(
    labels: Counts, reference: Counts, classes: int, ignore_index: int | None
) -> NDArray[np.int64]:
    """Count pairs of any integer type, dropping ignored pixels first."""
    table = np.zeros(classes * classes, np.int64)
    for start in range(0, labels.size, _CHUNK):
        row, column = reference[start : start + _CHUNK], labels[start : start + _CHUNK]
        if ignore_index is not None:
            counted = row != ignore_index
            if not counted.all():
                row, column = row[counted], column[counted]
        if not row.size:
            continue
        _check_range("reference", np.array([row.min(), row.max()]), classes, ignore_index)
        _check_range("labels", np.array([column.min(), column.max()]), classes, ignore_index)
        code = row.astype(np.intp)
        code *= classes
        code += column.astype(np.intp, copy=False)
        table += np.bincount(code, minlength=classes * classes)
    return table.reshape(classes, classes)


def _check_range(name: str, values: Counts, classes: int, ignore_index: int | None) -> None:
    outside = values[(values < 0) | (values >= classes)]
    if outside.size:
        raise ValueError(
            f"{name} holds {int(outside[0])}, expected 0..{classes - 1} where the reference is "
            f"not ignore_index={ignore_index}; raise classes or map the label first (a mask of 0 "
            "and 255 becomes labels by mask > 0)"
        )


def dice(confusion: Counts) -> Scores:
    """Dice coefficient (F1) of every class: 2 TP / (2 TP + FP + FN).

    Args:
        confusion: counts ``[... classes classes]``.

    Returns:
        ``[... classes]`` in 0..1; NaN where the class is in neither.

    Example:
        Class 0 has TP 3, FP 1, FN 2; class 1 has TP 4, FP 2, FN 1; class 2 does not occur.

        >>> dice(np.array([[3, 2, 0], [1, 4, 0], [0, 0, 0]])).round(4)
        array([0.6667, 0.7273,    nan])

    Paper:
        Dice, Measures of the amount of ecologic association between species, Ecology 1945.
    """
    true_positive, false_positive, false_negative = _outcomes(confusion)
    return ratio(2 * true_positive, 2 * true_positive + false_positive + false_negative)


def iou(confusion: Counts) -> Scores:
    """Intersection over union (Jaccard index) of every class: TP / (TP + FP + FN).

    Args:
        confusion: counts ``[... classes classes]``.

    Returns:
        ``[... classes]`` in 0..1; NaN where the class is in neither.

    Example:
        >>> iou(np.array([[3, 2, 0], [1, 4, 0], [0, 0, 0]])).round(4)
        array([0.5   , 0.5714,    nan])

    Paper:
        Jaccard, The distribution of the flora in the alpine zone, New Phytologist 1912.
    """
    true_positive, false_positive, false_negative = _outcomes(confusion)
    return ratio(true_positive, true_positive + false_positive + false_negative)


def precision(confusion: Counts) -> Scores:
    """Share of what was predicted as a class that is that class: TP / (TP + FP).

    Args:
        confusion: counts ``[... classes classes]``.

    Returns:
        ``[... classes]`` in 0..1; 0 where the class was missed entirely, NaN where it is in
        neither.

    Example:
        >>> precision(np.array([[3, 2], [1, 4]])).round(4)
        array([0.75  , 0.6667])
    """
    true_positive, false_positive, false_negative = _outcomes(confusion)
    score = ratio(true_positive, true_positive + false_positive)
    return np.where(np.isnan(score) & (false_negative > 0), 0.0, score)


def recall(confusion: Counts) -> Scores:
    """Share of a class that was found (sensitivity): TP / (TP + FN).

    Args:
        confusion: counts ``[... classes classes]``.

    Returns:
        ``[... classes]`` in 0..1; 0 where the class was invented, NaN where it is in neither.

    Example:
        >>> recall(np.array([[3, 2], [1, 4]]))
        array([0.6, 0.8])
    """
    return precision(np.swapaxes(_checked(confusion), -1, -2))


def specificity(confusion: Counts) -> Scores:
    """Share of what is not a class that was left alone: TN / (TN + FP), recall of the complement.

    Args:
        confusion: counts ``[... classes classes]``.

    Returns:
        ``[... classes]`` in 0..1; NaN where both are that class everywhere, or nothing was counted.

    Example:
        >>> specificity(np.array([[3, 2], [1, 4]]))
        array([0.8, 0.6])
    """
    true_positive, false_positive, false_negative = _outcomes(confusion)
    total = _checked(confusion).sum(axis=(-1, -2))[..., None]
    true_negative = total - true_positive - false_positive - false_negative
    score = ratio(true_negative, true_negative + false_positive)
    return np.where(np.isnan(score) & (false_negative > 0), 0.0, score)


def volumetric_similarity(confusion: Counts) -> Scores:
    """How alike the two sizes of a class are, wherever they lie: 1 - |FN - FP| / (2 TP + FP + FN).

    Args:
        confusion: counts ``[... classes classes]``.

    Returns:
        ``[... classes]`` in 0..1; NaN where the class is in neither.

    Example:
        Class 0 has 5 reference pixels and 4 predicted ones: 1 - 1/9.

        >>> volumetric_similarity(np.array([[3, 2], [1, 4]])).round(4)
        array([0.8889, 0.9091])

    Paper:
        Taha and Hanbury, Metrics for evaluating 3D medical image segmentation, BMC Med. Imaging
        2015.
    """
    true_positive, false_positive, false_negative = _outcomes(confusion)
    sizes = 2 * true_positive + false_positive + false_negative
    return 1.0 - ratio(np.abs(false_negative - false_positive), sizes)


def ratio(numerator: Counts, denominator: Counts) -> Scores:
    """Divide counts; 0 / 0 is NaN, without a warning.

    Args:
        numerator: counts of any shape.
        denominator: counts of the same shape, zero only where the numerator is.

    Returns:
        float64 quotients.

    Example:
        >>> ratio(np.array([1, 0]), np.array([4, 0]))
        array([0.25,  nan])
    """
    top, bottom = np.asarray(numerator, np.float64), np.asarray(denominator, np.float64)
    undefined = np.full(np.broadcast_shapes(top.shape, bottom.shape), np.nan)
    return np.divide(top, bottom, out=undefined, where=bottom != 0)


def _checked(confusion: Counts) -> Counts:
    array = np.asarray(confusion)
    if array.ndim < 2 or array.shape[-1] != array.shape[-2]:
        raise ValueError(
            f"confusion has shape {array.shape}, expected [... classes classes]; "
            "see confusion_matrix"
        )
    return array


def _outcomes(confusion: Counts) -> tuple[Counts, Counts, Counts]:
    """Return true positives, false positives and false negatives of every class."""
    array = _checked(confusion)
    true_positive = np.diagonal(array, axis1=-2, axis2=-1)
    return true_positive, array.sum(axis=-2) - true_positive, array.sum(axis=-1) - true_positive
