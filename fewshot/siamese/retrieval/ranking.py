"""Gains of the nearest gallery items of every query, in bounded memory.

Queries are taken in blocks and the gallery in tiles. Of each tile only items are kept that can be
among the nearest, those within a limit; what is kept is sorted at the end. So
the largest arrays have one block of queries by one tile, or by the number of relevant items.

Ties. Items at equal float32 distance are ranked with the least relevant first: an embedding that
puts everything into one place finds nothing. The order of the gallery plays no part.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from episodes.errors import DataError
from fewshot.metrics.arrays import as_array
from fewshot.numerics import unit_rows
from fewshot.siamese.retrieval.relevance import Exclusion, Relevance

Distance = Literal["cosine", "euclidean"]
TILE = 16_384
"""Gallery items that are compared at once."""
_CELLS = 1 << 21  # distances held at once
_GROUPS = 256  # of gallery items, at least, when a limit is found
_NEVER = np.uint64(0x7F80_0000 | 1 << 31) << np.uint64(32)  # an infinite distance, no gain


@dataclass(frozen=True)
class Ranking:
    """The ranking of a block of queries.

    Attributes:
        queries: of the block.
        gains: relevance of the nearest items, nearest first, float32 [query rank]; 0 past the end
            of the gallery.
        relevant: number of relevant items in the gallery for each query, without excluded ones.
        ideal: the largest gains in the gallery, in descending order, float32 [query rank].
    """

    queries: slice
    gains: np.ndarray
    relevant: np.ndarray
    ideal: np.ndarray


def rank_gallery(
    queries: np.ndarray,
    gallery: np.ndarray,
    relevance: Relevance,
    exclude: Sequence[Exclusion],
    *,
    same_items: bool,
    depth: int,
    distance: Distance = "cosine",
    tile: int = TILE,
) -> Iterator[Ranking]:
    """Rank the gallery for every query, to the number of relevant items and at least to `depth`.

    Args:
        queries: embeddings, float32 [query channel].
        gallery: embeddings, float32 [item channel].
        relevance: of every pair.
        exclude: pairs that do not count.
        same_items: whether query i is item i of the gallery, which it may not find.
        depth: the least number of ranks.
        distance: "cosine" compares directions, "euclidean" places.
        tile: gallery items compared at once.

    Yields:
        Blocks of queries, in order.
    """
    queries, minus = _product_vectors(queries, gallery, distance)
    tiles = [slice(s, min(s + tile, len(gallery))) for s in range(0, len(gallery), tile)]
    start, widest = 0, min(tile, len(gallery))
    while start < len(queries):
        block = slice(start, min(start + max(1, _CELLS // max(1, widest)), len(queries)))
        relevant, ideal, single = _ideal_gains(relevance, exclude, block, tiles, same_items, depth)
        deep = min(max(depth, int(relevant.max(initial=0))), len(gallery))
        rows = max(1, _CELLS // max(1, deep))
        for first in range(block.start, block.stop, rows):
            part = slice(first, min(first + rows, block.stop))
            inner = slice(first - block.start, part.stop - block.start)
            best = np.full((part.stop - first, 0), _NEVER)
            for items in tiles:
                far = queries[part] @ minus[items].T
                _exclude(far, np.inf, exclude, part, items, same_items)
                gains = single[inner] if len(tiles) == 1 else None
                if gains is None:
                    gains = _gains(relevance, exclude, part, items, same_items)
                best = np.concatenate([best, _nearest(far, gains, deep)], axis=1)
                best = np.sort(best, axis=1)[:, :deep]
            gains_by_rank = (best & np.uint64(0xFFFF_FFFF)).astype(np.uint32).view(np.float32)
            yield Ranking(part, gains_by_rank, relevant[inner], ideal[inner])
        start = block.stop


def checked_embeddings(values: Any, name: str) -> np.ndarray:
    """Convert embeddings to float32 [item channel].

    Raises:
        DataError: another shape, no channel, or a value that is not finite.
    """
    array = np.ascontiguousarray(as_array(values), dtype=np.float32)
    if array.ndim != 2 or not array.shape[1]:
        raise DataError(f"{name} have shape {array.shape}; expected (item, channel)")
    if not np.isfinite(array).all():
        invalid = int((~np.isfinite(array)).any(axis=1).sum())
        raise DataError(f"{invalid} of {len(array)} {name} are not finite; the model diverged")
    return array


def _product_vectors(
    queries: np.ndarray, gallery: np.ndarray, distance: Distance
) -> tuple[np.ndarray, np.ndarray]:
    """Vectors q and g whose products rank as the distance does."""
    if distance == "cosine":
        return unit_rows(queries), -unit_rows(gallery)
    if distance != "euclidean":
        raise DataError(f"distance is {distance!r}; expected 'cosine' or 'euclidean'")
    # |g|^2 / 2 - q g as one product, with a channel of its own for the first part.
    halves = np.einsum("ic,ic->i", gallery, gallery) / 2
    ones = np.ones((len(queries), 1), queries.dtype)
    return np.hstack([queries, ones]), np.hstack([-gallery, halves[:, None]])


def _ideal_gains(
    relevance: Relevance,
    exclude: Sequence[Exclusion],
    block: slice,
    tiles: Sequence[slice],
    same_items: bool,
    depth: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Number of relevant items, largest gains, and gains of the last tile, of some queries."""
    rows = block.stop - block.start
    relevant = np.zeros(rows, np.int64)
    largest = np.zeros((rows, depth), np.float32)
    gains = np.zeros((rows, 0), bool)
    for items in tiles:
        gains = _gains(relevance, exclude, block, items, same_items)
        relevant += [np.count_nonzero(row) for row in gains]  # with an axis it takes longer
        if gains.dtype != bool:
            every = np.concatenate([largest, gains], axis=1)
            largest = -np.sort(np.partition(-every, depth - 1, axis=1)[:, :depth], axis=1)
        else:
            largest = (np.arange(depth) < relevant[:, None]).astype(np.float32)
    return relevant, largest, gains


