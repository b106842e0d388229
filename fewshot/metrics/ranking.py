"""Scores without a threshold: area under the ROC curve, average precision of pixels.

Both come from one histogram ``[2 bin]`` of the confidences of what is not and what is the class.
With as many bins as distinct confidences they are exact; with fixed bins the histogram can be
summed over images and processes (``score_counts``). Score-ranked mAP of objects is in ``coco``.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewshot.ignored import DEFAULT, black_white, is_black_white
from fewshot.metrics.arrays import as_array, as_labels
from fewshot.metrics.overlap import ratio

Scores = NDArray[np.float64]
Counts = NDArray[Any]


def roc_auc(scores: Any, reference: Any, ignore_index: int | None = DEFAULT) -> float:
    """Probability that a pixel of the class scores above one that is not, ties counting half.

    Args:
        scores: confidence of the class, any shape and range, no NaN where counted.
        reference: 1 the class, 0 not, or ``ignore_index``; same shape.
        ignore_index: pixels with this reference label are dropped; None drops nothing.

    Returns:
        A score in 0..1, 0.5 is chance; NaN if only one of the two occurs.

    Raises:
        ValueError: the shapes differ, a score is NaN, or the reference holds something else.

    Example:
        Positives 0.4 and 0.9, negatives 0.1 and 0.4: of 4 pairs 3 are right and one is a tie.

        >>> roc_auc([0.1, 0.4, 0.4, 0.9], [0, 0, 1, 1])
        0.875

    Paper:
        Hanley and McNeil, The meaning and use of the area under a ROC curve, Radiology 1982.
    """
    return roc_auc_of_counts(_exact_counts(scores, reference, ignore_index))


def average_precision(scores: Any, reference: Any, ignore_index: int | None = DEFAULT) -> float:
    """Area under the precision-recall curve as a sum of steps, without interpolation.

    Args:
        scores: confidence of the class, any shape and range, no NaN where counted.
        reference: 1 the class, 0 not, or ``ignore_index``; same shape.
        ignore_index: pixels with this reference label are dropped; None drops nothing.

    Returns:
        A score in 0..1, where chance is the share of the class; NaN if nothing was counted, 0 if
        the class does not occur.

    Raises:
        ValueError: the shapes differ, a score is NaN, or the reference holds something else.

    Example:
        At 0.9 precision 1 for half the recall, at 0.4 precision 2/3 for the other half.

        >>> round(average_precision([0.1, 0.4, 0.4, 0.9], [0, 0, 1, 1]), 4)
        0.8333

    Paper:
        Davis and Goadrich, The relationship between precision-recall and ROC curves, ICML 2006.
    """
    return average_precision_of_counts(_exact_counts(scores, reference, ignore_index))


def score_counts(
    probabilities: Any, reference: Any, bins: int = 1000, ignore_index: int | None = DEFAULT
) -> NDArray[np.int64]:
    """Count the probabilities of the two kinds of pixels in equal bins, to be summed.

    Args:
        probabilities: probability of the class in 0..1, any shape.
        reference: 1 the class, 0 not, or ``ignore_index``; same shape.
        bins: how many; probabilities in one bin become ties.
        ignore_index: pixels with this reference label are dropped; None drops nothing.

    Returns:
        int64 ``[2 bin]``: first what is not the class, then the class, by rising probability.

    Raises:
        ValueError: as in ``roc_auc``, or a probability is outside 0..1.

    Example:
        >>> score_counts([0.1, 0.4, 0.4, 0.9], [0, 0, 1, 1], bins=2)
        array([[2, 0],
               [1, 1]])
    """
    values, positive = _counted(probabilities, reference, ignore_index)
    if values.size and not 0 <= values.min() <= values.max() <= 1:
        raise ValueError(
            f"probabilities reach from {values.min()} to {values.max()}, expected 0..1; "
            "take the sigmoid or the softmax first"
        )
    place = np.minimum((values * bins).astype(np.int64), bins - 1)
    return np.bincount(positive * bins + place, minlength=2 * bins).reshape(2, bins)


def roc_auc_of_counts(counts: Counts) -> float:
    """Area under the ROC curve of a histogram.

    Args:
        counts: ``[2 bin]`` from ``score_counts``.

    Returns:
        A score in 0..1; NaN if only one kind occurs.

    Example:
        >>> roc_auc_of_counts(np.array([[2, 0], [1, 1]]))
        0.75
    """
    negative, positive = np.asarray(counts, np.float64)
    below = np.cumsum(negative) - negative / 2
    return float(ratio((positive * below).sum(), positive.sum() * negative.sum()))


def average_precision_of_counts(counts: Counts) -> float:
    """Area under the precision-recall curve of a histogram, as a sum of steps.

    Args:
        counts: ``[2 bin]`` from ``score_counts``.

    Returns:
        A score in 0..1; NaN if nothing was counted, 0 if the class does not occur.

    Example:
        >>> average_precision_of_counts(np.array([[2, 0], [1, 1]]))
        0.75
    """
    negative, positive = np.asarray(counts, np.float64)[:, ::-1]
    if not positive.sum():
        return 0.0 if negative.sum() else float("nan")
    hits = np.cumsum(positive)
    precision = ratio(hits, hits + np.cumsum(negative))
    return float((precision * positive)[positive > 0].sum() / positive.sum())


def _exact_counts(scores: Any, reference: Any, ignore_index: int | None) -> NDArray[np.int64]:
    values, positive = _counted(scores, reference, ignore_index)
    order = np.argsort(values)
    values, positive = values[order], positive[order]
    last = np.append(values[1:] != values[:-1], True)[: values.size]
    hits = np.cumsum(positive)[last]
    total = np.flatnonzero(last) + 1
    return np.stack([np.diff(total - hits, prepend=0), np.diff(hits, prepend=0)])


def _counted(
    scores: Any, reference: Any, ignore_index: int | None
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    values, truth = as_array(scores), as_labels(reference, "reference")
    if values.shape != truth.shape:
        raise ValueError(f"scores have shape {values.shape} and reference has {truth.shape}")
    counted = np.ones(truth.shape, bool) if ignore_index is None else truth != ignore_index
    values, truth = values[counted], truth[counted]
    if is_black_white(ignore_index, bool(truth.any()), truth.size, counted.size):
        raise black_white("reference")
    if np.isnan(values).any():
        raise ValueError(f"{int(np.isnan(values).sum())} scores are NaN; they cannot be ranked")
    if not ((truth == 0) | (truth == 1)).all():
        raise ValueError(
            f"reference holds {np.unique(truth)[-1]}, expected 0 and 1; compare with a class first"
        )
    return values, truth.astype(np.int64)
