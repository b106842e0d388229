"""Whether a stated probability is the frequency of being right: ECE and Brier score."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewshot.ignored import DEFAULT, black_white, is_black_white
from fewshot.metrics.arrays import as_array, as_labels
from fewshot.metrics.overlap import ratio

Scores = NDArray[np.float64]


def calibration_counts(
    probabilities: Any, reference: Any, bins: int = 15, ignore_index: int | None = DEFAULT
) -> Scores:
    """Sum what calibration scores are made of; sums of several images can be added.

    Args:
        probabilities: ``[class ...]``, the classes first, in 0..1 and summing to 1.
        reference: labels in 0..class-1 or ``ignore_index``, shape ``[...]``.
        bins: how many equal bins of confidence.
        ignore_index: pixels with this reference label are dropped; None drops nothing.

    Returns:
        float64 ``[bin 4]``: pixels, sum of confidences, correct pixels, sum of squared errors. The
        confidence is the largest probability; bins are open below and closed above.

    Raises:
        ValueError: the shapes do not fit, a probability is outside 0..1, they do not sum to 1, or
            a label is out of range.

    Example:
        Pixels predicted with 0.9 (right) and 0.6 (wrong).

        >>> calibration_counts([[0.9, 0.4], [0.1, 0.6]], [0, 0], bins=2).round(2)
        array([[0.  , 0.  , 0.  , 0.  ],
               [2.  , 1.5 , 1.  , 0.74]])
    """
    chances, truth = _counted(probabilities, reference, ignore_index)
    answer = chances.argmax(axis=0)
    confidence = chances.max(axis=0)
    place = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    true_chance = np.take_along_axis(chances, truth[None], axis=0)[0]
    squares = (chances**2).sum(axis=0) - 2 * true_chance + 1
    columns = (np.ones_like(confidence), confidence, (answer == truth).astype(float), squares)
    return np.stack([np.bincount(place, column, bins) for column in columns], axis=-1)


def expected_calibration_error(counts: Scores) -> float:
    """Mean gap between confidence and accuracy over the bins, weighted by their pixels.

    Args:
        counts: ``[bin 4]`` from ``calibration_counts``.

    Returns:
        A score in 0..1, 0 is best; NaN if nothing was counted.

    Example:
        Confidence 0.75 where half is right.

        >>> counts = calibration_counts([[0.9, 0.4], [0.1, 0.6]], [0, 0], bins=2)
        >>> round(expected_calibration_error(counts), 4)
        0.25

    Paper:
        Guo et al., On calibration of modern neural networks, ICML 2017.
    """
    pixels, confidence, correct, _ = np.asarray(counts, np.float64).T
    return float(ratio(np.abs(confidence - correct).sum(), pixels.sum()))


def maximum_calibration_error(counts: Scores) -> float:
    """Return the largest gap between confidence and accuracy of any bin.

    Args:
        counts: ``[bin 4]`` from ``calibration_counts``.

    Returns:
        A score in 0..1, 0 is best; NaN if nothing was counted.

    Example:
        >>> counts = calibration_counts([[0.9, 0.4], [0.1, 0.6]], [0, 0], bins=10)
        >>> round(maximum_calibration_error(counts), 4)
        0.6

    Paper:
        Guo et al., On calibration of modern neural networks, ICML 2017.
    """
    pixels, confidence, correct, _ = np.asarray(counts, np.float64).T
    gaps = ratio(np.abs(confidence - correct), pixels)[pixels > 0]
    return float(gaps.max()) if gaps.size else float("nan")


def brier_score(counts: Scores) -> float:
    """Mean squared distance of the probabilities to the one-hot truth, summed over the classes.

    Args:
        counts: ``[bin 4]`` from ``calibration_counts``; the number of bins does not matter.

    Returns:
        A score in 0..2, 0 is best; NaN if nothing was counted. For two classes it is twice the
        score of one class only.

    Example:
        (0.1^2 + 0.1^2 + 0.6^2 + 0.6^2) / 2

        >>> round(brier_score(calibration_counts([[0.9, 0.4], [0.1, 0.6]], [0, 0])), 4)
        0.37

    Paper:
        Brier, Verification of forecasts expressed in terms of probability, 1950.
    """
    sums = np.asarray(counts, np.float64)
    return float(ratio(sums[:, 3].sum(), sums[:, 0].sum()))


def _counted(
    probabilities: Any, reference: Any, ignore_index: int | None
) -> tuple[Scores, NDArray[np.int64]]:
    chances, truth = as_array(probabilities), as_labels(reference, "reference")
    if chances.shape[1:] != truth.shape:
        raise ValueError(
            f"probabilities have shape {chances.shape} and reference has {truth.shape}; "
            "expected [class ...] and [...]"
        )
    counted = np.ones(truth.shape, bool) if ignore_index is None else truth != ignore_index
    chances = chances[:, counted].astype(np.float64)
    labels = truth[counted].astype(np.int64)
    if is_black_white(ignore_index, bool(labels.any()), labels.size, counted.size):
        raise black_white("reference")
    if labels.size and not 0 <= labels.min() <= labels.max() < len(chances):
        raise ValueError(
            f"reference reaches from {labels.min()} to {labels.max()}, "
            f"expected 0..{len(chances) - 1} or ignore_index={ignore_index}"
        )
    if not ((chances >= 0) & (chances <= 1)).all():
        raise ValueError("probabilities outside 0..1 or NaN; take the softmax of the logits first")
    if not np.allclose(chances.sum(axis=0), 1, atol=1e-2):  # float16 and bfloat16 sum coarsely
        raise ValueError(
            "probabilities do not sum to 1 over axis 0; put the classes first, and for one "
            "foreground probability p give [1 - p, p]"
        )
    return chances, labels