def _gains(
    relevance: Relevance,
    exclude: Sequence[Exclusion],
    queries: slice,
    gallery: slice,
    same_items: bool,
) -> np.ndarray:
    """Gains of a block; excluded pairs have none."""
    gains = relevance.gains(queries, gallery)
    _exclude(gains, 0, exclude, queries, gallery, same_items)
    return gains


def _exclude(
    block: np.ndarray,
    value: float,
    exclude: Sequence[Exclusion],
    queries: slice,
    gallery: slice,
    same_items: bool,
) -> None:
    """Set the excluded pairs of a block to a value."""
    for exclusion in exclude:
        block[exclusion.block(queries, gallery)] = value
    if same_items:
        same = np.arange(max(queries.start, gallery.start), min(queries.stop, gallery.stop))
        block[same - queries.start, same - gallery.start] = value


def _nearest(far: np.ndarray, gains: np.ndarray, deep: int) -> np.ndarray:
    """Keep the `deep` nearest and what ties with the last: keys uint64 [query kept], padded."""
    deep = min(deep, far.shape[1])
    kept = np.flatnonzero(far <= _limit(far, deep))  # of two axes it would be ten times slower
    rows = kept // far.shape[1]
    counts = np.bincount(rows, minlength=len(far))
    columns = np.arange(len(kept)) - np.repeat(np.cumsum(counts) - counts, counts)
    keys = np.full((len(far), int(counts.max())), _NEVER)
    keys[rows, columns] = _keys(far.reshape(-1)[kept], gains.reshape(-1)[kept])
    return keys if keys.shape[1] <= 2 * deep else np.sort(keys, axis=1)[:, :deep]


def _limit(far: np.ndarray, deep: int) -> np.ndarray:
    """Find a distance [query 1] that at least `deep` items of a query do not exceed.

    Where few of many items are needed, only the smallest distances of groups of items are sorted:
    `deep` groups whose smallest is within the limit have at least `deep` items within it. The limit
    is a little larger than necessary, and takes a fraction of the time.
    """
    while far.shape[1] >= 2 * max(_GROUPS, 4 * deep):
        half = far.shape[1] // 2
        far = np.minimum(far[:, :half], far[:, half : 2 * half])
    return np.partition(far, deep - 1, axis=1)[:, deep - 1 : deep]


def _keys(far: np.ndarray, gains: np.ndarray) -> np.ndarray:
    """Numbers that order by distance, then by gain: both floats' bits, made to sort."""
    bits = (far + np.float32(0)).view(np.uint32)  # + 0 turns -0 into 0
    ordered = np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31))
    return ordered.astype(np.uint64) << np.uint64(32) | gains.astype(np.float32).view(np.uint32)
