"""Exact search over the segments of a match index, tile by tile, in bounded memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from episodes.errors import DataError, shorten
from episodes.optional import import_optional
from fewshot.siamese.retrieval.index import Match, Row, Value
from fewshot.siamese.retrieval.index_segments import ARROW, Segment
from fewshot.siamese.retrieval.ranking import Distance

TILE = 65_536
"""Items compared at once."""


@dataclass(frozen=True)
class Searched:
    """What is searched.

    Attributes:
        segments: opened; their rows are numbered through.
        columns: type of each name in the metadata.
        distance: how embeddings are compared.
        weights: of the rows of segments by name, see `_weights`; filled as they are needed.
    """

    segments: tuple[Segment, ...]
    columns: Mapping[str, str]
    distance: Distance
    weights: dict[str, np.ndarray]

    @property
    def starts(self) -> np.ndarray:
        """Number of the first row of each segment, and of the row after the last."""
        return np.cumsum([0, *(segment.entry.rows for segment in self.segments)])


def nearest_rows(
    searched: Searched,
    queries: np.ndarray,
    k: int,
    where: Row,
    without: Mapping[str, Sequence[Value]],
) -> list[np.ndarray]:
    """Find the numbers of the nearest rows of each query, nearest first; ties by number.

    Args:
        searched: the index.
        queries: float32 [query dim]; of unit length where the distance is the cosine.
        k: how many rows a query.
        where, without: see `fewshot.siamese.retrieval.index.Index.search`.
    """
    far = [np.zeros(0, np.float32)] * len(queries)
    rows = [np.zeros(0, np.int64)] * len(queries)
    for segment, offset in zip(searched.segments, searched.starts, strict=False):
        alive = segment.alive & _allowed(searched, segment, where)
        banned = _banned(searched, segment, without)
        weights = _weights(searched, segment)
        for start in range(0, segment.entry.rows, TILE):
            tile = slice(start, min(start + TILE, segment.entry.rows))
            kept = start + np.flatnonzero(alive[tile])
            if not len(kept):
                continue
            whole = len(kept) == tile.stop - start
            which = tile if whole else kept  # a slice is not copied
            items = np.asarray(segment.embeddings[which])
            block = _compared(queries, items, weights[which], searched.distance)
            for query, distances in enumerate(block):
                for codes in banned:
                    distances[codes[kept] == codes[segment.entry.rows + query]] = np.inf
                far[query], rows[query] = _merged(
                    far[query], rows[query], distances, offset + kept, k
                )
    return rows


def search_nearest(searched: Searched, query: np.ndarray, rows: np.ndarray) -> list[Match]:
    """Read what is stored in rows, with their distances in float64, nearest first."""
    found = []
    starts = searched.starts
    for number in rows.tolist():
        place = int(np.searchsorted(starts, number, side="right")) - 1
        segment, row = searched.segments[place], number - int(starts[place])
        item, vector = segment.embeddings[row].astype(np.float64), query.astype(np.float64)
        if searched.distance == "euclidean":
            distance = float(np.linalg.norm(item - vector))
        else:
            length = float(np.linalg.norm(item) * np.linalg.norm(vector))
            distance = 1 - float(item @ vector) / length if length else 1.0
        stored = segment.table.slice(row, 1).to_pylist()[0]
        key = stored.pop("key")
        metadata = {name: value for name, value in stored.items() if value is not None}
        found.append(Match(key, max(0.0, distance), metadata))
    return sorted(found, key=lambda match: match.distance)


def _compared(
    queries: np.ndarray, items: np.ndarray, weights: np.ndarray, distance: Distance
) -> np.ndarray:
    """Numbers that rank as the distances do, float32 [query item]."""
    # The product of a matrix and a vector is twice as fast as that of two matrices.
    block = (items @ -queries[0])[None] if len(queries) == 1 else -queries @ items.T
    if distance == "cosine":
        block *= weights
    else:
        block += weights
    return block


def _weights(searched: Searched, segment: Segment) -> np.ndarray:
    """What turns products into distances: 1 / length, or length² / 2; computed once an index."""
    name = segment.entry.name
    if name not in searched.weights:
        weights: np.ndarray = np.zeros(segment.entry.rows, np.float32)
        for start in range(0, segment.entry.rows, TILE):
            tile = np.asarray(segment.embeddings[start : start + TILE])
            weights[start : start + TILE] = np.einsum("ic,ic->i", tile, tile)
        if searched.distance == "cosine":
            weights = 1 / np.sqrt(np.where(weights > 0, weights, 1))
        else:
            weights /= 2
        searched.weights[name] = weights
    return searched.weights[name]


def _allowed(searched: Searched, segment: Segment, where: Row) -> np.ndarray:
    """Which rows equal the filter, bool [row]."""
    allowed = np.ones(segment.entry.rows, bool)
    for name, value in where.items():
        if name not in segment.table.column_names:  # written before the index had the name
            allowed &= value is None
        elif value is None:
            allowed &= segment.table[name].is_null().to_numpy()
        else:
            allowed &= _codes(searched, segment, name, [value])[: len(allowed)] == 0
    return allowed


def _banned(
    searched: Searched, segment: Segment, without: Mapping[str, Sequence[Value]]
) -> list[np.ndarray]:
    """Codes of the rows, then of the queries; a query may not find rows of its own code."""
    return [
        _codes(searched, segment, name, values)
        for name, values in without.items()
        if name in segment.table.column_names
    ]


def _codes(searched: Searched, segment: Segment, name: str, values: Sequence[Value]) -> np.ndarray:
    """Number rows, then values: equal ones alike, other rows -1 and None -2."""
    pa, compute = import_optional("pyarrow", "match"), import_optional("pyarrow.compute", "match")
    kind = getattr(pa, ARROW[searched.columns[name]])()
    known = list(dict.fromkeys(value for value in values if value is not None))
    try:
        value_set = pa.array(known, kind)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise DataError(
            f"{name!r} is compared with {shorten(known, 3)}; the index holds "
            f"{searched.columns[name]} there"
        ) from error
    rows = compute.index_in(segment.table[name], value_set=value_set)
    numbers = rows.fill_null(-1).to_numpy().astype(np.int64)
    own = [-2 if value is None else known.index(value) for value in values]
    return np.concatenate([numbers, np.array(own, np.int64)])


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
