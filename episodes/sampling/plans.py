"""From a plan to pixels, and the hash of a list of plans."""

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from episodes.augmentation.base import Transform
from episodes.catalog.catalog import Catalog, Sample
from episodes.catalog.loader import Loader
from episodes.errors import EpisodeError
from episodes.io.pixels import IGNORE
from episodes.sampling.episode import Episode, Plan, to_channels

MAP_BYTES = 2**28
"""Memory that label maps may take; those not used for the longest time go first."""

AUGMENT = 1
"""Stream of the generator that a transform uses."""


class PlanLoader:
    """Loads the pixels of plans; the same plan and seed give the same episode.

    Args:
        catalog: has the plans' samples.
        loader: reads the pixels; its size is the episodes' size.
        seed: of the transform, a whole number from 0 to 2**64 - 1.
        transform: changes image and labels together, e.g. `episodes.augmentation.compose.Augment`.
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
        self._maps: OrderedDict[tuple[str, tuple[str, ...]], Tensor] = OrderedDict()

    def load(self, plan: Plan) -> Episode:
        """Load the pixels of a plan.

        Raises:
            EpisodeError: the catalog lacks a sample of the plan.
        """
        generator = episode_generator(self.seed, plan.index, AUGMENT)
        support = [
            [self._item(key, plan.classes, generator) for key in keys] for keys in plan.support
        ]
        query = [self._item(key, plan.classes, generator) for key in plan.query]
        channel = max(image.shape[0] for row in (*support, query) for image, _ in row)

        def images(items: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
            return torch.stack([to_channels(image, channel) for image, _ in items])

        shape = (len(support), len(support[0]))
        masks = [
            binary_mask(labels, way) for way, row in enumerate(support, 1) for _, labels in row
        ]
        return Episode(
            support_images=images(item for row in support for item in row).unflatten(0, shape),
            support_masks=torch.stack(masks).unflatten(0, shape),
            query_images=images(query),
            query_labels=torch.stack([labels for _, labels in query]),
            plan=plan,
        )

    @cached_property
    def _by_key(self) -> dict[str, Sample]:
        return {sample.key: sample for sample in self.catalog.samples}

    def _item(
        self, key: str, classes: Sequence[str], generator: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        sample = self._by_key.get(key)
        if sample is None:
            raise EpisodeError(
                f"the plan asks for {key!r}, which catalog {self.catalog.name!r} lacks; "
                "use the catalog that the plan was drawn from"
            )
        image, labels = self.loader.image(sample), self._label_map(sample, tuple(classes))
        if self.transform is None:
            return image, labels
        return self.transform(image, labels.clone(), generator)

    def _label_map(self, sample: Sample, classes: tuple[str, ...]) -> Tensor:
        """Read a label map, or take the one that was made for the same classes before."""
        found = self._maps.pop((sample.key, classes), None)
        if found is None:
            found = self.loader.labels(sample, classes)
        self._maps[sample.key, classes] = found
        if len(self._maps) * found.numel() > MAP_BYTES:
            self._maps.popitem(last=False)  # all maps have one size
        return found


def episode_generator(seed: int, index: int, stream: int) -> np.random.Generator:
    """Make the generator of one episode; no two (seed, index, stream) share a number."""
    _check_numbers(seed, index)
    # The number sits in the counter's highest word: streams of two episodes never meet.
    key, counter = np.array([seed, stream], np.uint64), np.array([0, 0, 0, index], np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


def borrow_generator(seed: int, index: int, stream: int) -> np.random.Generator:
    """Return the generator of one episode in a fifth of the time that making one takes.

    It is one object a thread, set anew: use it until the next call.
    """
    _check_numbers(seed, index)
    _BORROWED.generator.bit_generator.state = {
        "bit_generator": "Philox",
        "state": {"counter": (0, 0, 0, index), "key": (seed, stream)},
        "buffer": (0, 0, 0, 0),
        "buffer_pos": 4,  # nothing in it
        "has_uint32": 0,
        "uinteger": 0,
    }
    return _BORROWED.generator


class _Borrowed(threading.local):
    def __init__(self) -> None:
        self.generator = np.random.Generator(np.random.Philox(key=0))


_BORROWED = _Borrowed()


def _check_numbers(seed: int, index: int) -> None:
    for name, number in (("seed", seed), ("episode number", index)):
        if not 0 <= number < 2**64:
            raise EpisodeError(f"{name} is {number}; expected a whole number from 0 to 2**64 - 1")


def binary_mask(labels: Tensor, value: int) -> Tensor:
    """Make the mask of one class: 1 there, 0 on background, 255 on the other classes."""
    others = torch.where(labels == 0, 0, labels.new_tensor(IGNORE))
    return torch.where(labels == value, 1, others)


def hash_plans(plans: Sequence[Plan]) -> str:
    """Hash an episode list: equal lists, equal hash, on every machine."""
    text = json.dumps([asdict(plan) for plan in plans], separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
