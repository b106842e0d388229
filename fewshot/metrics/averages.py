"""Means with the number of undefined scores, and penalties for missed cases."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fewshot.metrics.arrays import as_array


class Average(NamedTuple):
    """A mean and what stands behind it.

    Attributes:
        mean: mean of the defined values; NaN without one.
        defined: how many values were averaged, penalised ones included.
        undefined: how many were NaN and left out.
        missing: how many were infinite: something was missed or invented.
    """

    mean: float
    defined: int
    undefined: int
    missing: int


def penalise(values: Any, missing: float) -> NDArray[np.float64]:
    """Replace infinite distances by a stated penalty.

    Args:
        values: scores or distances of any shape.
        missing: what a miss costs, in the unit of the values; the image diagonal is usual. It
            should not be below the largest finite value, or a miss would pay.

    Returns:
        float64 of the same shape; NaN stays NaN.

    Raises:
        ValueError: the penalty is not finite, or below a finite value.

    Example:
        >>> penalise([2.0, float("inf"), float("nan")], missing=100)
        array([  2., 100.,  nan])
    """
    scores = np.asarray(as_array(values), np.float64)
    if not np.isfinite(missing):
        raise ValueError(f"missing is {missing}, expected a finite penalty")
    finite = scores[np.isfinite(scores)]
    if np.isinf(scores).any() and finite.size and finite.max() > missing:
        raise ValueError(
            f"missing is {missing} but a structure that was found lies at {finite.max()}: "
            "missing it would score better; choose a larger penalty, such as the image diagonal"
        )
    return np.where(np.isinf(scores), missing, scores)


def average(values: Any, missing: float | None = None) -> Average:
    """Mean of what is defined, with counts of what is undefined and what is missing.

    Args:
        values: scores or distances of any shape; NaN is undefined, inf is missing.
        missing: a penalty that stands in for inf; with None the mean of anything infinite is
            infinite.

    Returns:
        The mean and the counts.

    Raises:
        ValueError: see ``penalise``.

    Example:
        >>> average([1.0, 3.0, float("inf"), float("nan")], missing=8)
        Average(mean=4.0, defined=3, undefined=1, missing=1)
        >>> average([1.0, float("inf")]).mean
        inf
    """
    scores = np.asarray(as_array(values), np.float64)
    lost = int(np.isinf(scores).sum())
    if missing is not None:
        scores = penalise(scores, missing)
    defined = scores[~np.isnan(scores)]
    mean = float(defined.mean()) if defined.size else float("nan")
    return Average(mean, int(defined.size), int(scores.size - defined.size), lost)
