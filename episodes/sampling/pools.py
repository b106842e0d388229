"""Which images may stand for a class, as arrays: a draw costs the same in 1e3 and 1e6 images."""

from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from episodes.catalog.catalog import Catalog, Sample
from episodes.io.pixels import PixelRef
from episodes.sampling.draws import Draws
from episodes.sampling.settings import EpisodeSettings


@dataclass(frozen=True)
class Table:
    """The images of a catalog sorted by group; an image's place in this order is its rank.

    A group is a subject, or a volume where episodes stay in one.

    Attributes:
        position: int64 [image], the place in the catalog of each rank.
        group: int64 [image], the number of the group of each rank; never falling.
        plane: int64 [image], the slice of each rank in its file; rising within a volume.
        starts: int64 [group + 1], the first rank of each group, and the number of images.
    """

    position: np.ndarray
    group: np.ndarray
    plane: np.ndarray
    starts: np.ndarray

    def volume(self, rank: int) -> tuple[int, int]:
        """Return the ranks [first, end) of the image's group."""
        group = int(self.group[rank])
        return int(self.starts[group]), int(self.starts[group + 1])

    def neighbours(self, rank: int, gap: int) -> tuple[int, int]:
        """Return the ranks [first, end) of the image's volume at most `gap` slices away."""
        first, end = self.volume(rank)
        planes, plane = self.plane[first:end], int(self.plane[rank])
        return (
            first + int(np.searchsorted(planes, plane - gap)),
            first + int(np.searchsorted(planes, plane + gap, side="right")),
        )


@dataclass(frozen=True)
class Pool:
    """Images that may stand for one class.

    Attributes:
        ranks: int64 [image], rising.
        groups: int64 [group], numbers of the groups that have an image here, rising.
        starts: int64 [group + 1], where each group begins in `ranks`.
    """

    ranks: np.ndarray
    groups: np.ndarray
    starts: np.ndarray

    def __len__(self) -> int:
        return len(self.ranks)

    def sizes(self) -> np.ndarray:
        """Images a group."""
        return np.diff(self.starts)

    def draw_between(self, draws: Draws, ranks: tuple[int, int], used: Sequence[int]) -> int | None:
        """Draw an image with a rank in [first, end) that is not used, or None."""
        known = self.ranks.data
        low, high = (bisect_left(known, rank) for rank in ranks)
        taken = []
        for rank in used:
            place = bisect_left(known, rank, low, high)
            if place < high and known[place] == rank:
                taken.append(place - low)
        if high - low == len(taken):
            return None
        return known[low + skip(draws.below(high - low - len(taken)), sorted(taken))]

    def large(self, min_images: int) -> "Pool":
        """Keep the groups that have at least so many images."""
        return make_pool(self.ranks, np.repeat(self.groups, self.sizes()), min_images)


class Remainder:
    """What is left of a pool while the images of one episode are drawn.

    Args:
        pool: not changed.
        group: the group of every rank.
    """

    __slots__ = ("_apart", "_closed", "_group", "_groups", "_ranks", "_starts", "_taken")

    def __init__(self, pool: Pool, group: Sequence[int]) -> None:
        # Views give Python's own numbers, and are searched without a call of NumPy.
        self._ranks, self._groups = pool.ranks.data, pool.groups.data
        self._starts, self._group = pool.starts.data, group
        self._closed: list[int] = []  # places of groups that are banned or used up, rising
        self._apart: list[int] = []  # these and the groups that were drawn since `start_row`
        self._taken: dict[int, list[int]] = {}  # used images of a group, rising, from its first

    def draw(self, draws: Draws, new_group: bool = False) -> int | None:
        """Draw a group uniformly, then an image of it, among those that are left, and take it.

        Args:
            draws: gives two numbers, whatever the sizes.
            new_group: only from groups that are not kept apart since `start_row`, and keep this one
                apart as well.

        Returns:
            A rank, or None where nothing is left.
        """
        closed = self._apart if new_group else self._closed
        left = len(self._groups) - len(closed)
        if not left:
            return None
        place = draws.below(left)
        if closed:
            place = skip(place, closed)
        first = self._starts[place]
        size = self._starts[place + 1] - first
        taken = self._taken.get(place)
        if taken is None:
            offset = draws.below(size)
        else:
            offset = skip(draws.below(size - len(taken)), taken)
        self._take(place, offset, size)
        if new_group:
            insort(closed, place)
        return self._ranks[first + offset]

    def start_row(self) -> None:
        """Keep no group apart any more."""
        self._apart = self._closed.copy()

    def exclude_in_row(self, group: int) -> None:
        """Draw from a group no more in this row."""
        place = self._index(group)
        if place is not None and not _holds(self._apart, place):
            insort(self._apart, place)

    def take(self, rank: int) -> None:
        """Take an image that was drawn from another pool, if it is in this one as well."""
        place = self._index(self._group[rank])
        if place is None:
            return
        first, end = self._starts[place], self._starts[place + 1]
        at = bisect_left(self._ranks, rank, first, end)
        if at < end and self._ranks[at] == rank:
            self._take(place, at - first, end - first)

    def exclude(self, groups: Iterable[int]) -> None:
        """Draw from some groups no more."""
        places = [place for place in map(self._index, groups) if place is not None]
        self._closed = sorted({*self._closed, *places})

    def _take(self, index: int, offset: int, size: int) -> None:
        taken = self._taken.get(index)
        if taken is None:
            self._taken[index] = taken = [offset]
        else:
            insort(taken, offset)
        if len(taken) == size:
            self._close(index)

    def _close(self, index: int) -> None:
        if not _holds(self._closed, index):
            insort(self._closed, index)

    def _index(self, group: int) -> int | None:
        """Return the place of a group, or None where the pool has no image of it."""
        groups = self._groups
        end = min(group + 1, len(groups))  # they rise from 0 or more: none is beyond its number
        place = end - 1 if end and groups[end - 1] == group else bisect_left(groups, group, 0, end)
        return place if place < end and groups[place] == group else None


