"""Which images may stand for a class, as arrays: a draw costs the same in 1e3 and 1e6 images."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from episodes.catalog import Catalog, PixelRef, Sample
from episodes.settings import EpisodeSettings


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

    def draw(
        self, generator: np.random.Generator, used: Sequence[int], banned: Iterable[int] = ()
    ) -> int | None:
        """Draw a group uniformly, then an image of it, among those that are left.

        Args:
            generator: makes two draws, whatever the sizes.
            used: ranks that are not drawn again.
            banned: numbers of groups that are not drawn from.

        Returns:
            A rank, or None where nothing is left.
        """
        taken: dict[int, list[int]] = defaultdict(list)
        for place in self._places(used):
            taken[int(np.searchsorted(self.starts, place, side="right")) - 1].append(place)
        closed = {n for n, places in taken.items() if len(places) == self._size(n)}
        closed |= {n for each in banned if (n := find(self.groups, each)) is not None}
        left = len(self.groups) - len(closed)
        if not left:
            return None
        group = skip(int(generator.integers(left)), closed)
        first, end = int(self.starts[group]), int(self.starts[group + 1])
        return self._pick(generator, first, end, taken.get(group, ()))

    def draw_between(
        self, generator: np.random.Generator, ranks: tuple[int, int], used: Sequence[int]
    ) -> int | None:
        """Draw an image with a rank in [first, end) that is not used, or None."""
        low, high = (int(np.searchsorted(self.ranks, rank)) for rank in ranks)
        taken = [place for place in self._places(used) if low <= place < high]
        return self._pick(generator, low, high, taken) if high - low > len(taken) else None

    def large(self, least: int) -> "Pool":
        """Keep the groups that have at least so many images."""
        return make_pool(self.ranks, np.repeat(self.groups, self.sizes()), least)

    def _pick(
        self, generator: np.random.Generator, first: int, end: int, taken: Sequence[int]
    ) -> int:
        free = end - first - len(taken)
        place = first + skip(int(generator.integers(free)), [each - first for each in taken])
        return int(self.ranks[place])

    def _places(self, ranks: Sequence[int]) -> list[int]:
        if not ranks or not len(self.ranks):
            return []
        wanted = np.array(ranks)
        places = np.searchsorted(self.ranks, wanted).clip(max=len(self.ranks) - 1)
        return places[self.ranks[places] == wanted].tolist()

    def _size(self, group: int) -> int:
        return int(self.starts[group + 1]) - int(self.starts[group])


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


def make_pool(ranks: np.ndarray, group: np.ndarray, least: int = 1) -> Pool:
    """Make a pool of rising ranks and their groups, keeping groups of at least `least` images."""
    groups, sizes = np.unique(group, return_counts=True)
    keep = sizes >= least
    ranks = ranks[np.repeat(keep, sizes)]
    return Pool(ranks, groups[keep], np.concatenate(([0], np.cumsum(sizes[keep]))))


def find(rising: np.ndarray, value: int) -> int | None:
    """Return the place of a value in a rising array, or None."""
    place = int(np.searchsorted(rising, value))
    return place if place < len(rising) and rising[place] == value else None


def skip(number: int, left_out: Collection[int]) -> int:
    """Return the `number`-th of the numbers 0, 1, 2, … that are not left out.

    >>> [skip(n, {1, 2, 5}) for n in range(4)]
    [0, 3, 4, 6]
    """
    for each in sorted(left_out):
        if number < each:
            break
        number += 1
    return number
