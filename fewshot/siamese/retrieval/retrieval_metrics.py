"""How well embeddings find what belongs together: recall@k, mAP@R, R-precision, nDCG.

A query without any relevant item in the gallery (such as a singleton) cannot be answered: its
scores are NaN, they are left out of means and counted. Ties: see
`fewshot.siamese.retrieval.ranking`.

Papers: Musgrave et al., A metric learning reality check, ECCV 2020 (mAP@R, R-precision); Järvelin
and Kekäläinen, Cumulated gain-based evaluation of IR techniques, TOIS 2002 (nDCG).
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from episodes.errors import DataError, shorten
from fewshot.metrics.bootstrap import Interval, bootstrap_mean
from fewshot.siamese.retrieval.ranking import Distance, Ranking, checked_embeddings, rank_gallery
from fewshot.siamese.retrieval.relevance import Exclusion, Relevance


@dataclass(frozen=True)
class Retrieval:
    """Scores of every query.

    Attributes:
        scores: `{name: [query]}` in 0..1, NaN where no item is relevant; the names are
            `precision@1`, `recall@k`, `ndcg@k`, `r_precision` and `map@r`.
        relevant: relevant items in the gallery, of each query [query].
    """

    scores: Mapping[str, np.ndarray] = field(repr=False)
    relevant: np.ndarray = field(repr=False)

    @property
    def undefined(self) -> int:
        """How many queries no gallery item is relevant to."""
        return int((self.relevant == 0).sum())

    def mean(self, name: str) -> float:
        """Mean over the queries that have a relevant item; NaN without any."""
        values = self._named(name)
        values = values[~np.isnan(values)]
        return float(values.mean()) if values.size else float("nan")

    def interval(self, name: str, subjects: Sequence[Hashable], **options: Any) -> Interval:
        """Mean over subjects with its interval, see `fewshot.metrics.bootstrap.bootstrap_mean`.

        Args:
            name: of the score.
            subjects: of each query; they are what is drawn again.
            options: level, resamples, method, seed.
        """
        return bootstrap_mean(self._named(name), subjects, **options)

    def _named(self, name: str) -> np.ndarray:
        if name not in self.scores:
            raise DataError(f"there is no score {name!r}; expected {shorten(self.scores, 20)}")
        return self.scores[name]


def retrieve(
    queries: Any,
    relevance: Relevance,
    gallery: Any = None,
    *,
    exclude: Sequence[Exclusion] = (),
    at: Sequence[int] = (1, 5, 10),
    distance: Distance = "cosine",
) -> Retrieval:
    """Score the retrieval of gallery items by queries.

    Args:
        queries: embeddings [query channel], array or tensor.
        relevance: of every gallery item to every query.
        gallery: embeddings [item channel]; by default the queries, each without itself.
        exclude: pairs that do not count, e.g. items of the query's own subject.
        at: the numbers k of recall@k (whether any of the k nearest items is relevant) and of
            nDCG@k (gains as they are, discounted by log2 of the rank plus one).
        distance: how embeddings are compared.

    Returns:
        The scores of each query.

    Raises:
        DataError: shapes do not fit, embeddings are not finite, or a k is below 1.

    Example:
        Two classes on a line: the third query's neighbour is of the other class.

        >>> from fewshot.siamese.retrieval.relevance import SameLabel
        >>> labels = ["a", "a", "b", "b"]
        >>> places = [[0.0], [1.0], [2.5], [9.0]]
        >>> found = retrieve(places, SameLabel(labels, labels), at=(1,), distance="euclidean")
        >>> found.scores["precision@1"].tolist(), found.mean("map@r")
        ([1.0, 1.0, 0.0, 1.0], 0.75)
    """
    own = gallery is None
    places = checked_embeddings(queries, "queries")
    items = places if own else checked_embeddings(gallery, "gallery items")
    _check(places, items, relevance, exclude, at)
    count = len(places)
    names = ["precision@1", *(f"{n}@{k}" for n in ("recall", "ndcg") for k in at)]
    scores = {name: np.full(count, np.nan) for name in (*names, "r_precision", "map@r")}
    relevant = np.zeros(count, np.int64)
    for ranking in rank_gallery(
        places, items, relevance, exclude, same_items=own, depth=max((1, *at)), distance=distance
    ):
        relevant[ranking.queries] = ranking.relevant
        for name, values in _scores(ranking, at).items():
            scores[name][ranking.queries] = np.where(ranking.relevant > 0, values, np.nan)
    return Retrieval(scores, relevant)


def _scores(ranking: Ranking, at: Sequence[int]) -> dict[str, np.ndarray]:
    """Scores of a block [query]; what they are without a relevant item does not matter."""
    gains, relevant = ranking.gains, np.maximum(ranking.relevant, 1)
    ranks = np.arange(1, gains.shape[1] + 1, dtype=np.float32)
    hits = gains > 0
    scores: dict[str, np.ndarray] = {"precision@1": hits[:, :1].max(axis=1, initial=False)}
    discount = 1 / np.log2(1 + np.arange(1, 1 + max(at, default=1)))
    for k in at:
        scores[f"recall@{k}"] = hits[:, :k].max(axis=1, initial=False)
        reached = gains[:, :k] @ discount[: min(k, gains.shape[1])]
        best = ranking.ideal[:, :k] @ discount[:k]
        scores[f"ndcg@{k}"] = reached / np.where(best > 0, best, 1)
    hits &= ranks <= relevant[:, None]
    found = np.cumsum(hits, axis=1, dtype=np.float32)
    scores["r_precision"] = hits.sum(axis=1) / relevant
    scores["map@r"] = ((found / ranks) * hits).sum(axis=1, dtype=np.float64) / relevant
    return scores


def _check(
    queries: np.ndarray,
    gallery: np.ndarray,
    relevance: Relevance,
    exclude: Sequence[Exclusion],
    at: Sequence[int],
) -> None:
    if queries.shape[1] != gallery.shape[1]:
        raise DataError(
            f"queries have {queries.shape[1]} channels and gallery items {gallery.shape[1]}; "
            "expected embeddings of one model"
        )
    shape = (len(queries), len(gallery))
    shapes = [(relevance.queries, relevance.gallery)]
    shapes += [(len(each.queries), len(each.gallery)) for each in exclude]
    wrong = [each for each in shapes if each != shape]
    if wrong:
        raise DataError(
            f"relevance or an exclusion is for (queries, items) {wrong[0]}; there are {shape}"
        )
    if any(k < 1 for k in at):
        raise DataError(f"at is {tuple(at)}; expected numbers of at least 1")