def make_table(catalog: Catalog, by_volume: bool) -> Table:
    """Sort a catalog's images by subject, or by file and slice."""
    samples = catalog.samples
    names = _volumes(samples) if by_volume else [sample.subject for sample in samples]
    number = {name: n for n, name in enumerate(sorted(set(names)))}
    group = np.fromiter((number[name] for name in names), np.int64, len(samples))
    plane = np.fromiter((s.image.plane or 0 for s in samples), np.int64, len(samples))
    order = np.lexsort((plane, group)) if by_volume else np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(len(number) + 1))
    return Table(order, group[order], plane[order], starts)


def _volumes(samples: Sequence[Sample]) -> list[str]:
    """Name each sample's file by the first key in it: paths differ between machines."""
    first: dict[PixelRef, str] = {}
    sources = [sample.image.source for sample in samples]
    for sample, source in zip(samples, sources, strict=True):
        first[source] = min(first.get(source, sample.key), sample.key)
    return [first[source] for source in sources]


def make_pools(
    catalog: Catalog, table: Table, settings: EpisodeSettings
) -> dict[str, tuple[Pool, ...]]:
    """Find the images of every class, in one pass: one pool a class, or one an area quantile.

    A class that has fewer images than quantiles gets a pool an image; one without images gets one
    empty pool.
    """
    found: dict[str, list[int]] = {name: [] for name in catalog.classes}
    areas: dict[str, list[int]] = {name: [] for name in catalog.classes}
    most = settings.max_area if settings.max_area is not None else np.iinfo(np.int64).max
    for rank, position in enumerate(table.position.tolist()):
        for name, area in (catalog.samples[position].areas or {}).items():
            if settings.min_area <= area <= most and name in found:
                found[name].append(rank)
                areas[name].append(area)
    return {
        name: _by_area(np.array(ranks, np.int64), np.array(areas[name]), table, settings)
        for name, ranks in found.items()
    }


def _by_area(
    ranks: np.ndarray, areas: np.ndarray, table: Table, settings: EpisodeSettings
) -> tuple[Pool, ...]:
    if settings.area_quantiles == 1 or len(ranks) < 2:
        return (make_pool(ranks, table.group[ranks]),)
    order = np.argsort(areas, kind="stable")
    parts = np.array_split(order, min(settings.area_quantiles, len(ranks)))
    chosen = (np.sort(ranks[part]) for part in parts)
    return tuple(make_pool(part, table.group[part]) for part in chosen)


def make_pool(ranks: np.ndarray, group: np.ndarray, min_images: int = 1) -> Pool:
    """Make a pool of rising ranks and their groups, keeping groups of at least `least` images."""
    groups, sizes = np.unique(group, return_counts=True)
    keep = sizes >= min_images
    ranks = ranks[np.repeat(keep, sizes)]
    return Pool(ranks, groups[keep], np.concatenate(([0], np.cumsum(sizes[keep]))))


def shown_classes(pools: Mapping[str, Sequence[Pool]], count: int) -> list[frozenset[str]]:
    """Turn pools around: list the classes that each image may stand for, by its rank.

    Args:
        pools: of each class.
        count: number of images.
    """
    number, sets = np.zeros(count, np.int64), [frozenset[str]()]
    for name, parts in pools.items():
        for part in parts:
            before, which = np.unique(number[part.ranks], return_inverse=True)
            number[part.ranks] = len(sets) + which
            sets += [sets[each] | {name} for each in before.tolist()]
    return [sets[each] for each in number.tolist()]


def _holds(rising: Sequence[int], value: int) -> bool:
    place = bisect_left(rising, value)
    return place < len(rising) and rising[place] == value


def skip(number: int, excluded: Sequence[int]) -> int:
    """Return the `number`-th of the numbers 0, 1, 2, … that are not left out.

    Args:
        number: from 0.
        excluded: rising.

    >>> [skip(n, [1, 2, 5]) for n in range(4)]
    [0, 3, 4, 6]
    """
    for each in excluded:
        if number < each:
            break
        number += 1
    return number
