"""Open-set identification: whether a subject is enrolled in the gallery at all, and which.

Paper: Phillips, Grother and Micheals, Evaluation methods in face recognition, in Handbook of Face
Recognition, 2011.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from episodes.errors import DataError
from fewshot.metrics.arrays import as_array
from fewshot.siamese.retrieval.relevance import Labels, shared_codes
from fewshot.siamese.verification.pairs_roc import Estimate, draw_subjects, estimate


@dataclass(frozen=True)
class Probes:
    """The scores of every probe in the gallery.

    Attributes:
        subjects: number of each probe's subject [probe].
        best: score of the best item of any subject [probe].
        mate_score: of the best item of the probe's subject; minus infinity if not enrolled [probe].
        rank: number of subjects that score at least that, itself included [probe].
    """

    subjects: np.ndarray = field(repr=False)
    best: np.ndarray = field(repr=False)
    mate_score: np.ndarray = field(repr=False)
    rank: np.ndarray = field(repr=False)

    @staticmethod
    def of(scores: Any, probes: Labels, gallery: Labels) -> "Probes":
        """Rank the subjects of the gallery for every probe.

        Args:
            scores: similarities [probe item].
            probes, gallery: the subject of each.

        Raises:
            DataError: shapes do not fit, the gallery is empty, or a score is NaN.
        """
        table = np.asarray(as_array(scores), np.float64)
        probe_codes, item_codes = shared_codes(probes, gallery)
        shape = (len(probe_codes), len(item_codes))
        if table.shape != shape or not len(item_codes):
            raise DataError(f"scores have shape {table.shape}; expected {shape}")
        if np.isnan(table).any():
            raise DataError(f"{int(np.isnan(table).sum())} scores are NaN; they cannot be ranked")
        order = np.argsort(item_codes, kind="stable")
        subjects, starts = np.unique(item_codes[order], return_index=True)
        best = np.maximum.reduceat(table[:, order], starts, axis=1)
        mate_score = np.where(probe_codes[:, None] == subjects, best, -np.inf).max(axis=1)
        rank = np.count_nonzero(best >= mate_score[:, None], axis=1)
        return Probes(probe_codes, best.max(axis=1), mate_score, rank)


def identification_rate(
    probes: Probes, far: float, *, rank: int = 1, weights: np.ndarray | None = None
) -> float:
    """Detection and identification rate at a false alarm rate.

    A probe whose subject is enrolled counts if its own subject's best score is among the `rank`
    best of all subjects (ties losing) and is above the threshold: the lowest one that at most the
    share `far` of the probes who are not enrolled exceed with anybody.

    Args:
        probes: what they found.
        far: the false alarm rate, 0 to 1; 1 is closed-set identification.
        rank: how many subjects may be named.
        weights: of the probes [probe]; by default 1 each.

    Returns:
        A rate in 0..1; NaN without an enrolled probe, or, below a rate of 1, without a stranger.

    Raises:
        DataError: far or rank is out of range.

    Example:
        The stranger c scores 0.5 at best, so a has to score more.

        >>> found = Probes.of([[0.9, 0.1], [0.5, 0.4]], ["a", "c"], ["a", "b"])
        >>> identification_rate(found, far=0)
        1.0
    """
    if not 0 <= far <= 1 or rank < 1:
        raise DataError(f"far is {far} and rank {rank}; expected 0 to 1, and at least 1")
    weight = np.ones(len(probes.best)) if weights is None else weights
    enrolled = ~np.isneginf(probes.mate_score)
    members, strangers = weight * enrolled, weight * ~enrolled
    if members.sum() <= 0 or (strangers.sum() <= 0 and far < 1):
        return float("nan")
    order = np.argsort(-probes.best, kind="stable")
    over = np.cumsum(strangers[order]) > far * strangers.sum() + 1e-9
    limit = probes.best[order][np.argmax(over)] if over.any() else -np.inf
    named = (probes.rank <= rank) & (probes.mate_score > limit)
    return float((members * named).sum() / members.sum())


def bootstrap_identification(
    probes: Probes,
    far: float,
    *,
    rank: int = 1,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int | np.random.Generator = 0,
) -> Estimate:
    """Do as `identification_rate`, with a percentile interval from drawing the probes' subjects.

    The gallery stays as it is; the threshold is found anew in every draw.

    Raises:
        DataError: a setting is out of range.
    """
    if not 0 < level < 1 or resamples < 1:
        raise DataError(f"level is {level}, resamples {resamples}; expected 0..1 and at least 1")
    generator = np.random.default_rng(seed)
    draws = [
        identification_rate(probes, far, rank=rank, weights=counts[probes.subjects])
        for counts in draw_subjects(np.unique(probes.subjects), resamples, generator)
    ]
    return estimate(identification_rate(probes, far, rank=rank), np.array(draws), level)
