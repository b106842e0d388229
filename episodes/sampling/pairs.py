"""Batches for learning from pairs: some classes, some images of each.

batch(i) is a pure function of (catalog, settings, seed, i), and so is every item of it: item n is
place n modulo size of batch n // size. Any number of processes can share a batch, in equal parts
or not, by the numbers of its items.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor

from episodes.augmentation.base import Transform
from episodes.catalog.catalog import Catalog
from episodes.catalog.loader import Loader
from episodes.errors import EpisodeError, shorten
from episodes.sampling.episode import to_channels
from episodes.sampling.pair_batch import PairBatch, PairPlan
from episodes.sampling.plans import binary_mask, episode_generator

Turns = Literal[1, 4, 8]
_DRAW, _CHANGE = 0x61, 0x62  # streams of the generator, apart from the other samplers'


@dataclass(frozen=True)
class PairSettings:
    """What a batch looks like.

    Attributes:
        classes: classes a batch that have positive pairs.
        samples: images a class; a class with fewer gives all it has, and images of further
            classes, one each, fill the batch: they are negatives.
        identity: what makes two images positive: the "class" in the masks, or the "subject".
        regions: embed the region of the class instead of the whole image. Without it, images
            that show several of the catalog's classes stand for none of them.
        disjoint_subjects: whether the images of a class come from different subjects.
        min_area: pixels (of the file) of a class that an image needs to stand for it.
        turns: classes made of each one: 1 as it is, 4 turned by quarters, 8 also mirrored. For
            drawings, where a turned character is another one; not for subjects.
    """

    classes: int = 16
    samples: int = 4
    identity: Literal["class", "subject"] = "class"
    regions: bool = False
    disjoint_subjects: bool = False
    min_area: int = 1
    turns: Turns = 1

    def __post_init__(self) -> None:
        for name, least in (("classes", 1), ("samples", 2), ("min_area", 1)):
            if getattr(self, name) < least:
                raise EpisodeError(f"{name} is {getattr(self, name)}; expected at least {least}")
        if self.identity not in ("class", "subject"):
            raise EpisodeError(f"identity is {self.identity!r}; expected 'class' or 'subject'")
        if self.turns not in get_args(Turns):
            raise EpisodeError(f"turns is {self.turns}; expected 1, 4 or 8")
        of_classes = self.regions or self.disjoint_subjects or self.turns > 1
        if self.identity == "subject" and of_classes:
            raise EpisodeError(
                "images of one subject are the positives, so neither regions of classes nor "
                "disjoint_subjects nor turns make sense; expected identity 'class' with them"
            )

    @property
    def size(self) -> int:
        """Images a batch."""
        return self.classes * self.samples


class PairSampler:
    """Draws batches: classes first, uniformly, then images of each, never one twice.

    Args:
        catalog: measured, if classes are asked for.
        settings: classes, images and rules.
        loader: reads the pixels; its size is the batch's size.
        seed: a whole number from 0 to 2**64 - 1.
        transform: changes image and mask together, each item by a draw of its own.

    Attributes:
        names: the class (or subject) of each label.

    Raises:
        EpisodeError: the catalog cannot fill a batch; the message says what is lacking.
    """

    def __init__(
        self,
        catalog: Catalog,
        settings: PairSettings | None = None,
        *,
        loader: Loader | None = None,
        seed: int = 0,
        transform: Transform | None = None,
    ) -> None:
        self.catalog, self.settings = catalog, settings or PairSettings()
        self.loader, self.seed, self.transform = loader or Loader(), seed, transform
        by_class = self.settings.identity == "class"
        self._names = catalog.classes if by_class else catalog.subjects
        turns = range(self.settings.turns)
        self.names = tuple(f"{n}, turn {t}" if t else n for n in self._names for t in turns)
        groups = _groups(catalog, self.settings, self._names)
        self._groups = [group for group in groups for _ in turns]
        self._subject_codes = {name: code for code, name in enumerate(catalog.subjects)}
        self._able = np.array([label for label, g in enumerate(self._groups) if len(g) > 1])
        self._places = {sample.key: place for place, sample in enumerate(catalog.samples)}
        self._check()

    @property
    def size(self) -> int:
        """Images a batch."""
        return self.settings.size

    def plan(self, index: int) -> PairPlan:
        """Draw the samples of batch `index`, without reading pixels."""
        generator = episode_generator(self.seed, index, _DRAW)
        chosen = generator.choice(self._able, self.settings.classes, replace=False)
        drawn = [
            (place, int(label))
            for label in chosen
            for place in self._draw(int(label), self.settings.samples, generator)
        ]
        if len(drawn) < self.size:
            taken = {int(label) for label in chosen}
            for label in generator.permutation(len(self._groups)).tolist():
                if label not in taken and self._groups[label] and len(drawn) < self.size:
                    drawn += [(place, label) for place in self._draw(label, 1, generator)]
        samples = [self.catalog.samples[place] for place, _ in drawn]
        return PairPlan(
            index,
            tuple(sample.key for sample in samples),
            tuple(label for _, label in drawn),
            tuple(sample.subject for sample in samples),
        )

    def load(self, items: Sequence[int]) -> PairBatch:
        """Load items by their numbers, e.g. one process's share of a batch.

        Raises:
            EpisodeError: no items, or items of several batches.
        """
        batches = sorted({item // self.size for item in items})
        if len(batches) != 1:
            raise EpisodeError(
                f"{len(items)} items belong to {len(batches)} batches; expected items of one "
                f"batch of {self.size}, as pairs are formed within it"
            )
        plan, places = self.plan(batches[0]), [item % self.size for item in items]
        chosen = [(self._places[plan.keys[place]], plan.labels[place]) for place in places]
        return self._load(chosen, places, items)

    def everything(self) -> list[tuple[int, int]]:
        """List all that can be drawn: (place in the catalog, label)."""
        return sorted(
            (place, label)
            for label, group in enumerate(self._groups)
            for part in group
            for place in part
        )

    def load_unchanged(self, chosen: Sequence[tuple[int, int]]) -> PairBatch:
        """Load some of `everything`, without the transform."""
        return self._load(chosen, range(len(chosen)), None)

    def batch(self, index: int) -> PairBatch:
        """Draw and load the whole batch `index`."""
        return self.load(range(index * self.size, (index + 1) * self.size))

    __getitem__ = batch

    def _load(
        self,
        chosen: Sequence[tuple[int, int]],
        places: Sequence[int],
        numbers: Sequence[int] | None,
    ) -> PairBatch:
        """Load samples by place and label; `numbers` are those of the transform's generators."""
        loaded = [self._item(*each) for each in chosen]
        if self.transform is not None and numbers is not None:
            generators = (episode_generator(self.seed, number, _CHANGE) for number in numbers)
            loaded = [
                self.transform(image, mask, generator)
                for (image, mask), generator in zip(loaded, generators, strict=True)
            ]
        channel = max(image.shape[0] for image, _ in loaded)
        subjects = [self.catalog.samples[place].subject for place, _ in chosen]
        return PairBatch(
            torch.stack([to_channels(image, channel) for image, _ in loaded]),
            torch.stack([mask for _, mask in loaded]) if self.settings.regions else None,
            torch.tensor([label for _, label in chosen]),
            torch.tensor([self._subject_codes[subject] for subject in subjects]),
            torch.tensor([place for place, _ in chosen]),
            torch.tensor(list(places)),
        )

    def _item(self, place: int, label: int) -> tuple[Tensor, Tensor]:
        sample = self.catalog.samples[place]
        label, number = divmod(label, self.settings.turns)
        image = turn(self.loader.image(sample), number)
        if not self.settings.regions:  # a transform changes an image and a mask together
            return image, torch.zeros(image.shape[-2:], dtype=torch.uint8)
        mask = binary_mask(self.loader.labels(sample, self._names), label + 1)
        return image, turn(mask, number)

    def _draw(self, label: int, count: int, generator: np.random.Generator) -> list[int]:
        """Draw images of a class without repetition: a part of its group each, then one of it."""
        group = self._groups[label]
        parts = generator.choice(len(group), min(count, len(group)), replace=False)
        return [group[part][int(generator.integers(len(group[part])))] for part in parts]

    def _check(self) -> None:
        """Make sure that every draw of classes can fill a batch."""
        episode_generator(self.seed, 0, _DRAW)  # raises on a seed out of range
        wanted, samples = self.settings.classes, self.settings.samples
        kind = "subjects" if self.settings.disjoint_subjects else "images"
        if len(self._able) < wanted:
            alone = self.settings.identity == "subject" and not len(self._able)
            way_out = (
                "Every image is a subject of its own: name the subjects with --subject-pattern"
                if alone
                else "Ask for fewer (--classes-a-batch), or add images"
            )
            raise EpisodeError(
                f"catalog {self.catalog.name!r} has {len(self._able)} of "
                f"{len(self.names)} {self.settings.identity} names with two {kind} or more "
                f"({shorten((self.names[label] for label in self._able), 3)}); {wanted} classes a "
                f"batch were asked for. {way_out}"
            )
        sizes = sorted(min(samples, len(self._groups[label])) for label in self._able)
        least = sum(sizes[:wanted])
        others = sum(1 for group in self._groups if group) - wanted
        if least + others < self.size:
            raise EpisodeError(
                f"{wanted} classes of catalog {self.catalog.name!r} give {least} {kind} at worst, "
                f"and there are {others} further classes to fill a batch of {self.size}; ask for "
                f"fewer than {samples} images a class, or add images"
            )


