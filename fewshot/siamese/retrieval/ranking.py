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
    """What a block of queries found.

    Attributes:
        queries: which queries.
        gains: relevance of the nearest items, nearest first, float32 [query rank]; 0 past the end
            of the gallery.
        relevant: how many items of the gallery are relevant to each query, excluded ones apart.
        ideal: the largest gains there are, largest first, float32 [query rank].
    """

    queries: slice
    gains: np.ndarray
    relevant: np.ndarray
    ideal: np.ndarray


def rankings(
    queries: np.ndarray,
    gallery: np.ndarray,
    relevance: Relevance,
    exclude: Sequence[Exclusion],
    *,
    own: bool,
    depth: int,
    distance: Distance = "cosine",
    tile: int = TILE,
) -> Iterator[Ranking]:
    """Rank the gallery for every query, as deep as there are relevant items, and at least `depth`.

    Args:
        queries: embeddings, float32 [query channel].
        gallery: embeddings, float32 [item channel].
        relevance: of every pair.
        exclude: pairs that do not count.
        own: whether query i is item i of the gallery, which it may not find.
        depth: the least number of ranks.
        distance: "cosine" compares directions, "euclidean" places.
        tile: gallery items compared at once.

    Yields:
        Blocks of queries, in order.
    """
    queries, minus = _places(queries, gallery, distance)
    tiles = [slice(s, min(s + tile, len(gallery))) for s in range(0, len(gallery), tile)]
    start, widest = 0, min(tile, len(gallery))
    while start < len(queries):
        block = slice(start, min(start + max(1, _CELLS // max(1, widest)), len(queries)))
        relevant, ideal, single = _wanted(relevance, exclude, block, tiles, own, depth)
        deep = min(max(depth, int(relevant.max(initial=0))), len(gallery))
        rows = max(1, _CELLS // max(1, deep))
        for first in range(block.start, block.stop, rows):
            part = slice(first, min(first + rows, block.stop))
            inner = slice(first - block.start, part.stop - block.start)
            best = np.full((part.stop - first, 0), _NEVER)
            for where in tiles:
                far = queries[part] @ minus[where].T
                _exclude(far, np.inf, exclude, part, where, own)
                gains = single[inner] if len(tiles) == 1 else None
                if gains is None:
                    gains = _gains(relevance, exclude, part, where, own)
                best = np.concatenate([best, _nearest(far, gains, deep)], axis=1)
                best = np.sort(best, axis=1)[:, :deep]
            found = (best & np.uint64(0xFFFF_FFFF)).astype(np.uint32).view(np.float32)
            yield Ranking(part, found, relevant[inner], ideal[inner])
        start = block.stop


def checked_embeddings(values: Any, name: str) -> np.ndarray:
    """Bring embeddings to float32 [item channel].

    Raises:
        DataError: another shape, no channel, or a value that is not finite.
    """
    array = np.ascontiguousarray(as_array(values), dtype=np.float32)
    if array.ndim != 2 or not array.shape[1]:
        raise DataError(f"{name} have shape {array.shape}; expected (item, channel)")
    if not np.isfinite(array).all():
        wrong = int((~np.isfinite(array)).any(axis=1).sum())
        raise DataError(f"{wrong} of {len(array)} {name} are not finite; the model diverged")
    return array


def _places(
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


def _wanted(
    relevance: Relevance,
    exclude: Sequence[Exclusion],
    block: slice,
    tiles: Sequence[slice],
    own: bool,
    depth: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Count the relevant items of a block of queries, find the largest gains, keep the last."""
    rows = block.stop - block.start
    relevant = np.zeros(rows, np.int64)
    largest = np.zeros((rows, depth), np.float32)
    gains = np.zeros((rows, 0), bool)
    for where in tiles:
        gains = _gains(relevance, exclude, block, where, own)
        relevant += [np.count_nonzero(row) for row in gains]  # with an axis it takes longer
        if gains.dtype != bool:
            every = np.concatenate([largest, gains], axis=1)
            largest = -np.sort(np.partition(-every, depth - 1, axis=1)[:, :depth], axis=1)
        else:
            largest = (np.arange(depth) < relevant[:, None]).astype(np.float32)
    return relevant, largest, gains


def _gains(
    relevance: Relevance, exclude: Sequence[Exclusion], queries: slice, gallery: slice, own: bool
) -> np.ndarray:
    """Gains of a block; excluded pairs have none."""
    gains = relevance.gains(queries, gallery)
    _exclude(gains, 0, exclude, queries, gallery, own)
    return gains


def _exclude(
    block: np.ndarray,
    value: float,
    exclude: Sequence[Exclusion],
    queries: slice,
    gallery: slice,
    own: bool,
) -> None:
    """Give the excluded pairs of a block this value."""
    for exclusion in exclude:
        block[exclusion.block(queries, gallery)] = value
    if own:
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

    Where few of many items are wanted, the smallest distances of groups of items stand for all:
    `deep` groups whose smallest is within the limit hold as many items within it. It is a little
    larger than need be, and found in a fraction of the time.
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
