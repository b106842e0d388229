"""The episodic sampler: episode(i) is a pure function of the catalog, the settings, seed and i."""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from episodes.catalog import IGNORE, Catalog, Sample
from episodes.episode import Episode, Plan, to_channels
from episodes.errors import EpisodeError, shorten
from episodes.load import Loader

Transform = Callable[[Tensor, Tensor, np.random.Generator], tuple[Tensor, Tensor]]

_DRAW, _AUGMENT = 0, 1  # streams of the generator
_TRIES = 100


@dataclass(frozen=True)
class EpisodeSettings:
    """What an episode looks like.

    Attributes:
        way: classes an episode.
        shot: annotated images a class.
        query: images to segment; query q shows at least the class q modulo way.
        min_area: pixels (of the file) of a class that an image needs to stand for it.
        disjoint_subjects: whether support and query come from different subjects.
    """

    way: int = 1
    shot: int = 1
    query: int = 1
    min_area: int = 64
    disjoint_subjects: bool = True

    def __post_init__(self) -> None:
        for name in ("way", "shot", "query", "min_area"):
            if getattr(self, name) < 1:
                raise EpisodeError(f"{name} is {getattr(self, name)}; expected at least 1")


@runtime_checkable
class EpisodeSource(Protocol):
    """Anything that gives an episode for a number, always the same one."""

    def episode(self, index: int) -> Episode:
        """Make episode `index`."""
        ...


