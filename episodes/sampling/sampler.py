"""The episodic sampler: episode(i) is a pure function of the catalog, the settings, seed and i."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Protocol, runtime_checkable

import numpy as np

from episodes.augmentation.base import Transform
from episodes.catalog.catalog import Catalog
from episodes.catalog.loader import Loader
from episodes.errors import EpisodeError
from episodes.sampling.draws import Draws
from episodes.sampling.episode import Episode, EpisodeBatch, Plan
from episodes.sampling.feasibility import check
from episodes.sampling.plans import (
    PlanLoader,
    binary_mask,
    episode_generator,
    hash_plans,
    reuse_generator,
)
from episodes.sampling.pools import Remainder, make_pools, make_table, shown_classes
from episodes.sampling.settings import EpisodeSettings, span

__all__ = [
    "EpisodeSampler",
    "EpisodeSettings",
    "EpisodeSource",
    "binary_mask",
    "episode_generator",
    "hash_plans",
]

_DRAW, _SHAPE = 0, 5  # streams of the generator; pseudo.py has 2 to 4
_TRIES = 100


@runtime_checkable
class EpisodeSource(Protocol):
    """Anything that gives an episode for a number, always the same one."""

    def episode(self, index: int) -> Episode:
        """Make episode `index`."""
        ...


@runtime_checkable
class PlannedSource(EpisodeSource, Protocol):
    """A source that draws its episodes before it loads their pixels."""

    def plan(self, index: int) -> Plan:
        """Draw episode `index`."""
        ...

    def load_batch(self, plans: Sequence[Plan]) -> EpisodeBatch:
        """Load the pixels of plans of one shape, stacked."""
        ...


class EpisodeSampler:
    """Draws episodes; classes are drawn first, then subjects uniformly, then images.

    The generator is counter-based (Philox), so any worker, rank or restarted run gets the same
    episode for the same number. A draw takes as long in a million images as in a thousand.

    Args:
        catalog: with class areas.
        settings: ways, shots, queries and rules.
        loader: reads the pixels; its size is the episodes' size.
        seed: a whole number from 0 to 2**64 - 1.
        transform: changes image and labels together, e.g. `episodes.augmentation.compose.Augment`.

    Raises:
        EpisodeError: the catalog cannot satisfy the settings; the message names the class that
            lacks what.
    """

    def __init__(
        self,
        catalog: Catalog,
        settings: EpisodeSettings | None = None,
        *,
        loader: Loader | None = None,
        seed: int = 0,
        transform: Transform | None = None,
    ) -> None:
        catalog.require_areas()
        self.catalog = catalog
        self.settings = settings or EpisodeSettings()
        self.seed = seed
        self._loading = PlanLoader(catalog, loader, seed, transform)
        self._table = make_table(catalog, self.settings.same_volume)
        self._pools = make_pools(catalog, self._table, self.settings)
        check(self._pools, self._table, self.settings)
        # Volumes that hold an episode of one class, which `same_volume` draws first.
        pools, need = self._pools.items(), self.settings.max_images
        volumes = pools if self.settings.same_volume else ()
        self._volumes = {name: parts[0].large(need) for name, parts in volumes}
        self._shown = shown_classes(self._pools, len(catalog))
        # By rank: a sample itself lies far away in memory, and so does its key.
        self._keys = [catalog.samples[position].key for position in self._table.position.tolist()]
        counts = np.array([sum(map(len, parts)) for parts in self._pools.values()], float)
        self._log_weights = np.log(counts)

    @property
    def loader(self) -> Loader:
        """What reads the pixels."""
        return self._loading.loader

    @property
    def transform(self) -> Transform | None:
        """What changes image and labels together."""
        return self._loading.transform

    def shape(self, index: int) -> tuple[int, int]:
        """Return way and shot of episode `index`."""
        way, shot = span(self.settings.way), span(self.settings.shot)
        if not self.settings.varies:
            return way[0], shot[0]
        generator = episode_generator(self.seed, index // self.settings.group, _SHAPE)
        return (
            int(generator.integers(way[0], way[1] + 1)),
            int(generator.integers(shot[0], shot[1] + 1)),
        )

    def plan(self, index: int) -> Plan:
        """Draw the samples of episode `index`, without reading pixels."""
        way, shot = self.shape(index)
        generator = reuse_generator(self.seed, index, _DRAW)
        draw = self._draw_in_volume if self.settings.same_volume else self._draw
        lacking: list[str] = []
        for _ in range(_TRIES):
            classes = self._classes(way, generator)
            draws = Draws(generator)
            drawn = draw(classes, shot, draws)
            if not isinstance(drawn, str):
                return self._plan(index, classes, *drawn)
            lacking.append(drawn)
            draws.close()
        name, count = Counter(lacking).most_common(1)[0]
        raise EpisodeError(
            f"episode {index}: none of {_TRIES} draws of {way} ways, {shot} shots "
            f"and {self.settings.query} queries came out; {count} times class {name!r} had too few "
            f"images left beside those of the other ways. Add images of it, ask for less"
            f"{self._way_out()}"
        )

    def episode(self, index: int) -> Episode:
        """Draw and load episode `index`."""
        return self.load(self.plan(index))

    __getitem__ = episode

    def load(self, plan: Plan) -> Episode:
        """Load the pixels of a plan."""
        return self._loading.load(plan)

    def load_batch(self, plans: Sequence[Plan]) -> EpisodeBatch:
        """Load the pixels of plans of one shape, stacked."""
        return self._loading.batch(plans)

    def plans(self, count: int) -> list[Plan]:
        """Draw the first `count` plans."""
        return [self.plan(index) for index in range(count)]

    def indices(self, rank: int = 0, world: int = 1, start: int = 0) -> Iterator[int]:
        """Number the episodes of one of `world` processes, endlessly: i mod world = rank."""
        if not 0 <= rank < world:
            raise EpisodeError(f"rank {rank} of {world}; expected 0 <= rank < world")
        index = start + (rank - start) % world
        while True:
            yield index
            index += world

    def _classes(self, way: int, generator: np.random.Generator) -> tuple[str, ...]:
        names = self.catalog.classes
        if self.settings.class_weights == "uniform":
            order = generator.permutation(len(names))[:way].tolist()
        else:
            # The largest log-weights plus Gumbel noise are a weighted draw without replacement.
            noisy = self._log_weights + generator.gumbel(size=len(names))
            order = np.argsort(-noisy)[:way].tolist()
        return tuple(names[i] for i in order)

    def _draw(
        self, classes: tuple[str, ...], shot: int, draws: Draws
    ) -> tuple[list[list[int]], list[int]] | str:
        """Draw the ranks of support and query; or return the class that has too few left."""
        group = self._table.group.data
        left = {name: [Remainder(part, group) for part in self._pools[name]] for name in classes}
        query: list[int] = []
        for number in range(self.settings.query):
            name = classes[number % len(classes)]
            rank = _draw_any(left[name], draws)
            if rank is None:
                return name
            self._take(rank, name, left)
            query.append(rank)
        if self.settings.disjoint_subjects:
            subjects = {group[rank] for rank in query}
            for part in chain.from_iterable(left.values()):
                part.exclude(subjects)
        support: list[list[int]] = []
        for name in classes:
            row: list[int] = []
            parts = left[name]
            for part in parts:
                part.start_row()
            for _ in range(shot):
                # Shots come from different subjects as long as there are any left.
                rank = _draw_any(parts, draws, apart=True)
                if rank is None:
                    rank = _draw_any(parts, draws)
                if rank is None:
                    return name
                if len(parts) > 1:
                    for part in parts:
                        part.exclude_in_row(group[rank])
                self._take(rank, name, left)
                row.append(rank)
            support.append(row)
        return support, query

    def _take(self, rank: int, drawn_for: str, left: Mapping[str, Sequence[Remainder]]) -> None:
        """Take an image out of what is left for the other classes that it may stand for."""
        for name in self._shown[rank]:
            if name != drawn_for and name in left:
                for part in left[name]:
                    part.take(rank)

    def _draw_in_volume(
        self, classes: tuple[str, ...], shot: int, draws: Draws
    ) -> tuple[list[list[int]], list[int]] | str:
        """Draw a volume, its support slices, then queries near them; or see `_draw`."""
        first = Remainder(self._volumes[classes[0]], self._table.group.data).draw(draws)
        if first is None:
            return classes[0]
        volume = self._table.volume(first)
        used, support = [first], list[list[int]]()
        for name in classes:
            row = [] if support else [first]
            while len(row) < shot:
                rank = self._pools[name][0].draw_between(draws, volume, used)
                if rank is None:
                    return name
                row.append(rank)
                used.append(rank)
            support.append(row)
        query: list[int] = []
        for number in range(self.settings.query):
            round_, way = divmod(number, len(classes))
            near = volume
            if self.settings.max_gap is not None:
                beside = support[way][round_ % shot]
                near = self._table.neighbours(beside, self.settings.max_gap)
            rank = self._pools[classes[way]][0].draw_between(draws, near, used)
            if rank is None:
                return classes[way]
            query.append(rank)
            used.append(rank)
        return support, query

    def _plan(
        self, index: int, classes: tuple[str, ...], support: list[list[int]], query: list[int]
    ) -> Plan:
        keys, samples, position = self._keys, self.catalog.samples, self._table.position
        return Plan(
            index=index,
            classes=classes,
            support=tuple(tuple([keys[rank] for rank in row]) for row in support),
            query=tuple([keys[rank] for rank in query]),
            query_subjects=tuple([samples[position.item(rank)].subject for rank in query]),
        )

    def _way_out(self) -> str:
        if self.settings.max_gap is not None:
            return ", raise max_gap or set same_volume=False"
        if self.settings.same_volume:
            return " or set same_volume=False"
        return " or set disjoint_subjects=False" if self.settings.disjoint_subjects else ""


def _draw_any(parts: Sequence[Remainder], draws: Draws, apart: bool = False) -> int | None:
    """Draw an area quantile among those with any image left, then an image of it."""
    if len(parts) == 1:
        return parts[0].draw(draws, apart)
    left = list(parts)
    while left:
        part = left.pop(draws.below(len(left)))
        rank = part.draw(draws, apart)
        if rank is not None:
            return rank
    return None
