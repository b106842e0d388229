"""Stability of a ranking over resampled test sets, and the number of subjects that it needs."""

from collections.abc import Hashable, Mapping, Sequence
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fewshot.metrics.arrays import as_array
from fewshot.metrics.bootstrap import subject_means

Scores = NDArray[np.float64]


class RankStability(NamedTuple):
    """A ranking of methods and how it holds under resampling of the subjects.

    Attributes:
        methods: names, best first.
        means: mean over subjects of each, in that order ``[method]``.
        frequencies: share of the resamples in which each method had each rank
            ``[method rank]``, rows in that order; tied methods share their ranks equally.
        kendall: mean Kendall tau-b between the ranking and the resampled ones; 1 is stable.
        subjects: how many subjects had a score by every method.
    """

    methods: list[str]
    means: Scores
    frequencies: Scores
    kendall: float
    subjects: int


def ranking_stability(
    scores: Mapping[str, Any],
    subjects: Sequence[Hashable],
    *,
    higher_is_better: bool = True,
    resamples: int = 1000,
    seed: int | np.random.Generator = 0,
) -> RankStability:
    """Rank methods by their mean and see how often resampled subjects rank them the same.

    Args:
        scores: for each method one number a case ``[case]``, all in the same order; a case counts
            where every method is defined.
        subjects: the subject of each case.
        higher_is_better: False for distances and errors.
        resamples: how many times the subjects are drawn with replacement.
        seed: a seed, or a generator to draw from.

    Returns:
        The ranking and its stability; NaN frequencies without a complete subject.

    Raises:
        ValueError: there are no methods, lengths differ or a value is infinite.

    Example:
        "a" is better in every subject, so in every resample too.

        >>> result = ranking_stability({"b": [1, 2], "a": [3, 4]}, ["x", "y"])
        >>> result.methods, result.frequencies.tolist(), result.kendall
        (['a', 'b'], [[1.0, 0.0], [0.0, 1.0]], 1.0)

    Paper:
        Wiesenfarth et al., Methods and open-source toolkit for analyzing and visualizing challenge
        results, Scientific Reports 2021.
    """
    names = list(scores)
    if not names:
        raise ValueError("scores are empty, expected at least one method")
    table = np.stack([np.asarray(as_array(scores[name]), np.float64) for name in names])
    table[:, np.isnan(table).any(axis=0)] = np.nan  # complete cases only, the same for all
    means = np.stack([subject_means(row, subjects)[0] for row in table])
    count = means.shape[1]
    if not count:
        blank = np.full(len(names), np.nan)
        return RankStability(names, blank, np.full((len(names),) * 2, np.nan), float("nan"), 0)
    order = np.argsort(-means.mean(axis=1) if higher_is_better else means.mean(axis=1))
    means = means[order] if higher_is_better else -means[order]
    picked = np.random.default_rng(seed).integers(0, count, size=(resamples, count))
    draws = means[:, picked].mean(axis=2)
    whole = means.mean(axis=1)
    return RankStability(
        [names[each] for each in order],
        whole if higher_is_better else -whole,
        _rank_frequencies(draws),
        float(_kendall(whole, draws).mean()),
        count,
    )


def sample_size(effect: float, deviation: float, *, power: float = 0.8, level: float = 0.95) -> int:
    """How many subjects a paired comparison needs to see a difference of a given size.

    Args:
        effect: the difference of the two means that matters, in the unit of the score, not 0.
        deviation: standard deviation over subjects of their differences, >= 0.
        power: chance to see the effect if it is there, between 0 and 1.
        level: 1 - the chance of a false claim, between 0 and 1.

    Returns:
        The number of subjects, at least 2: the normal approximation plus z^2 / 2 for the t test.
        It is a hint for planning; the deviation of a pilot study is uncertain itself.

    Raises:
        ValueError: a value is out of range.

    Example:
        ((1.96 + 0.84) * 10 / 5)^2 = 31.4, plus 1.96^2 / 2 = 1.9.

        >>> sample_size(effect=5, deviation=10)
        34

    Paper:
        Guenther, Sample size formulas for normal theory t tests, The American Statistician 1981.
    """
    if not (effect and np.isfinite(effect)):
        raise ValueError(f"effect is {effect}, expected a finite difference other than 0")
    if not (deviation >= 0 and np.isfinite(deviation)):
        raise ValueError(f"deviation is {deviation}, expected a finite number >= 0")
    if not (0 < power < 1 and 0 < level < 1):
        raise ValueError(f"power is {power} and level is {level}, expected both between 0 and 1")
    z = NormalDist().inv_cdf((1 + level) / 2)
    needed = ((z + NormalDist().inv_cdf(power)) * deviation / effect) ** 2 + z**2 / 2
    return max(2, int(np.ceil(needed)))


def _rank_frequencies(draws: Scores) -> Scores:
    """Share of each rank ``[method rank]``; a tie spreads its weight over the ranks it covers."""
    methods = len(draws)
    better = (draws[None] > draws[:, None]).sum(axis=1)  # [method resample]
    equal = (draws[None] == draws[:, None]).sum(axis=1)
    rank = np.arange(methods)[None, None]
    covered = (rank >= better[..., None]) & (rank < (better + equal)[..., None])
    return (covered / equal[..., None]).mean(axis=1)


def _kendall(whole: Scores, draws: Scores) -> Scores:
    """Kendall tau-b of the resampled means ``[method resample]`` with the whole ones."""
    if len(whole) < 2:
        return np.ones(draws.shape[1])
    first, second = np.triu_indices(len(whole), 1)
    signs = np.sign(whole[first] - whole[second])
    drawn = np.sign(draws[first] - draws[second])
    scale = np.sqrt((signs**2).sum() * (drawn**2).sum(axis=0))
    agree = (signs[:, None] * drawn).sum(axis=0)
    return np.divide(agree, scale, out=np.zeros(len(scale)), where=scale > 0)