def turn(pixels: Shaped[Tensor, "*any height width"], number: int) -> Tensor:
    """Turn by quarters against the clock, `number` from 0 to 3; from 4 to 7 mirrored afterwards.

    >>> turn(torch.tensor([[1, 2], [3, 4]]), 1).tolist()
    [[2, 4], [1, 3]]
    >>> turn(torch.tensor([[1, 2], [3, 4]]), 4).tolist()
    [[2, 1], [4, 3]]
    """
    turned = torch.rot90(pixels, number % 4, (-2, -1)) if number % 4 else pixels
    return turned.flip(-1) if number >= 4 else turned


def _groups(
    catalog: Catalog, settings: PairSettings, names: Sequence[str]
) -> list[list[list[int]]]:
    """Places of the samples of each class, in parts of which at most one is drawn."""
    if settings.identity == "subject":
        places = defaultdict(list)
        for place, sample in enumerate(catalog.samples):
            places[sample.subject].append([place])
        return [places[name] for name in names]
    catalog.require_measured()
    known = {name: label for label, name in enumerate(names)}
    found: list[dict[object, list[int]]] = [defaultdict(list) for _ in names]
    for place, sample in enumerate(catalog.samples):
        areas = sample.areas or {}
        shown = [known[name] for name, area in areas.items() if area and name in known]
        if not settings.regions and len(shown) > 1:
            continue
        for label in shown:
            if areas[names[label]] >= settings.min_area:
                part = sample.subject if settings.disjoint_subjects else place
                found[label][part].append(place)
    return [list(parts.values()) for parts in found]
