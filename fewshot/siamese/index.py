"""The match index in a folder: exact search over memory-mapped embeddings, in this process."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from episodes.encode import make_folder
from episodes.errors import DataError, shorten
from episodes.extras import need
from fewshot.siamese.matches import (
    Match,
    Row,
    Value,
    checked_items,
    checked_queries,
    merged_kinds,
)
from fewshot.siamese.rankings import Distance, unit
from fewshot.siamese.segments import (
    ARROW,
    MANIFEST,
    Manifest,
    Segment,
    arrow_table,
    check_embeddings,
    mark_dead,
    open_segment,
    read_manifest,
    write_manifest,
    write_segment,
)

_TILE = 65_536  # items compared at once
_QUERIES = 256  # queries compared at once
_PATIENCE = 10.0  # seconds to wait for another writer


class FolderIndex:
    """Items in a folder; see `fewshot.siamese.matches.Index`.

    One process at a time may change an index; any number may search it meanwhile, and see the
    state of the moment they opened it, or called `refresh`.

    Args:
        folder: that `create` made.

    Raises:
        DataError: there is no index, or it is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.refresh()

    @classmethod
    def create(
        cls, folder: Path, dim: int, distance: Distance, about: dict[str, Any]
    ) -> "FolderIndex":
        """Make an empty index; see `fewshot.siamese.matches.create_index`."""
        need("pyarrow", "match")
        make_folder(folder)
        if (folder / MANIFEST).exists():
            raise DataError(f"{folder} holds a match index; add to it, or choose another folder")
        write_manifest(folder, Manifest(dim, distance, about))
        return cls(folder)

    def refresh(self) -> None:
        """See what other processes have changed."""
        for _ in range(5):
            self._manifest = read_manifest(self.folder)
            try:
                self._segments = [
                    open_segment(self.folder, entry, self._manifest.dim)
                    for entry in self._manifest.segments
                ]
                return
            except FileNotFoundError as error:
                missing = error.filename  # unless a change took it away just now
        raise DataError(
            f"{missing} is missing: the match index is damaged; build it again or copy it back"
        )

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        return self._manifest.dim

    @property
    def distance(self) -> Distance:
        """How embeddings are compared."""
        return self._manifest.distance

    @property
    def about(self) -> Mapping[str, Any]:
        """What was said when the index was made."""
        return self._manifest.about

    @property
    def columns(self) -> Mapping[str, str]:
        """The names of the metadata, and their types."""
        return self._manifest.columns

    def __len__(self) -> int:
        return sum(int(segment.alive.sum()) for segment in self._segments)

    def keys(self) -> list[str]:
        """The keys of all items, in the order in which they were written."""
        return [
            key
            for segment in self._segments
            for key in segment.table["key"].filter(segment.alive).to_pylist()
        ]

    # -- changes ---------------------------------------------------------------------------------

    def add(self, keys: Sequence[str], embeddings: Any, metadata: Sequence[Row] = ()) -> None:
        """Add items; see `Index`."""
        self._write(keys, embeddings, metadata, replacing=False)

    def update(self, keys: Sequence[str], embeddings: Any, metadata: Sequence[Row] = ()) -> None:
        """Add or replace items; see `Index`."""
        self._write(keys, embeddings, metadata, replacing=True)

    def delete(self, keys: Sequence[str]) -> None:
        """Take items out; see `Index`."""
        with self._changing():
            found = self._rows(keys)
            count = sum(len(rows) for rows in found)
            if count < len(set(keys)):
                there = set(self.keys())
                unknown = [key for key in keys if key not in there]
                raise DataError(f"the index has no {shorten(unknown, 3)}; nothing was deleted")
            self._commit(self._without(found))

    def compact(self) -> None:
        """Rewrite what is left into one segment, which frees the space of what was deleted."""
        pa = need("pyarrow", "match")
        with self._changing():
            kept = [s for s in self._segments if s.alive.any()]
            if not kept:
                self._commit(replace(self._manifest, segments=()))
                return
            tables = [segment.table.filter(pa.array(segment.alive)) for segment in kept]
            table = pa.concat_tables(tables, promote_options="permissive").combine_chunks()
            places = np.concatenate([segment.embeddings[segment.alive] for segment in kept])
            entry = write_segment(self.folder, table["key"], places, table)
            self._commit(replace(self._manifest, segments=(entry,)))

    def check(self) -> None:
        """Read everything and compare checksums.

        Raises:
            DataError: a file is not what was written.
        """
        for segment in self._segments:
            check_embeddings(self.folder, segment)

    def _write(
        self, keys: Sequence[str], embeddings: Any, metadata: Sequence[Row], *, replacing: bool
    ) -> None:
        names, vectors, rows = checked_items(keys, embeddings, metadata, self.dim)
        with self._changing():
            found = self._rows(names)
            if not replacing and any(len(rows) for rows in found):
                there = set(self.keys())
                raise DataError(
                    f"the index has {shorten([n for n in names if n in there], 3)} already; "
                    "nothing was added. Replace items with update"
                )
            columns = merged_kinds(self._manifest.columns, rows)
            manifest = replace(self._without(found), columns=columns)
            if names:
                table = arrow_table(names, rows, columns)
                entry = write_segment(self.folder, names, vectors, table)
                manifest = replace(manifest, segments=(*manifest.segments, entry))
            self._commit(manifest)

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        """Keep other writers out, and start from what they wrote."""
        try:
            with FileLock(self.folder / ".lock", timeout=_PATIENCE):
                self.refresh()
                yield
        except Timeout:
            raise DataError(
                f"another process has been changing {self.folder} for {_PATIENCE:.0f} s; wait "
                "until it has finished"
            ) from None

    def _commit(self, manifest: Manifest) -> None:
        write_manifest(self.folder, manifest)
        self.refresh()

    def _rows(self, keys: Sequence[str]) -> list[np.ndarray]:
        """Find the living rows with these keys, segment by segment."""
        pa, compute = need("pyarrow", "match"), need("pyarrow.compute", "match")
        wanted = pa.array(list(keys), pa.string())
        return [
            np.flatnonzero(
                compute.is_in(segment.table["key"], value_set=wanted).to_numpy() & segment.alive
            )
            for segment in self._segments
        ]

    def _without(self, rows: Sequence[np.ndarray]) -> Manifest:
        """The manifest after the deletion of some rows of each segment."""
        entries = [
            mark_dead(self.folder, segment, gone) if len(gone) else segment.entry
            for segment, gone in zip(self._segments, rows, strict=True)
        ]
        return replace(self._manifest, segments=tuple(entries))

    # -- search ----------------------------------------------------------------------------------

    def search(
        self,
        queries: Any,
        k: int = 10,
        *,
        where: Row | None = None,
        without: Mapping[str, Sequence[Value]] | None = None,
    ) -> list[list[Match]]:
        """Find the nearest items; see `Index`.

        Which items are found is decided in float32; ties go to what was written first. The
        distances returned are computed in float64.
        """
        vectors = checked_queries(queries, self.dim)
        self._check_search(len(vectors), k, where or {}, without or {})
        asked = unit(vectors) if self.distance == "cosine" else vectors
        found: list[list[Match]] = []
        for start in range(0, len(asked), _QUERIES):
            part = slice(start, start + _QUERIES)
            own = {name: list(values)[part] for name, values in (without or {}).items()}
            best = self._best(asked[part], k, where or {}, own)
            found += [self._matches(q, *rows) for q, rows in zip(asked[part], best, strict=True)]
        return found

    def _best(
        self, queries: np.ndarray, k: int, where: Row, without: Mapping[str, Sequence[Value]]
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """Segment and row of the nearest items of each query."""
        far = [np.zeros(0, np.float32)] * len(queries)
        rows = [np.zeros(0, np.int64)] * len(queries)
        offset = 0
        for segment in self._segments:
            alive = segment.alive & self._allowed(segment, where)
            banned = self._banned(segment, without)
            for start in range(0, segment.entry.rows, _TILE):
                kept = start + np.flatnonzero(alive[start : start + _TILE])
                if not len(kept):
                    continue
                whole = len(kept) == min(_TILE, segment.entry.rows - start)
                view = segment.embeddings[start : start + _TILE] if whole else None
                items = np.asarray(segment.embeddings[kept] if view is None else view)
                block = self._compared(queries, items)
                for query, distances in enumerate(block):
                    for codes in banned:
                        distances[codes[kept] == codes[-len(queries) + query]] = np.inf
                    far[query], rows[query] = _merged(
                        far[query], rows[query], distances, offset + kept, k
                    )
            offset += segment.entry.rows
        starts = np.cumsum([0, *(segment.entry.rows for segment in self._segments)])
        places = [np.searchsorted(starts, each, side="right") - 1 for each in rows]
        return [(p, r - starts[p]) for p, r in zip(places, rows, strict=True)]

    def _compared(self, queries: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Numbers that rank as the distances do, float32 [query item]."""
        squares = np.einsum("ic,ic->i", items, items)
        block = -queries @ items.T
        if self.distance == "cosine":
            block /= np.sqrt(np.where(squares > 0, squares, 1))
        else:
            block += squares / 2
        return block

    def _matches(self, query: np.ndarray, places: np.ndarray, rows: np.ndarray) -> list[Match]:
        """Look the items up, with their distances in float64, nearest first."""
        found = []
        for place, row in zip(places.tolist(), rows.tolist(), strict=True):
            segment = self._segments[place]
            item, asked = segment.embeddings[row].astype(np.float64), query.astype(np.float64)
            if self.distance == "euclidean":
                distance = float(np.linalg.norm(item - asked))
            else:
                length = float(np.linalg.norm(item) * np.linalg.norm(asked))
                distance = 1 - float(item @ asked) / length if length else 1.0
            stored = segment.table.slice(row, 1).to_pylist()[0]
            key = stored.pop("key")
            metadata = {name: value for name, value in stored.items() if value is not None}
            found.append(Match(key, max(0.0, distance), metadata))
        return sorted(found, key=lambda match: match.distance)

    def _allowed(self, segment: Segment, where: Row) -> np.ndarray:
        """Which rows equal the filter, bool [row]."""
        allowed = np.ones(segment.entry.rows, bool)
        for name, value in where.items():
            if name not in segment.table.column_names:
                return allowed & (value is None)
            column = segment.table[name]
            if value is None:
                allowed &= column.is_null().to_numpy()
            else:
                allowed &= self._codes(segment, name, [value])[: len(allowed)] == 0
        return allowed

    def _banned(self, segment: Segment, without: Mapping[str, Sequence[Value]]) -> list[np.ndarray]:
        """Codes of the rows, then of the queries; a query may not find rows of its own code."""
        return [
            self._codes(segment, name, values)
            for name, values in without.items()
            if name in segment.table.column_names
        ]

    def _codes(self, segment: Segment, name: str, values: Sequence[Value]) -> np.ndarray:
        """Number rows, then values: equal ones alike, other rows -1 and None -2."""
        pa, compute = need("pyarrow", "match"), need("pyarrow.compute", "match")
        kind = getattr(pa, ARROW[self.columns[name]])()
        known = list(dict.fromkeys(value for value in values if value is not None))
        try:
            wanted = pa.array(known, kind)
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise DataError(
                f"{name!r} is compared with {shorten(known, 3)}; the index holds "
                f"{self.columns[name]} there"
            ) from error
        rows = compute.index_in(segment.table[name], value_set=wanted)
        numbers = rows.fill_null(-1).to_numpy().astype(np.int64)
        own = [-2 if value is None else known.index(value) for value in values]
        return np.concatenate([numbers, np.array(own, np.int64)])

    def _check_search(
        self, count: int, k: int, where: Row, without: Mapping[str, Sequence[Value]]
    ) -> None:
        if k < 1:
            raise DataError(f"k is {k}; expected at least 1")
        unknown = [name for name in (*where, *without) if name not in self.columns]
        if unknown:
            raise DataError(
                f"the index has no metadata {shorten(unknown)}; it has "
                f"{shorten(self.columns) or 'none'}"
            )
        for name, values in without.items():
            if len(values) != count:
                raise DataError(f"{len(values)} values of {name!r} for {count} queries")


def _merged(
    far: np.ndarray, rows: np.ndarray, new_far: np.ndarray, new_rows: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Merge what was found with what a tile offers; of equal distances the first rows stay."""
    limit = far[-1] if len(far) == k else np.float32(np.finfo(np.float32).max)
    kept = np.flatnonzero(new_far <= limit)
    if len(kept) > 4 * k:
        last = np.partition(new_far[kept], k - 1)[k - 1]
        kept = kept[new_far[kept] <= last]
    far, rows = np.concatenate([far, new_far[kept]]), np.concatenate([rows, new_rows[kept]])
    order = np.lexsort((rows, far))[:k]
    return far[order], rows[order]
