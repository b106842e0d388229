"""What a match index is, wherever it lives: a folder on this machine, or Milvus by its address.

    index = create_index("scans.index", dim=128)
    index.add(["a", "b"], embeddings, [{"subject": "p1"}, {"subject": "p2"}])
    index.search(queries, k=5, where={"site": "north"}, without={"subject": ["p1"]})

Search is exact in both: every item that the filters leave is compared with the query.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np

from episodes.errors import DataError, shorten
from fewshot.siamese.retrieval.ranking import Distance, checked_embeddings

Value = str | int | float | bool | None
Row = Mapping[str, Value]
MAX_KEY = 512  # characters


@dataclass(frozen=True)
class Match:
    """An item that was found.

    Attributes:
        key: of the item.
        distance: 1 - cosine (0 to 2), or Euclidean.
        metadata: what was stored with it.
    """

    key: str
    distance: float
    metadata: Row = field(default_factory=dict)


@runtime_checkable
class Index(Protocol):
    """Embeddings with keys and metadata, to be searched."""

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        ...

    @property
    def distance(self) -> Distance:
        """How embeddings are compared."""
        ...

    @property
    def metadata(self) -> Mapping[str, Any]:
        """Metadata of the index, e.g. the model of the embeddings."""
        ...

    def __len__(self) -> int:
        """How many items there are."""
        ...

    def keys(self) -> list[str]:
        """The keys of all items."""
        ...

    def add(self, keys: Sequence[str], embeddings: Any, metadata: Sequence[Row] = ()) -> None:
        """Add items, all or none; a key that is there already is a DataError.

        Args:
            keys: one an item.
            embeddings: [item dim].
            metadata: one an item; strings, numbers and booleans by name. A name stands for one
                type of value in the whole index.
        """
        ...

    def update(self, keys: Sequence[str], embeddings: Any, metadata: Sequence[Row] = ()) -> None:
        """Add items, replacing those whose key is there already."""
        ...

    def delete(self, keys: Sequence[str]) -> None:
        """Take items out, all or none; an unknown key is a DataError."""
        ...

    def search(
        self,
        queries: Any,
        k: int = 10,
        *,
        where: Row | None = None,
        without: Mapping[str, Sequence[Value]] | None = None,
    ) -> list[list[Match]]:
        """Find the nearest items of every query, nearest first.

        Args:
            queries: [query dim].
            k: how many; fewer are returned where fewer are left.
            where: only items whose metadata equals all of these.
            without: for each name one value a query: items that have it are left out, e.g. those
                of the query's own subject. None leaves nothing out.
        """
        ...


def checked_items(
    keys: Sequence[str], embeddings: Any, metadata: Sequence[Row], dim: int
) -> tuple[list[str], np.ndarray, list[dict[str, Value]]]:
    """Check what is to be stored.

    Raises:
        DataError: numbers differ, a key is empty or there twice, or a value cannot be stored.
    """
    names = list(keys)
    vectors = checked_queries(embeddings, dim) if len(names) else np.zeros((0, dim), np.float32)
    rows = [dict(row) for row in metadata] or [{} for _ in names]
    if not len(names) == len(vectors) == len(rows):
        raise DataError(
            f"{len(names)} keys, {len(vectors)} embeddings and {len(rows)} rows of metadata; "
            "expected one of each an item"
        )
    wrong = [k for k in names if not isinstance(k, str) or not 0 < len(k) <= MAX_KEY]
    if wrong:
        raise DataError(f"a key is {wrong[0]!r}; expected a string of 1 to {MAX_KEY} characters")
    if len(set(names)) < len(names):
        twice = [name for name in dict.fromkeys(names) if names.count(name) > 1][:3]
        raise DataError(f"the key {shorten(twice)} is given twice; expected each once")
    for row in rows:
        for name, value in row.items():
            _check_value(name, value)
    return names, vectors, rows


def checked_queries(embeddings: Any, dim: int) -> np.ndarray:
    """Check that embeddings fit the index.

    Raises:
        DataError: another length, or a value that is not finite.
    """
    vectors = checked_embeddings(embeddings, "embeddings")
    if vectors.shape[1] != dim:
        raise DataError(
            f"embeddings have {vectors.shape[1]} channels and the index {dim}; expected those of "
            "the model that the index was built with"
        )
    return vectors


def kind_of(value: Value) -> str:
    """Name the type under which a value is stored.

    >>> [kind_of(value) for value in ("a", True, 1, 0.5)]
    ['string', 'bool', 'int64', 'double']
    """
    kinds = {bool: "bool", int: "int64", float: "double", str: "string"}
    return kinds[type(value)]


def merged_kinds(known: Mapping[str, str], rows: Sequence[Row]) -> dict[str, str]:
    """Extend the columns of an index by those of new rows; whole numbers fit among decimals.

    Raises:
        DataError: a value is of another type than those that have its name.
    """
    kinds = dict(known)
    for row in rows:
        for name, value in row.items():
            if value is None:
                continue
            kind = kind_of(value)
            if kinds.setdefault(name, kind) != kind and (kinds[name], kind) != ("double", "int64"):
                raise DataError(
                    f"metadata {name!r} is {value!r}, a {kind}; the index holds {kinds[name]} there"
                )
    return kinds


def _check_value(name: str, value: Value) -> None:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) or name in ("key", "vector"):
        raise DataError(
            f"metadata is named {name!r}; expected letters, digits and _, and neither key nor "
            "vector"
        )
    if value is not None and type(value) not in (str, int, float, bool):
        raise DataError(f"metadata {name!r} is {value!r}; expected a string, number or boolean")
    if isinstance(value, float) and not math.isfinite(value):
        raise DataError(f"metadata {name!r} is {value}; expected a finite number or None")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise DataError(f"metadata {name!r} is {value}; whole numbers of 64 bits are stored")
