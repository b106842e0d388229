"""The match index on Milvus: one machine (Milvus Lite, a file) or a cluster, by its address."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from episodes.errors import DataError, shorten
from episodes.optional import import_optional
from fewshot.siamese.retrieval.index import (
    MAX_KEY,
    Match,
    Row,
    Value,
    checked_items,
    checked_queries,
    merged_kinds,
)
from fewshot.siamese.retrieval.ranking import Distance

_COLLECTION, _METADATA, _PAGE, _MOST = "fewshot_match", "_about", 1000, 16_384
_METRICS: dict[str, str] = {"cosine": "COSINE", "euclidean": "L2"}


class MilvusIndex:
    """Items in a Milvus collection with a flat index; see `fewshot.siamese.retrieval.index.Index`.

    Args:
        uri: `http://host:port`, or a file ending in `.db`; `#name` names the collection.

    Raises:
        DataError: there is no such collection, it cannot be reached, or pymilvus is missing.
    """

    def __init__(self, uri: str) -> None:
        self._client, self._name = _connect(uri)
        with _milvus_errors(uri):
            if not self._client.has_collection(self._name):
                raise DataError(
                    f"there is no match index {self._name} at {uri}; make one with "
                    "`fewshot match build`"
                )
            collection = f"{self._name}{_METADATA}"
            rows = (
                self._client.query(collection, filter='key == "about"', output_fields=["content"])
                if self._client.has_collection(collection)
                else []
            )
        try:
            stored = json.loads(rows[0]["content"])
            self.dim, self.distance = int(stored["dim"]), stored["distance"]
            self.metadata: Mapping[str, Any] = dict(stored["about"])
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise DataError(
                f"the collection {self._name} at {uri} is no match index ({error!r}); choose "
                "another name with #name"
            ) from error
        self._uri = uri

    @classmethod
    def create(
        cls, uri: str, dim: int, distance: Distance, metadata: dict[str, Any]
    ) -> "MilvusIndex":
        """Make an empty index; see `fewshot.siamese.retrieval.index.create_index`."""
        pymilvus = import_optional("pymilvus", "match")
        client, name = _connect(uri)
        with _milvus_errors(uri):
            if client.has_collection(name):
                raise DataError(
                    f"there is a collection {name} at {uri}; add to it, or choose another #name"
                )
            stored = json.dumps({"dim": dim, "distance": distance, "about": metadata})
            # Milvus Lite forgets descriptions, so the metadata of the index are a row of their own.
            _make(client, pymilvus, f"{name}{_METADATA}", 2, "L2")
            row = {"key": "about", "vector": [0.0, 0.0], "content": stored}
            client.upsert(f"{name}{_METADATA}", [row])
            _make(client, pymilvus, name, dim, _METRICS[distance])
        return cls(uri)

    def __len__(self) -> int:
        with _milvus_errors(self._uri):
            rows = self._client.query(self._name, filter="", output_fields=["count(*)"])
        return int(rows[0]["count(*)"])

    def keys(self) -> list[str]:
        """The keys of all items, sorted."""
        with _milvus_errors(self._uri):
            pages = self._client.query_iterator(
                self._name, batch_size=_PAGE, filter="", output_fields=["key"]
            )
            found: list[str] = []
            while page := pages.next():
                found += [row["key"] for row in page]
            pages.close()
        return sorted(found)

    def add(self, keys: Sequence[str], embeddings: Any, metadata: Sequence[Row] = ()) -> None:
        """Add items; see `Index`. A cluster that fails between pages keeps the first of them."""
        there = self._present(keys)
        if there:
            raise DataError(
                f"the index has {shorten(there, 3)} already; nothing was added. Replace items "
                "with update"
            )
        self.update(keys, embeddings, metadata)

    def update(self, keys: Sequence[str], embeddings: Any, metadata: Sequence[Row] = ()) -> None:
        """Add or replace items; see `Index`. Those replaced are gone for a moment."""
        names, vectors, rows = checked_items(keys, embeddings, metadata, self.dim)
        merged_kinds({}, rows)
        items = [
            {"key": name, "vector": vector, **{n: v for n, v in row.items() if v is not None}}
            for name, vector, row in zip(names, vectors.tolist(), rows, strict=True)
        ]
        # Milvus Lite would keep metadata of the old item that the new one lacks.
        there = self._present(names)
        if there:
            self.delete(there)
        with _milvus_errors(self._uri):
            for start in range(0, len(items), _PAGE):
                self._client.upsert(self._name, items[start : start + _PAGE])

    def delete(self, keys: Sequence[str]) -> None:
        """Take items out; see `Index`."""
        there = set(self._present(keys))
        unknown = [key for key in keys if key not in there]
        if unknown:
            raise DataError(f"the index has no {shorten(unknown, 3)}; nothing was deleted")
        with _milvus_errors(self._uri):
            for start in range(0, len(keys), _PAGE):
                self._client.delete(self._name, ids=list(keys[start : start + _PAGE]))

    def search(
        self,
        queries: Any,
        k: int = 10,
        *,
        where: Row | None = None,
        without: Mapping[str, Sequence[Value]] | None = None,
    ) -> list[list[Match]]:
        """Find the nearest items; see `Index`. At most 16,384, Milvus' limit."""
        vectors = checked_queries(queries, self.dim)
        if not 1 <= k <= _MOST:
            raise DataError(f"k is {k}; expected 1 to {_MOST:,}")
        for name, values in (without or {}).items():
            if len(values) != len(vectors):
                raise DataError(f"{len(values)} values of {name!r} for {len(vectors)} queries")
        return [
            self._search(vector, k, where or {}, {n: v[i] for n, v in (without or {}).items()})
            for i, vector in enumerate(vectors)
        ]

    def _search(self, vector: np.ndarray, k: int, where: Row, without: Row) -> list[Match]:
        terms = [_equal(name, value) for name, value in where.items()]
        # An item that lacks the name is not of the query's subject: it stays.
        terms += [
            f"not ({_equal(name, value)})" for name, value in without.items() if value is not None
        ]
        with _milvus_errors(self._uri):
            (found,) = self._client.search(
                self._name,
                data=[vector.tolist()],
                limit=k,
                filter=" and ".join(terms),
                output_fields=["*"],
                consistency_level="Strong",
            )
        matches = []
        for hit in found:
            stored = {n: v for n, v in dict(hit["entity"]).items() if n not in ("key", "vector")}
            value = float(hit["distance"])
            distance = 1 - value if self.distance == "cosine" else max(0.0, value) ** 0.5
            matches.append(Match(str(hit["key"]), max(0.0, distance), stored))
        return sorted(matches, key=lambda match: match.distance)

    def _present(self, keys: Sequence[str]) -> list[str]:
        found: list[str] = []
        with _milvus_errors(self._uri):
            for start in range(0, len(keys), _PAGE):
                part = list(keys[start : start + _PAGE])
                rows = self._client.get(self._name, ids=part, output_fields=["key"])
                found += [row["key"] for row in rows]
        return found


