"""Are two images of one subject? ROC-AUC, EER and TAR at a FAR.

A score is a similarity of two images: higher is more alike, and a pair is accepted if its score is
at least the threshold. FAR is the share of impostor pairs (two subjects) accepted, TAR that of
genuine pairs (one subject). Without a genuine or an impostor pair a score is NaN.

Intervals draw subjects with replacement. A subject drawn n times counts n times: a pair weighs the
product of the counts of the subjects it shows, so n for a genuine pair and n·m for an impostor
pair. Drawing pairs instead would take pairs that share a subject for independent ones.

Paper: Snijders and Borgatti, Non-parametric standard errors and tests for network statistics,
Connections 1999 (drawing subjects).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from episodes.errors import DataError
from fewshot.metrics.arrays import as_array
from fewshot.siamese.retrieval.relevance import Labels, shared_codes


class Estimate(NamedTuple):
    """A score with its confidence interval.

    Attributes:
        value: of all pairs.
        low, high: bounds; NaN with fewer than two subjects.
        undefined: resamples in which the score was NaN; they are left out.
    """

    value: float
    low: float
    high: float
    undefined: int


@dataclass(frozen=True)
class Pairs:
    """Scored pairs of images.

    Attributes:
        scores: how alike, float64 [pair].
        first, second: numbers of the subjects of both images [pair].
    """

    scores: np.ndarray = field(repr=False)
    first: np.ndarray = field(repr=False)
    second: np.ndarray = field(repr=False)

    @staticmethod
    def of(scores: Any, first: Labels, second: Labels) -> "Pairs":
        """Make pairs of scores and the subjects of both images.

        Raises:
            DataError: lengths differ, a score is NaN, or a subject is no number or string.
        """
        values = np.asarray(as_array(scores), np.float64)
        one, other = shared_codes(first, second)
        if values.ndim != 1 or not len(values) == len(one) == len(other):
            raise DataError(
                f"scores have shape {values.shape}, subjects {len(one)} and {len(other)}; "
                "expected one score and two subjects a pair"
            )
        if np.isnan(values).any():
            raise DataError(f"{int(np.isnan(values).sum())} scores are NaN; they cannot be ranked")
        return Pairs(values, one, other)

    @property
    def genuine(self) -> np.ndarray:
        """Whether both images are of one subject, bool [pair]."""
        return self.first == self.second

    @cached_property
    def _steps(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Order from the highest score down, where each distinct score ends, and its value."""
        order = np.argsort(-self.scores, kind="stable")
        ranked = self.scores[order]
        ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True)[: len(ranked)])
        return order, ends, ranked[ends]

    def roc(self, weights: np.ndarray | None = None) -> "Roc":
        """Rates at every distinct score.

        Args:
            weights: of the pairs [pair]; by default 1 each.
        """
        order, ends, values = self._steps
        weight = np.ones(len(order)) if weights is None else weights[order]
        genuine = self.genuine[order]
        rates = []
        for part in (~genuine, genuine):
            reached = np.cumsum(weight * part)
            total = reached[-1] if len(reached) else 0.0
            share = reached[ends] / total if total > 0 else np.full(len(ends), np.nan)
            rates.append(np.append(0.0 if total > 0 else np.nan, share))
        return Roc(np.append(np.inf, values), rates[0], rates[1])


@dataclass(frozen=True)
class Roc:
    """The receiver operating characteristic: a point for every threshold, from the strictest.

    Attributes:
        thresholds: infinity, which accepts nothing, then every score that occurs.
        far, tar: shares of impostor and of genuine pairs accepted; NaN where there are none.
    """

    thresholds: np.ndarray
    far: np.ndarray
    tar: np.ndarray


def auc(roc: Roc) -> float:
    """Area under the curve: a genuine pair scores above an impostor pair, ties counting half.

    >>> auc(Pairs.of([0.1, 0.4, 0.4, 0.9], [1, 1, 2, 2], [3, 4, 2, 2]).roc())
    0.875
    """
    if np.isnan(roc.far[-1]) or np.isnan(roc.tar[-1]):
        return float("nan")
    return float(np.trapezoid(roc.tar, roc.far))


