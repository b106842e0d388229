"""The match index in a folder: exact search over memory-mapped embeddings, in this process."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from episodes.errors import DataError, shorten
from episodes.io.write import make_folder
from episodes.optional import import_optional
from fewshot.numerics import unit_rows
from fewshot.siamese.retrieval.exact_search import Searched, nearest_rows, search_nearest
from fewshot.siamese.retrieval.index import (
    Match,
    Row,
    Value,
    checked_items,
    checked_queries,
    merged_kinds,
)
from fewshot.siamese.retrieval.index_segments import (
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
from fewshot.siamese.retrieval.ranking import Distance

_QUERIES = 256  # queries compared at once
_PATIENCE = 10.0  # seconds to wait for another writer


class FolderIndex:
    """Items in a folder; see `fewshot.siamese.retrieval.index.Index`.

    One process at a time may change an index; any number may search it meanwhile, and see the
    state of the moment they opened it, or called `refresh`.

    Args:
        folder: that `create` made.

    Raises:
        DataError: there is no index, or it is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self._weights: dict[str, np.ndarray] = {}
        self._segments: list[Segment] = []
        self.refresh()

    @classmethod
    def create(
        cls, folder: Path, dim: int, distance: Distance, metadata: dict[str, Any]
    ) -> "FolderIndex":
        """Make an empty index; see `fewshot.siamese.retrieval.index.create_index`."""
        import_optional("pyarrow", "match")
        make_folder(folder)
        if (folder / MANIFEST).exists():
            raise DataError(f"{folder} holds a match index; add to it, or choose another folder")
        write_manifest(folder, Manifest(dim, distance, metadata))
        return cls(folder)

    def refresh(self) -> None:
        """See what other processes have changed."""
        opened = {segment.entry: segment for segment in self._segments}  # they never change
        for _ in range(5):
            self._manifest = read_manifest(self.folder)
            try:
                self._segments = [
                    opened.get(entry) or open_segment(self.folder, entry, self._manifest.dim)
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
    def metadata(self) -> Mapping[str, Any]:
        """Metadata of the index."""
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
        pa = import_optional("pyarrow", "match")
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
        pa, compute = (
            import_optional("pyarrow", "match"),
            import_optional("pyarrow.compute", "match"),
        )
        values = pa.array(list(keys), pa.string())
        return [
            np.flatnonzero(
                compute.is_in(segment.table["key"], value_set=values).to_numpy() & segment.alive
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
        normalised = unit_rows(vectors) if self.distance == "cosine" else vectors
        searched = Searched(tuple(self._segments), self.columns, self.distance, self._weights)
        found: list[list[Match]] = []
        for start in range(0, len(normalised), _QUERIES):
            part = slice(start, start + _QUERIES)
            own = {name: list(values)[part] for name, values in (without or {}).items()}
            best = nearest_rows(searched, normalised[part], k, where or {}, own)
            found += [
                search_nearest(searched, query, rows)
                for query, rows in zip(normalised[part], best, strict=True)
            ]
        return found

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
