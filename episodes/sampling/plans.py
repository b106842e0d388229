"""Loads the pixels of plans, and hashes lists of plans."""

import hashlib
import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from episodes.augmentation.base import Transform
from episodes.catalog.catalog import Catalog, Sample
from episodes.catalog.loader import Loader, class_values
from episodes.errors import EpisodeError
from episodes.io.pixels import IGNORE
from episodes.sampling.episode import Episode, EpisodeBatch, Plan, copy_images, copy_masks

AUGMENT = 1
"""Stream of the generator that a transform uses."""


class PlanLoader:
    """Loads the pixels of plans; the same plan and seed give the same episode.

    Args:
        catalog: has the plans' samples.
        loader: reads the pixels; its size is the episodes' size.
        seed: of the transform, a whole number from 0 to 2**64 - 1.
        transform: applied to image and labels together, e.g.
            `episodes.augmentation.compose.Augment`.
    """

    def __init__(
        self,
        catalog: Catalog,
        loader: Loader | None = None,
        seed: int = 0,
        transform: Transform | None = None,
    ) -> None:
        episode_generator(seed, 0, AUGMENT)  # raises on a seed out of range
        self.catalog, self.seed, self.transform = catalog, seed, transform
        self.loader = loader or Loader()

    def load(self, plan: Plan) -> Episode:
        """Load the pixels of a plan.

        Raises:
            EpisodeError: the catalog lacks a sample of the plan.
        """
        batch = self.batch([plan])
        return Episode(
            batch.support_images[0],
            batch.support_masks[0],
            batch.query_images[0],
            batch.query_labels[0],
            plan,
        )

    def batch(self, plans: Sequence[Plan]) -> EpisodeBatch:
        """Load the pixels of plans of one shape; every pixel is copied once, to its place.

        Raises:
            EpisodeError: the catalog lacks a sample of a plan; or ways, shots or queries differ.
        """
        shapes = {(len(plan.support), len(plan.support[0]), len(plan.query)) for plan in plans}
        if not plans:
            raise EpisodeError("no episode to stack; expected at least one")
        if len(shapes) > 1:
            raise EpisodeError(f"episodes differ in (way, shot, query): {sorted(shapes)}")
        supports, queries = _Pixels(), _Pixels()
        for plan in plans:
            self._read(plan, supports, queries)
        way, shot, query = shapes.pop()
        channel = max(image.shape[0] for image in (*supports.images, *queries.images))
        return EpisodeBatch(
            copy_images(supports.images, (len(plans), way, shot), channel),
            copy_masks(supports.masks, (len(plans), way, shot)),
            copy_images(queries.images, (len(plans), query), channel),
            copy_masks(queries.masks, (len(plans), query)),
            tuple(plans),
        )

    @cached_property
    def _by_key(self) -> dict[str, Sample]:
        return {sample.key: sample for sample in self.catalog.samples}

    def _read(self, plan: Plan, support: "_Pixels", query: "_Pixels") -> None:
        """Read the images and masks of one plan, transformed if there is a transform."""
        values = class_values(plan.classes)
        if self.transform is None:
            for name, keys in zip(plan.classes, plan.support, strict=True):
                # The other ways are neither this class nor its background.
                only = {**dict.fromkeys(values, IGNORE), name: 1}
                for key in keys:
                    support.add(*self._kept(key, only))
            for key in plan.query:
                query.add(*self._kept(key, values))
            return
        generator = episode_generator(self.seed, plan.index, AUGMENT)
        for way, keys in enumerate(plan.support, start=1):
            for key in keys:
                image, labels = self._transformed(key, values, generator, self.transform)
                support.add(image, binary_mask(labels, way))
        for key in plan.query:
            query.add(*self._transformed(key, values, generator, self.transform))

    def _kept(self, key: str, values: Mapping[str, int]) -> tuple[Tensor, Tensor]:
        sample = self._by_key.get(key)
        if sample is None:
            raise EpisodeError(
                f"the plan has {key!r}, which catalog {self.catalog.name!r} lacks; "
                "use the catalog that the plan was drawn from"
            )
        return self.loader.kept_image(sample), self.loader.kept_labels(sample, values)

    def _transformed(
        self,
        key: str,
        values: Mapping[str, int],
        generator: np.random.Generator,
        transform: Transform,
    ) -> tuple[Tensor, Tensor]:
        image, labels = self._kept(key, values)
        return transform(image.float(), labels.clone(), generator)


@dataclass
class _Pixels:
    """Images [channel height width] and masks [height width], in order."""

    images: list[Tensor] = field(default_factory=list)
    masks: list[Tensor] = field(default_factory=list)

    def add(self, image: Tensor, mask: Tensor) -> None:
        self.images.append(image)
        self.masks.append(mask)


def episode_generator(seed: int, index: int, stream: int) -> np.random.Generator:
    """Make the generator of one episode; no two (seed, index, stream) share a number."""
    _check_numbers(seed, index)
    # The number sits in the counter's highest word: streams of two episodes never meet.
    key, counter = np.array([seed, stream], np.uint64), np.array([0, 0, 0, index], np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


def reuse_generator(seed: int, index: int, stream: int) -> np.random.Generator:
    """Return the generator of one episode in a fifth of the time of `episode_generator`.

    It is one object per thread, set anew by each call: use it until the next.
    """
    _check_numbers(seed, index)
    _REUSED.generator.bit_generator.state = {
        "bit_generator": "Philox",
        "state": {"counter": (0, 0, 0, index), "key": (seed, stream)},
        "buffer": (0, 0, 0, 0),
        "buffer_pos": 4,  # nothing in it
        "has_uint32": 0,
        "uinteger": 0,
    }
    return _REUSED.generator


class _Reused(threading.local):
    def __init__(self) -> None:
        self.generator = np.random.Generator(np.random.Philox(key=0))


_REUSED = _Reused()


def _check_numbers(seed: int, index: int) -> None:
    for name, number in (("seed", seed), ("episode number", index)):
        if not 0 <= number < 2**64:
            raise EpisodeError(f"{name} is {number}; expected a whole number from 0 to 2**64 - 1")


def binary_mask(labels: Tensor, value: int) -> Tensor:
    """Make the mask of one class: 1 there, 0 on background, 255 on the other classes.

    Args:
        labels: uint8 [*any], in the memory of the processor.
        value: of the class, at least 1.
    """
    known = labels.numpy()
    # Arithmetic in bytes takes a fortieth of the time of torch.where.
    mask = np.not_equal(known, 0).view(np.uint8) * np.uint8(IGNORE)
    mask -= np.equal(known, value).view(np.uint8) * np.uint8(IGNORE - 1)
    return torch.from_numpy(mask)


def hash_plans(plans: Sequence[Plan]) -> str:
    """Hash an episode list: equal lists, equal hash, on every machine."""
    text = json.dumps([asdict(plan) for plan in plans], separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