def equal_error_rate(roc: Roc) -> float:
    """Rate at which FAR and FRR = 1 - TAR are equal, on the straight line between two points.

    >>> equal_error_rate(Pairs.of([0.1, 0.4, 0.6, 0.9], [1, 2, 1, 2], [3, 2, 4, 2]).roc())
    0.5
    """
    if np.isnan(roc.far[-1]) or np.isnan(roc.tar[-1]):
        return float("nan")
    gap = roc.far - (1 - roc.tar)  # rises from -1 to 1
    after = int(np.argmax(gap >= 0))
    if gap[after] == 0:
        return float(roc.far[after])
    share = -gap[after - 1] / (gap[after] - gap[after - 1])
    return float(roc.far[after - 1] + share * (roc.far[after] - roc.far[after - 1]))


def tar_at_far(roc: Roc, far: float) -> float:
    """Largest TAR of a threshold whose FAR is at most the requested one.

    With fewer than 1 / far impostor pairs not one of them may be accepted.

    Raises:
        DataError: far is outside 0..1.

    >>> tar_at_far(Pairs.of([0.1, 0.4, 0.6, 0.9], [1, 2, 1, 2], [3, 2, 4, 2]).roc(), 0.1)
    0.5
    """
    return float(roc.tar[strictest(roc, far)])


def strictest(roc: Roc, far: float) -> int:
    """Position of the lowest threshold whose FAR is at most the requested one."""
    if not 0 <= far <= 1:
        raise DataError(f"far is {far}; expected a rate from 0 to 1, such as 0.001")
    return max(0, int(np.count_nonzero(roc.far <= far)) - 1)


def bootstrap_pairs(
    pairs: Pairs,
    score: Callable[[Roc], float],
    *,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int | np.random.Generator = 0,
) -> Estimate:
    """Score pairs, with a percentile interval from drawing subjects; see the module.

    Args:
        pairs: scored.
        score: of a curve, e.g. `auc`.
        level: coverage.
        resamples: how many times the subjects are drawn.
        seed: a seed, or a generator to draw from.

    Raises:
        DataError: level or resamples is out of range.
    """
    if not 0 < level < 1 or resamples < 1:
        raise DataError(f"level is {level}, resamples {resamples}; expected 0..1 and at least 1")
    generator = np.random.default_rng(seed)
    found = []
    for counts in draw_counts(pairs, resamples, generator):
        weights = counts[pairs.first] * np.where(pairs.genuine, 1, counts[pairs.second])
        found.append(score(pairs.roc(weights)))
    return estimate(score(pairs.roc()), np.array(found), level)


def draw_counts(pairs: Pairs, resamples: int, generator: np.random.Generator) -> list[np.ndarray]:
    """Draw the subjects of pairs again and again: how often each one came, float64 [subject]."""
    return draw_subjects(np.union1d(pairs.first, pairs.second), resamples, generator)


def draw_subjects(
    subjects: np.ndarray, resamples: int, generator: np.random.Generator
) -> list[np.ndarray]:
    """Draw subjects with replacement: how often each number came; of fewer than two, nothing.

    Args:
        subjects: their numbers, each once.
        resamples: how many times.
        generator: to draw from.
    """
    if len(subjects) < 2:
        return []
    draws = []
    for _ in range(resamples):
        picked = subjects[generator.integers(0, len(subjects), len(subjects))]
        draws.append(np.bincount(picked, minlength=int(subjects.max()) + 1).astype(np.float64))
    return draws


def estimate(value: float, draws: np.ndarray, level: float) -> Estimate:
    """Take the percentiles of what the resamples gave."""
    kept = draws[~np.isnan(draws)]
    if not kept.size:
        return Estimate(value, float("nan"), float("nan"), len(draws))
    low, high = np.quantile(kept, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(value, float(low), float(high), len(draws) - len(kept))