class EpisodeSampler:
    """Draws episodes; classes are drawn uniformly, then subjects, then images.

    The generator is counter-based (Philox), so any worker, rank or restarted run gets the same
    episode for the same number.

    Args:
        catalog: measured.
        settings: ways, shots, queries and rules.
        loader: reads the pixels; its size is the episodes' size.
        seed: a whole number from 0 to 2**64 - 1.
        transform: changes image and labels together, e.g. `episodes.augment.Augment`.

    Raises:
        EpisodeError: the catalog cannot satisfy the request; the message says which class lacks
            what.
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
        catalog.require_measured()
        episode_generator(seed, 0, _DRAW)  # raises on a seed out of range
        self.catalog = catalog
        self.settings = settings or EpisodeSettings()
        self.loader = loader or Loader()
        self.seed = seed
        self.transform = transform
        self._by_key = {sample.key: sample for sample in catalog.samples}
        self._pools = {name: self._pool(name) for name in catalog.classes}
        self._check()

    def plan(self, index: int) -> Plan:
        """Draw the samples of episode `index`, without reading pixels."""
        generator = episode_generator(self.seed, index, _DRAW)
        lacking: Counter[str] = Counter()
        for _ in range(_TRIES):
            plan = self._draw(index, generator)
            if isinstance(plan, Plan):
                return plan
            lacking[plan] += 1
        wanted, (name, count) = self.settings, lacking.most_common(1)[0]
        way_out = " or set disjoint_subjects=False" if wanted.disjoint_subjects else ""
        raise EpisodeError(
            f"episode {index}: none of {_TRIES} draws of {wanted.way} ways, {wanted.shot} shots "
            f"and {wanted.query} queries came out; {count} times class {name!r} had too few images "
            f"left beside those of the other ways. Add images of it, ask for less{way_out}"
        )

    def episode(self, index: int) -> Episode:
        """Draw and load episode `index`."""
        return self.load(self.plan(index))

    __getitem__ = episode

    def load(self, plan: Plan) -> Episode:
        """Load the pixels of a plan."""
        generator = episode_generator(self.seed, plan.index, _AUGMENT)
        support = [
            [self._item(key, plan.classes, generator) for key in keys] for keys in plan.support
        ]
        query = [self._item(key, plan.classes, generator) for key in plan.query]
        channel = max(image.shape[0] for row in (*support, query) for image, _ in row)

        def images(row: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
            return torch.stack([to_channels(image, channel) for image, _ in row])

        return Episode(
            support_images=torch.stack([images(row) for row in support]),
            support_masks=torch.stack(
                [
                    torch.stack([binary_mask(labels, way + 1) for _, labels in row])
                    for way, row in enumerate(support)
                ]
            ),
            query_images=images(query),
            query_labels=torch.stack([labels for _, labels in query]),
            plan=plan,
        )

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

    def _pool(self, name: str) -> dict[str, list[Sample]]:
        pool: dict[str, list[Sample]] = defaultdict(list)
        for sample in self.catalog.samples:
            if (sample.areas or {}).get(name, 0) >= self.settings.min_area:
                pool[sample.subject].append(sample)
        return dict(sorted(pool.items()))

    def _check(self) -> None:
        """Refuse at once what can never be satisfied."""
        wanted, catalog = self.settings, self.catalog
        if wanted.way > len(catalog.classes):
            raise EpisodeError(
                f"{wanted.way} ways from {len(catalog.classes)} classes "
                f"({shorten(catalog.classes)}); ask for fewer ways or add classes"
            )
        queries = -(-wanted.query // wanted.way)
        need = wanted.shot + queries
        for name, pool in self._pools.items():
            count = sum(map(len, pool.values()))
            if count < need:
                raise EpisodeError(
                    f"class {name!r} has {count} images of at least {wanted.min_area} pixels; "
                    f"{wanted.shot} shots and {queries} queries need {need}. Add images, ask for "
                    "fewer, lower min_area, or leave the class out (Catalog.of_classes)"
                )
            if wanted.disjoint_subjects and not _separable(pool, wanted.shot, queries):
                raise EpisodeError(
                    f"class {name!r} has {count} images of {len(pool)} subject(s); {wanted.shot} "
                    f"shots and {queries} queries of different subjects cannot be drawn from "
                    "them. Add subjects or set disjoint_subjects=False"
                )

    def _draw(self, index: int, generator: np.random.Generator) -> Plan | str:
        """Draw once; or return the class of which the images drawn before leave too few."""
        wanted = self.settings
        order = generator.permutation(len(self.catalog.classes))[: wanted.way]
        classes = tuple(self.catalog.classes[i] for i in order)
        query: list[Sample] = []
        for number in range(wanted.query):
            name = classes[number % wanted.way]
            pool = _without(self._pools[name], used=query)
            if not pool:
                return name
            query.append(_pick(pool, generator))
        banned = {sample.subject for sample in query} if wanted.disjoint_subjects else set()
        support: list[tuple[str, ...]] = []
        used = list(query)
        for name in classes:
            row: list[Sample] = []
            for _ in range(wanted.shot):
                pool = _without(self._pools[name], used=used, banned=banned)
                if not pool:
                    return name
                # Shots come from different subjects as long as there are any left.
                fresh = {s: v for s, v in pool.items() if s not in {r.subject for r in row}}
                row.append(_pick(fresh or pool, generator))
                used.append(row[-1])
            support.append(tuple(sample.key for sample in row))
        return Plan(
            index=index,
            classes=classes,
            support=tuple(support),
            query=tuple(sample.key for sample in query),
            query_subjects=tuple(sample.subject for sample in query),
        )

    def _item(
        self, key: str, classes: tuple[str, ...], generator: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        sample = self._by_key[key]
        image, labels = self.loader.image(sample), self.loader.labels(sample, classes)
        return (
            (image, labels) if self.transform is None else self.transform(image, labels, generator)
        )


def episode_generator(seed: int, index: int, stream: int) -> np.random.Generator:
    """Make the generator of one episode; no two (seed, index, stream) share a number."""
    for name, number in (("seed", seed), ("episode number", index)):
        if not 0 <= number < 2**64:
            raise EpisodeError(f"{name} is {number}; expected a whole number from 0 to 2**64 - 1")
    # The number sits in the counter's highest word: streams of two episodes never meet.
    key, counter = np.array([seed, stream], np.uint64), np.array([0, 0, 0, index], np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


def binary_mask(labels: Tensor, value: int) -> Tensor:
    """Make the mask of one class: 1 there, 0 on background, 255 on the other classes."""
    mask = torch.full_like(labels, IGNORE)
    mask[labels == 0] = 0
    mask[labels == value] = 1
    return mask


def hash_plans(plans: Sequence[Plan]) -> str:
    """Hash an episode list: equal lists, equal hash, on every machine."""
    text = json.dumps([asdict(plan) for plan in plans], separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _without(
    pool: dict[str, list[Sample]], used: Sequence[Sample], banned: Iterable[str] = ()
) -> dict[str, list[Sample]]:
    taken, out = {sample.key for sample in used}, set(banned)
    left = {
        subject: [s for s in samples if s.key not in taken] if taken else samples
        for subject, samples in pool.items()
        if subject not in out
    }
    return {subject: samples for subject, samples in left.items() if samples}


def _pick(pool: dict[str, list[Sample]], generator: np.random.Generator) -> Sample:
    subjects = list(pool)
    samples = pool[subjects[int(generator.integers(len(subjects)))]]
    return samples[int(generator.integers(len(samples)))]


def _separable(pool: dict[str, list[Sample]], shot: int, queries: int) -> bool:
    """Whether whole subjects can be dealt into two sides of `shot` and `queries` images."""
    total = sum(map(len, pool.values()))
    reachable = {0}  # sizes that the query side can have
    for samples in pool.values():
        reachable |= {size + len(samples) for size in reachable}
        if any(queries <= size <= total - shot for size in reachable):
            return True
    return False
