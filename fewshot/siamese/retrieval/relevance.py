"""Which gallery items are right answers to a query, and which may not be answers at all."""

from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from scipy import sparse

from episodes.errors import DataError
from fewshot.metrics.arrays import as_array

Labels = Any
"""Whole numbers of any size or strings, one an item: a list, an array or a tensor."""


@runtime_checkable
class Relevance(Protocol):
    """How relevant gallery items are to queries, block by block."""

    queries: int
    gallery: int

    def gains(self, queries: slice, gallery: slice) -> np.ndarray:
        """Relevance of a block [query item]: booleans, or float32 of at least 0."""
        ...


class SameLabel:
    """An item is relevant to a query that has the same label.

    Args:
        queries, gallery: one label an item; whole numbers are compared exactly, however large.
    """

    def __init__(self, queries: Labels, gallery: Labels) -> None:
        self._queries, self._gallery = shared_codes(queries, gallery)
        self.queries, self.gallery = len(self._queries), len(self._gallery)

    def gains(self, queries: slice, gallery: slice) -> np.ndarray:
        """See `Relevance`."""
        return self._queries[queries, None] == self._gallery[gallery]


class SharedLabels:
    """An item is the more relevant the more labels it shares with the query.

    Args:
        queries, gallery: a collection of labels an item; it may be empty.
        overlap: the gain is the number of shared labels ("count"), or that number divided by the
            number of labels that either has ("jaccard").

    Raises:
        DataError: no such overlap.
    """

    def __init__(
        self,
        queries: Sequence[Collection[Hashable]],
        gallery: Sequence[Collection[Hashable]],
        overlap: str = "count",
    ) -> None:
        if overlap not in ("count", "jaccard"):
            raise DataError(f"overlap is {overlap!r}; expected 'count' or 'jaccard'")
        self.queries, self.gallery = len(queries), len(gallery)
        self._jaccard = overlap == "jaccard"
        table: dict[Hashable, int] = {}
        sets = [sorted({table.setdefault(n, len(table)) for n in s}) for s in (*queries, *gallery)]
        starts = np.cumsum([0, *map(len, sets)])
        columns = np.array([code for each in sets for code in each], np.int64)
        ones = np.ones(len(columns), np.float32)
        shape = (len(sets), max(1, len(table)))
        incidence = sparse.csr_array((ones, columns, starts), shape=shape)
        self._queries, self._gallery = incidence[: self.queries], incidence[self.queries :]

    def gains(self, queries: slice, gallery: slice) -> np.ndarray:
        """See `Relevance`."""
        own, other = self._queries[queries], self._gallery[gallery]
        shared = (own @ other.T).toarray()
        if self._jaccard:
            either = own.sum(axis=1)[:, None] + other.sum(axis=1)[None] - shared
            shared = shared / np.maximum(either, 1)
        return shared.astype(np.float32)


class Graded:
    """Relevance is given as a table.

    Args:
        table: gains [query item] of at least 0, finite; it may be a memory map.
    """

    def __init__(self, table: Any) -> None:
        self._table = as_array(table)
        if self._table.ndim != 2:
            raise DataError(f"gains have shape {self._table.shape}; expected (query, item)")
        self.queries, self.gallery = self._table.shape

    def gains(self, queries: slice, gallery: slice) -> np.ndarray:
        """See `Relevance`."""
        block = np.asarray(self._table[queries, gallery], np.float32)
        if block.size and not (np.isfinite(block).all() and block.min() >= 0):
            raise DataError("a gain is negative or not finite; expected relevance of at least 0")
        return block


@dataclass(frozen=True)
class Exclusion:
    """Gallery items that a query may not find: those of its own image, study, site or subject.

    Attributes:
        queries, gallery: numbers of the groups [query], [item]; equal ones exclude each other.
    """

    queries: np.ndarray
    gallery: np.ndarray

    @staticmethod
    def of(queries: Labels, gallery: Labels) -> "Exclusion":
        """Exclude items with the query's own label, e.g. its subject."""
        return Exclusion(*shared_codes(queries, gallery))

    def block(self, queries: slice, gallery: slice) -> np.ndarray:
        """Which pairs of a block are excluded [query item]."""
        return self.queries[queries, None] == self.gallery[gallery]


def shared_codes(*groups: Labels) -> list[np.ndarray]:
    """Number the labels of several lists, equal labels getting equal numbers.

    Args:
        groups: labels, see `Labels`.

    Returns:
        int32 [item] for each list.

    Raises:
        DataError: a label is neither a whole number nor a string.

    >>> [codes.tolist() for codes in shared_codes([2**24, 2**24 + 1], [2**24 + 1, 10**30])]
    [[0, 1], [1, 2]]
    """
    table: dict[Hashable, int] = {}
    return [
        np.array([table.setdefault(label, len(table)) for label in _listed(group)], np.int32)
        for group in groups
    ]


def _listed(labels: Labels) -> list[Hashable]:
    """List labels as Python values: their comparison is exact at any size."""
    plain = labels if isinstance(labels, (list, tuple)) else as_array(labels)
    values = [v.item() if isinstance(v, np.generic) else v for v in plain]
    wrong = next((v for v in values if not isinstance(v, (int, str))), None)
    if wrong is not None:
        raise DataError(
            f"a label is {wrong!r}; expected whole numbers or strings, one an item, which can be "
            "compared exactly"
        )
    return list(values)
