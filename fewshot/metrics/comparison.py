"""Whether one method is better than another: paired over subjects, corrected for many methods."""

from collections.abc import Hashable, Mapping, Sequence
from itertools import combinations
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fewshot.metrics.arrays import as_array
from fewshot.metrics.bootstrap import Interval, bootstrap_mean, subject_means

Scores = NDArray[np.float64]
Test = Literal["permutation", "wilcoxon"]
Correction = Literal["holm", "benjamini-hochberg", "none"]


class Comparison(NamedTuple):
    """One pair of methods.

    Attributes:
        first: name of the first method.
        second: name of the second method.
        difference: mean of first - second over subjects, with its interval.
        p_value: two-sided p-value of the paired test; NaN without a complete pair.
        adjusted: the p-value after correction for all the pairs compared.
    """

    first: str
    second: str
    difference: Interval
    p_value: float
    adjusted: float


def compare_methods(
    scores: Mapping[str, Any],
    subjects: Sequence[Hashable],
    *,
    baseline: str | None = None,
    test: Test = "permutation",
    correction: Correction = "holm",
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> list[Comparison]:
    """Compare every pair of methods, or every method with one baseline.

    Args:
        scores: for each method one number a case ``[case]``, all in the same order; NaN is
            undefined, and a case counts where both methods are defined.
        subjects: the subject of each case.
        baseline: compare with this method only; None compares all pairs.
        test: see ``paired_test``.
        correction: "holm" bounds the chance of any false claim, "benjamini-hochberg" the share of
            false claims, "none" neither.
        level: coverage of the intervals of the differences.
        resamples: of the bootstrap and of the permutation test.
        seed: of both.

    Returns:
        One comparison a pair, in the order of the methods.

    Raises:
        ValueError: the baseline is not among the methods, or a setting is not one of those named.

    Example:
        >>> scores = {"ours": [0.9, 0.8, 0.7], "theirs": [0.8, 0.6, 0.6]}
        >>> result, = compare_methods(scores, ["a", "b", "c"])
        >>> round(result.difference.mean, 4), result.p_value
        (0.1333, 0.25)
    """
    if baseline is not None and baseline not in scores:
        raise ValueError(f"baseline is {baseline!r}, expected one of {list(scores)}")
    if correction not in ("holm", "benjamini-hochberg", "none"):
        raise ValueError(
            f"correction is {correction!r}, expected 'holm', 'benjamini-hochberg' or 'none'"
        )
    if baseline is None:
        pairs = list(combinations(scores, 2))
    else:
        pairs = [(name, baseline) for name in scores if name != baseline]
    found = []
    for first, second in pairs:
        apart = differences(scores[first], scores[second])
        interval = bootstrap_mean(apart, subjects, level=level, resamples=resamples, seed=seed)
        p_value = paired_test(
            scores[first], scores[second], subjects, test=test, resamples=resamples, seed=seed
        )
        found.append((first, second, interval, p_value))
    p_values = np.array([each[3] for each in found])
    adjust = {"holm": holm, "benjamini-hochberg": benjamini_hochberg}.get(correction)
    adjusted = adjust(p_values) if adjust else p_values
    return [Comparison(*each, float(p)) for each, p in zip(found, adjusted, strict=True)]


def differences(first: Any, second: Any) -> Scores:
    """Subtract the scores of two methods case by case.

    Args:
        first: one number a case ``[case]``.
        second: the same cases by another method.

    Returns:
        first - second, NaN where either is.

    Raises:
        ValueError: the lengths differ, or a value is infinite.

    Example:
        >>> differences([3.0, float("nan")], [1.0, 1.0])
        array([ 2., nan])
    """
    one, other = (np.asarray(as_array(each), np.float64) for each in (first, second))
    if one.shape != other.shape:
        raise ValueError(f"scores have shapes {one.shape} and {other.shape}; pair them by case")
    lost = int(np.isinf(one).sum() + np.isinf(other).sum())
    if lost:
        raise ValueError(
            f"{lost} values are infinite (a structure was missed); state a penalty first, see "
            "fewshot.metrics.averages.penalise"
        )
    return one - other


def paired_test(
    first: Any,
    second: Any,
    subjects: Sequence[Hashable],
    *,
    test: Test = "permutation",
    resamples: int = 10_000,
    seed: int | np.random.Generator = 0,
) -> float:
    """Two-sided p-value that two methods do not differ, over the mean difference of each subject.

    Args:
        first: one number a case ``[case]``.
        second: the same cases by another method.
        subjects: the subject of each case.
        test: "permutation" flips the signs of the subjects' differences and compares the mean,
            with all 2^n patterns where those are at most ``resamples``; "wilcoxon" is the signed
            rank test.
        resamples: random patterns where there are more.
        seed: a seed, or a generator to draw from.

    Returns:
        A p-value in 0..1; 1 where all differences are 0, NaN without a complete pair. With n
        subjects the permutation test cannot go below 2 / 2^n.

    Raises:
        ValueError: see ``differences``, or the test is not one of those named.

    Example:
        Of 8 sign patterns, +++ and --- are as far from 0 as the observed mean.

        >>> paired_test([0.9, 0.8, 0.7], [0.8, 0.6, 0.6], ["a", "b", "c"])
        0.25

    Paper:
        Wilcoxon, Individual comparisons by ranking methods, 1945.
    """
    if test not in ("permutation", "wilcoxon"):
        raise ValueError(f"test is {test!r}, expected 'permutation' or 'wilcoxon'")
    means, _ = subject_means(differences(first, second), subjects)
    if not len(means):
        return float("nan")
    if not means.any():
        return 1.0
    if test == "wilcoxon":
        from scipy.stats import wilcoxon

        return float(wilcoxon(means).pvalue)
    return _sign_flip_test(means, resamples, np.random.default_rng(seed))


def _sign_flip_test(means: Scores, resamples: int, generator: np.random.Generator) -> float:
    count = len(means)
    exact = 2.0**count <= resamples
    if exact:
        signs = np.arange(2**count)[:, None] >> np.arange(count) & 1
    else:
        signs = generator.integers(0, 2, size=(resamples, count), dtype=np.int8)
    sums = np.abs((1 - 2.0 * signs) @ means)
    rounding = 1e-12 * np.abs(means).sum()
    extreme = int((sums >= abs(means.sum()) - rounding).sum())
    # the observed pattern is one of all; random patterns have to count it in
    return extreme / len(signs) if exact else (extreme + 1) / (resamples + 1)


def holm(p_values: Any) -> Scores:
    """Adjust p-values so that the chance of any false claim stays at the level (Holm).

    Args:
        p_values: ``[test]`` in 0..1; NaN is no test.

    Returns:
        Adjusted p-values ``[test]``, NaN where they were.

    Raises:
        ValueError: a p-value is outside 0..1.

    Example:
        The smallest times 3, the next times 2, the last times 1, never falling.

        >>> holm([0.01, 0.04, 0.03])
        array([0.03, 0.06, 0.06])

    Paper:
        Holm, A simple sequentially rejective multiple test procedure, 1979.
    """
    values, order = _ordered(p_values)
    factors = len(order) - np.arange(len(order))
    values[order] = np.minimum(np.maximum.accumulate(values[order] * factors), 1)
    return values


def benjamini_hochberg(p_values: Any) -> Scores:
    """Adjust p-values so that the share of false claims stays at the level.

    Args:
        p_values: ``[test]`` in 0..1; NaN is no test.

    Returns:
        Adjusted p-values ``[test]``, NaN where they were.

    Raises:
        ValueError: a p-value is outside 0..1.

    Example:
        The k-th smallest times 3 / k, never above the next larger one.

        >>> benjamini_hochberg([0.01, 0.04, 0.03])
        array([0.03, 0.04, 0.04])

    Paper:
        Benjamini and Hochberg, Controlling the false discovery rate, JRSS B 1995.
    """
    values, order = _ordered(p_values)
    scaled = values[order] * len(order) / np.arange(1, len(order) + 1)
    values[order] = np.minimum.accumulate(scaled[::-1])[::-1]
    return values


def _ordered(p_values: Any) -> tuple[Scores, NDArray[np.int64]]:
    values = np.array(p_values, np.float64)
    tested = np.flatnonzero(~np.isnan(values))
    if not ((values[tested] >= 0) & (values[tested] <= 1)).all():
        raise ValueError(f"p-values are {values.tolist()}, expected numbers in 0..1 or NaN")
    return values, tested[np.argsort(values[tested], kind="stable")]
