"""Intervals of a mean, by resampling subjects: images of one patient are not independent."""

from collections.abc import Hashable, Sequence
from statistics import NormalDist
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fewshot.metrics.arrays import as_array

Scores = NDArray[np.float64]

_NORMAL = NormalDist()
_CHUNK = 1 << 21  # random numbers drawn at a time


class Interval(NamedTuple):
    """A mean with its confidence interval.

    Attributes:
        mean: mean over subjects of each subject's mean; NaN without a subject.
        low: lower bound; NaN with fewer than two subjects.
        high: upper bound; NaN with fewer than two subjects.
        subjects: how many subjects had a defined value.
        undefined: how many cases were NaN and left out.
    """

    mean: float
    low: float
    high: float
    subjects: int
    undefined: int

    def __str__(self) -> str:
        return f"{self.mean:.4g} [{self.low:.4g}, {self.high:.4g}]"


def bootstrap_mean(
    values: Any,
    subjects: Sequence[Hashable],
    *,
    level: float = 0.95,
    resamples: int = 10_000,
    method: Literal["bca", "percentile"] = "bca",
    seed: int | np.random.Generator = 0,
) -> Interval:
    """Mean over subjects with a bootstrap confidence interval.

    Args:
        values: one number a case ``[case]``; NaN is undefined, left out and counted.
        subjects: the subject (patient, specimen) of each case.
        level: coverage of the interval, between 0 and 1.
        resamples: how many times the subjects are drawn with replacement.
        method: "bca" corrects bias and skewness, "percentile" does not.
        seed: a seed, or a generator to draw from.

    Returns:
        The interval. Equal subject means give an interval of no width, one subject gives NaN
        bounds, no defined value gives NaN throughout.

    Raises:
        ValueError: lengths differ, a value is infinite, or a setting is out of range.

    Example:
        Subject a has the mean 0.5, subject b has 1.0: the mean is 0.75, and a resample of two
        subjects has the mean 0.5, 0.75 or 1.0.

        >>> bootstrap_mean([0.4, 0.6, 1.0, float("nan")], ["a", "a", "b", "b"])
        Interval(mean=0.75, low=0.5, high=1.0, subjects=2, undefined=1)

    Paper:
        Efron, Better bootstrap confidence intervals, JASA 1987.
    """
    if not 0 < level < 1:
        raise ValueError(f"level is {level}, expected a value between 0 and 1, such as 0.95")
    if resamples < 1:
        raise ValueError(f"resamples is {resamples}, expected at least 1; 10000 is usual")
    if method not in ("bca", "percentile"):
        raise ValueError(f"method is {method!r}, expected 'bca' or 'percentile'")
    means, undefined = subject_means(values, subjects)
    count = len(means)
    mean = float(means.mean()) if count else float("nan")
    if count < 2:
        return Interval(mean, float("nan"), float("nan"), count, undefined)
    if np.ptp(means) == 0:
        mean = float(means[0])
        return Interval(mean, mean, mean, count, undefined)
    draws = _resampled_means(means, resamples, np.random.default_rng(seed))
    tails = np.array([(1 - level) / 2, (1 + level) / 2])
    if method == "bca":
        tails = _bca_tails(means, draws, tails)
    low, high = np.quantile(draws, tails)
    return Interval(mean, float(low), float(high), count, undefined)


def subject_means(values: Any, subjects: Sequence[Hashable]) -> tuple[Scores, int]:
    """Mean of each subject's defined cases, in order of first appearance.

    Args:
        values: one number a case ``[case]``; NaN is left out.
        subjects: the subject of each case.

    Returns:
        The means ``[subject]`` of the subjects with a defined case, and how many cases were NaN.

    Raises:
        ValueError: lengths differ, or a value is infinite.

    Example:
        >>> means, undefined = subject_means([1, 3, 5, float("nan")], ["b", "b", "a", "c"])
        >>> means.tolist(), undefined
        ([2.0, 5.0], 1)
    """
    scores = np.asarray(as_array(values), np.float64)
    if scores.ndim != 1 or len(scores) != len(subjects):
        raise ValueError(
            f"values have shape {scores.shape} and there are {len(subjects)} subjects; "
            "expected one number and one subject a case"
        )
    if np.isinf(scores).any():
        raise ValueError(
            f"{int(np.isinf(scores).sum())} values are infinite (a structure was missed); "
            "state a penalty first, see fewshot.metrics.averages.penalise"
        )
    groups: dict[Hashable, list[float]] = {}
    for score, subject in zip(scores.tolist(), subjects, strict=True):
        if score == score:  # not NaN
            groups.setdefault(subject, []).append(score)
    means = np.array([np.mean(group) for group in groups.values()], np.float64)
    return means, int(np.isnan(scores).sum())


def _resampled_means(means: Scores, resamples: int, generator: np.random.Generator) -> Scores:
    count = len(means)
    draws = np.empty(resamples)
    step = max(1, _CHUNK // count)
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        picked = generator.integers(0, count, size=(rows, count))
        draws[start : start + rows] = means[picked].mean(axis=1)
    return draws


def _bca_tails(means: Scores, draws: Scores, tails: Scores) -> Scores:
    """Shift the tail probabilities by the bias z0 and the acceleration a of the mean."""
    mean = means.mean()
    below = ((draws < mean).mean() + (draws <= mean).mean()) / 2
    edge = 0.5 / len(draws)  # keeps z0 finite when every draw lies on one side
    bias = _NORMAL.inv_cdf(float(np.clip(below, edge, 1 - edge)))
    # the jackknife values of a mean are its values, up to sign, scale and a constant
    spread = means - mean
    spread /= np.abs(spread).max()  # the unit cancels; without it tiny values would underflow
    acceleration = (spread**3).sum() / (6 * (spread**2).sum() ** 1.5)
    shifted = []
    for tail in tails.tolist():
        z = bias + _NORMAL.inv_cdf(tail)
        shifted.append(_NORMAL.cdf(bias + z / (1 - acceleration * z)))
    return np.array(shifted)
