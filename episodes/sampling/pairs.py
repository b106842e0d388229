"""Batches for metric learning: some classes, some images of each.

batch(i) is a pure function of (catalog, settings, seed, i), and so is each of its items: item n is
at position n % size of batch n // size. Any number of processes can divide a batch between them by
the numbers of its items.
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

RotationClasses = Literal[1, 4, 8]
_DRAW, _TRANSFORM = 0x61, 0x62  # streams of the generator; the other samplers have others


@dataclass(frozen=True)
class PairSettings:
    """Settings of a batch.

    Attributes:
        classes_per_batch: classes of a batch that have positive pairs.
        images_per_class: images of a class; of a class with fewer all are drawn, and the batch is
            filled with one image of each of further classes: they are negatives.
        identity: what makes two images positive: the "class" in the masks, or the "subject".
        regions: embed the region of the class instead of the whole image. Without it, images
            that show several of the catalog's classes stand for none of them.
        disjoint_subjects: whether the images of a class come from different subjects.
        min_area: pixels (of the file) of a class that an image needs to stand for it.
        rotation_classes: classes made of each one: 1 as it is, 4 rotated by multiples of 90
            degrees, 8 also mirrored. For characters, where a rotated one is another class; not for
            subjects.
    """

    classes_per_batch: int = 16
    images_per_class: int = 4
    identity: Literal["class", "subject"] = "class"
    regions: bool = False
    disjoint_subjects: bool = False
    min_area: int = 1
    rotation_classes: RotationClasses = 1

    def __post_init__(self) -> None:
        for name, lowest in (("classes_per_batch", 1), ("images_per_class", 2), ("min_area", 1)):
            if getattr(self, name) < lowest:
                raise EpisodeError(f"{name} is {getattr(self, name)}; expected at least {lowest}")
        if self.identity not in ("class", "subject"):
            raise EpisodeError(f"identity is {self.identity!r}; expected 'class' or 'subject'")
        if self.rotation_classes not in get_args(RotationClasses):
            raise EpisodeError(f"rotation_classes is {self.rotation_classes}; expected 1, 4 or 8")
        of_classes = self.regions or self.disjoint_subjects or self.rotation_classes > 1
        if self.identity == "subject" and of_classes:
            raise EpisodeError(
                "images of one subject are the positives, so neither regions of classes nor "
                "disjoint_subjects nor rotation_classes make sense; expected identity 'class' with "
                "them"
            )

    @property
    def size(self) -> int:
        """Images per batch."""
        return self.classes_per_batch * self.images_per_class


class PairSampler:
    """Draws batches: classes first, uniformly, then images of each, never one twice.

    Args:
        catalog: with class areas (`compute_class_areas`) where the identity is the class.
        settings: classes, images and rules.
        loader: reads the pixels; its size is the batch's size.
        seed: a whole number from 0 to 2**64 - 1.
        transform: applied to image and mask together, drawn for each item.

    Attributes:
        names: the class (or subject) of each label.

    Raises:
        EpisodeError: the catalog cannot fill a batch.
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
        rotations = range(self.settings.rotation_classes)
        self.names = tuple(f"{n}, turn {t}" if t else n for n in self._names for t in rotations)
        groups = _groups(catalog, self.settings, self._names)
        self._groups = [group for group in groups for _ in rotations]
        self._subject_codes = {name: code for code, name in enumerate(catalog.subjects)}
        self._able = np.array([label for label, g in enumerate(self._groups) if len(g) > 1])
        self._index_of = {sample.key: index for index, sample in enumerate(catalog.samples)}
        self._check()

    @property
    def size(self) -> int:
        """Images per batch."""
        return self.settings.size

    def plan(self, index: int) -> PairPlan:
        """Draw the samples of batch `index`, without reading pixels."""
        generator = episode_generator(self.seed, index, _DRAW)
        chosen = generator.choice(self._able, self.settings.classes_per_batch, replace=False)
        drawn = [
            (sample, int(label))
            for label in chosen
            for sample in self._draw(int(label), self.settings.images_per_class, generator)
        ]
        if len(drawn) < self.size:
            taken = {int(label) for label in chosen}
            for label in generator.permutation(len(self._groups)).tolist():
                if label not in taken and self._groups[label] and len(drawn) < self.size:
                    drawn += [(sample, label) for sample in self._draw(label, 1, generator)]
        samples = [self.catalog.samples[index] for index, _ in drawn]
        return PairPlan(
            index,
            tuple(sample.key for sample in samples),
            tuple(label for _, label in drawn),
            tuple(sample.subject for sample in samples),
        )

    def load(self, items: Sequence[int]) -> PairBatch:
        """Load items by their numbers, e.g. the part of a batch of one process.

        Raises:
            EpisodeError: no items, or items of several batches.
        """
        batches = sorted({item // self.size for item in items})
        if len(batches) != 1:
            raise EpisodeError(
                f"{len(items)} items belong to {len(batches)} batches; expected items of one "
                f"batch of {self.size}, as pairs are formed within it"
            )
        plan, positions = self.plan(batches[0]), [item % self.size for item in items]
        chosen = [(self._index_of[plan.keys[n]], plan.labels[n]) for n in positions]
        return self._load(chosen, positions, items)

    def all_items(self) -> list[tuple[int, int]]:
        """List all that can be drawn: (index in the catalog, label)."""
        return sorted(
            (index, label)
            for label, group in enumerate(self._groups)
            for part in group
            for index in part
        )

    def load_untransformed(self, items: Sequence[tuple[int, int]]) -> PairBatch:
        """Load some of `all_items`, without the transform."""
        return self._load(items, range(len(items)), None)

    def batch(self, index: int) -> PairBatch:
        """Draw and load the whole batch `index`."""
        return self.load(range(index * self.size, (index + 1) * self.size))

    __getitem__ = batch

    def _load(
        self,
        chosen: Sequence[tuple[int, int]],
        positions: Sequence[int],
        numbers: Sequence[int] | None,
    ) -> PairBatch:
        """Load samples by index and label; `numbers` are those of the transform's generators."""
        loaded = [self._item(*item) for item in chosen]
        if self.transform is not None and numbers is not None:
            generators = (episode_generator(self.seed, number, _TRANSFORM) for number in numbers)
            loaded = [
                self.transform(image, mask, generator)
                for (image, mask), generator in zip(loaded, generators, strict=True)
            ]
        channel = max(image.shape[0] for image, _ in loaded)
        subjects = [self.catalog.samples[index].subject for index, _ in chosen]
        return PairBatch(
            torch.stack([to_channels(image, channel) for image, _ in loaded]),
            torch.stack([mask for _, mask in loaded]) if self.settings.regions else None,
            torch.tensor([label for _, label in chosen]),
            torch.tensor([self._subject_codes[subject] for subject in subjects]),
            torch.tensor([index for index, _ in chosen]),
            torch.tensor(list(positions)),
        )

    def _item(self, index: int, label: int) -> tuple[Tensor, Tensor]:
        sample = self.catalog.samples[index]
        label, number = divmod(label, self.settings.rotation_classes)
        image = rotate(self.loader.image(sample), number)
        if not self.settings.regions:  # a transform changes an image and a mask together
            return image, torch.zeros(image.shape[-2:], dtype=torch.uint8)
        mask = binary_mask(self.loader.labels(sample, self._names), label + 1)
        return image, rotate(mask, number)

    def _draw(self, label: int, count: int, generator: np.random.Generator) -> list[int]:
        """Draw images of a class without repetition: a part of its group each, then one of it."""
        group = self._groups[label]
        parts = generator.choice(len(group), min(count, len(group)), replace=False)
        return [group[part][int(generator.integers(len(group[part])))] for part in parts]

    def _check(self) -> None:
        """Make sure that every draw of classes can fill a batch."""
        episode_generator(self.seed, 0, _DRAW)  # raises on a seed out of range
        classes, images = self.settings.classes_per_batch, self.settings.images_per_class
        kind = "subjects" if self.settings.disjoint_subjects else "images"
        if len(self._able) < classes:
            alone = self.settings.identity == "subject" and not len(self._able)
            way_out = (
                "Every image is a subject of its own: name the subjects with --subject-pattern"
                if alone
                else "Choose fewer (--classes-per-batch), or add images"
            )
            raise EpisodeError(
                f"catalog {self.catalog.name!r} has {len(self._able)} of "
                f"{len(self.names)} {self.settings.identity} names with two {kind} or more "
                f"({shorten((self.names[label] for label in self._able), 3)}); a batch "
                f"needs {classes} of them. {way_out}"
            )
        sizes = sorted(min(images, len(self._groups[label])) for label in self._able)
        smallest = sum(sizes[:classes])
        others = sum(1 for group in self._groups if group) - classes
        if smallest + others < self.size:
            raise EpisodeError(
                f"{classes} classes of catalog {self.catalog.name!r} have as few as {smallest} "
                f"{kind}, and there are {others} further classes to fill a batch of {self.size}; "
                f"lower images_per_class from {images}, or add images"
            )


def rotate(pixels: Shaped[Tensor, "*any height width"], number: int) -> Tensor:
    """Rotate by `number` times 90 degrees counter-clockwise; from 4 to 7, mirror afterwards.

    >>> rotate(torch.tensor([[1, 2], [3, 4]]), 1).tolist()
    [[2, 4], [1, 3]]
    >>> rotate(torch.tensor([[1, 2], [3, 4]]), 4).tolist()
    [[2, 1], [4, 3]]
    """
    rotated = torch.rot90(pixels, number % 4, (-2, -1)) if number % 4 else pixels
    return rotated.flip(-1) if number >= 4 else rotated


def _groups(
    catalog: Catalog, settings: PairSettings, names: Sequence[str]
) -> list[list[list[int]]]:
    """Indices of the samples of each class, in parts of which at most one is drawn."""
    if settings.identity == "subject":
        by_subject = defaultdict(list)
        for index, sample in enumerate(catalog.samples):
            by_subject[sample.subject].append([index])
        return [by_subject[name] for name in names]
    catalog.require_areas()
    label_of = {name: label for label, name in enumerate(names)}
    groups: list[dict[object, list[int]]] = [defaultdict(list) for _ in names]
    for index, sample in enumerate(catalog.samples):
        areas = sample.areas or {}
        shown = [label_of[name] for name, area in areas.items() if area and name in label_of]
        if not settings.regions and len(shown) > 1:
            continue
        for label in shown:
            if areas[names[label]] >= settings.min_area:
                part = sample.subject if settings.disjoint_subjects else index
                groups[label][part].append(index)
    return [list(parts.values()) for parts in groups]
