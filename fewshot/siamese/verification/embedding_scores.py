"""Same or not, and who is nearest: the scores of a set of embeddings, in one place.

Every two images make a pair, but an image and itself, and images of one identity that stand side by
side in its list (neighbouring slices, frames of one heartbeat), which would be too easy. Neither
are they answers to each other in retrieval.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from episodes.errors import DataError
from fewshot.metrics.arrays import as_array
from fewshot.metrics.bootstrap import Interval
from fewshot.numerics import unit_rows
from fewshot.siamese.retrieval.ranking import checked_embeddings
from fewshot.siamese.retrieval.relevance import Exclusion, SameLabel
from fewshot.siamese.retrieval.retrieval_metrics import Retrieval, retrieve
from fewshot.siamese.verification.pairs_roc import Pairs, auc, bootstrap_pairs, equal_error_rate

_MOST = 10_000  # images whose pairs are all listed


@dataclass(frozen=True)
class EmbeddingScores:
    """Embeddings of images whose identities are known.

    Attributes:
        embeddings: [image channel].
        identities: the class or subject of each image.
        min_gap: smallest distance in the list of the identity at which two images make a pair.

    Raises:
        DataError: lengths differ, no pair is left, or there are too many images.
    """

    embeddings: Any
    identities: Sequence[str]
    min_gap: int = 1

    def __post_init__(self) -> None:
        vectors = checked_embeddings(self.embeddings, "images")
        if len(vectors) != len(self.identities):
            raise DataError(
                f"{len(vectors)} embeddings of {len(self.identities)} images; expected one each"
            )
        if self.min_gap < 1:
            raise DataError(f"min_gap is {self.min_gap}; expected at least 1")
        if len(vectors) > _MOST:
            raise DataError(f"{len(vectors):,} images; all pairs are listed of at most {_MOST:,}")
        if not self.pairs.genuine.any() or self.pairs.genuine.all():
            raise DataError(
                f"{len(vectors)} images of {len(set(self.identities))} identities, at "
                f"least {self.min_gap} apart, make no genuine or no impostor pair; give more images"
            )

    @cached_property
    def codes(self) -> np.ndarray:
        """Numbers of the identities [image]."""
        return np.unique(np.array(self.identities), return_inverse=True)[1]

    @cached_property
    def positions(self) -> np.ndarray:
        """Position of each image in the list of its identity [image]."""
        positions = np.empty(len(self.codes), np.int64)
        for code in range(self.codes.max(initial=-1) + 1):
            images = np.flatnonzero(self.codes == code)
            positions[images] = np.arange(len(images))
        return positions

    @cached_property
    def pairs(self) -> Pairs:
        """All pairs with their cosines, each once."""
        vectors = unit_rows(as_array(self.embeddings))
        first, second = np.triu_indices(len(vectors), 1)
        near = np.abs(self.positions[first] - self.positions[second]) < self.min_gap
        kept = (self.codes[first] != self.codes[second]) | ~near
        first, second = first[kept], second[kept]
        scores = (vectors @ vectors.T)[first, second]
        return Pairs.of(scores, self.codes[first], self.codes[second])

    @cached_property
    def retrieval(self) -> Retrieval:
        """Every image as a query to all others."""
        neighbours = ExcludeNeighbours(self.codes, self.codes, self.positions, self.min_gap)
        same = SameLabel(self.codes, self.codes)
        return retrieve(self.embeddings, same, exclude=[neighbours], at=(1,))

    def values(self) -> dict[str, float]:
        """ROC-AUC and EER of all pairs, and recall@1, from 0 to 1."""
        curve = self.pairs.roc()
        return {
            "auc": auc(curve),
            "eer": equal_error_rate(curve),
            "recall_at_1": self.interval_of_recall().mean,
        }

    def interval_of_recall(self, seed: int = 0) -> Interval:
        """Recall@1, mean over identities, with its 95 % interval."""
        return self.retrieval.interval("recall@1", self.codes.tolist(), seed=seed)

    def intervals(self, seed: int = 0) -> dict[str, tuple[float, float, float]]:
        """The same scores, each with a 95 % interval from drawing identities: value, low, high."""
        recall = self.interval_of_recall(seed)
        intervals = {
            "auc": bootstrap_pairs(self.pairs, auc, seed=seed)[:3],
            "eer": bootstrap_pairs(self.pairs, equal_error_rate, seed=seed)[:3],
            "recall_at_1": recall[:3],
        }
        return {name: (value, low, high) for name, (value, low, high) in intervals.items()}


@dataclass(frozen=True)
class ExcludeNeighbours(Exclusion):
    """Excludes items of the query's identity near it in the list of the identity.

    Attributes:
        positions: of the images (queries and items) in the lists of their identities [image].
        min_gap: distance from which on they are no neighbours.
    """

    positions: np.ndarray
    min_gap: int

    def block(self, queries: slice, gallery: slice) -> np.ndarray:
        """Which pairs of a block are excluded [query item]."""
        gap = np.abs(self.positions[queries, None] - self.positions[gallery])
        return super().block(queries, gallery) & (gap < self.min_gap)