class _milvus_errors:
    """Turn what Milvus raises into our error."""

    def __init__(self, uri: str) -> None:
        self._uri = uri

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, import_optional("pymilvus", "match").MilvusException):
            raise DataError(f"Milvus at {self._uri} failed: {error}") from error


def _make(client: Any, pymilvus: Any, name: str, dim: int, metric: str) -> None:
    """Make a collection of keys, vectors and whatever else a row holds, searched exactly."""
    kinds = pymilvus.DataType
    schema = client.create_schema(auto_id=False, enable_dynamic_field=True)
    schema.add_field("key", kinds.VARCHAR, is_primary=True, max_length=4 * MAX_KEY)
    schema.add_field("vector", kinds.FLOAT_VECTOR, dim=dim)
    plan = client.prepare_index_params()
    plan.add_index("vector", index_type="FLAT", metric_type=metric)
    client.create_collection(name, schema=schema, index_params=plan, consistency_level="Strong")


def _connect(uri: str) -> tuple[Any, str]:
    """Open an address; returns the client and the name of the collection."""
    pymilvus = import_optional("pymilvus", "match")
    place, _, name = uri.partition("#")
    if name and not re.fullmatch(r"[A-Za-z_]\w{0,200}", name):
        raise DataError(f"the collection is called {name!r}; expected letters, digits and _")
    if place.endswith(".db"):
        import_optional("milvus_lite", "match")
        if not Path(place).parent.is_dir():
            raise DataError(f"{place} lies in no folder; make the folder first")
    with _milvus_errors(place):
        return pymilvus.MilvusClient(place), name or _COLLECTION


def _equal(name: str, value: Value) -> str:
    """Write an equality in Milvus' language; strings are quoted as JSON does."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        raise DataError(f"metadata is named {name!r}; expected letters, digits and _")
    if value is None:
        return f"not exists {name}"
    return f"{name} == {json.dumps(value, ensure_ascii=False)}"
