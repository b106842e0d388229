"""Patches of annotated images, as items that depend on seed and number alone."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from episodes.augmentation.base import Transform
from episodes.io.pixels import IGNORE
from episodes.sampling.episode import to_channels
from episodes.sampling.plans import episode_generator
from fewshot.baselines.deep.settings import Augmentation
from fewshot.lazily import lazily

compose = lazily("episodes.augmentation.compose")  # imports torchvision

STRIDE = 32
"""Sides of what passes through a network are multiples of this."""
_ORDER, _CROP, _TRANSFORM = 60, 61, 62  # streams of the generator
_ON_CLASS = 0.5  # share of the patches that are centred on a pixel of a class

Pair = tuple[Tensor, Tensor]
"""Image float32 [channel height width] and labels uint8 [height width]."""


@runtime_checkable
class Images(Protocol):
    """Annotated images by their numbers."""

    def __len__(self) -> int: ...

    def __getitem__(self, number: int) -> Pair: ...


@dataclass(frozen=True)
class Annotated:
    """Annotated images in memory.

    Attributes:
        pairs: image, 3 channels, 0 to 1, and labels, 0 background, 1..way, 255 unknown.
    """

    pairs: tuple[Pair, ...]

    @classmethod
    def of(cls, images: Sequence[tuple[np.ndarray, np.ndarray]]) -> "Annotated":
        """Take images [height width channel] and labels [height width]."""
        return cls(
            tuple(
                (to_channels(torch.from_numpy(image).movedim(-1, 0), 3), torch.from_numpy(labels))
                for image, labels in images
            )
        )

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, number: int) -> Pair:
        return self.pairs[number]

    @property
    def fingerprint(self) -> str:
        """Hash of all pixels and labels."""
        found = hashlib.sha256()
        for each in (tensor for pair in self.pairs for tensor in pair):
            found.update(str(tuple(each.shape)).encode())
            found.update(each.contiguous().numpy().tobytes())
        return found.hexdigest()[:16]

    @property
    def longest(self) -> int:
        """The longest side of all images, in pixels."""
        return max(max(labels.shape) for _, labels in self.pairs)


@dataclass(frozen=True)
class Patches:
    """Loads patches by item number; worker processes get a copy of it.

    All images come once before any comes again. Half of the patches are centred on a pixel of a
    class, all classes of an image alike, so that small structures are seen. What lies outside of
    an image is black and unknown.

    Attributes:
        images: annotated ones.
        side: of a patch, in pixels.
        augmentation: see `transform_of`.
        seed: of order, places and changes.
    """

    images: Images
    side: int
    augmentation: Augmentation = "light"
    seed: int = 0

    def __call__(self, indices: Sequence[int]) -> Pair:
        """Load images float32 [batch 3 side side] and labels uint8 [batch side side]."""
        images, labels = zip(*(self.patch(index) for index in indices), strict=True)
        return torch.stack(images), torch.stack(labels)

    def patch(self, index: int) -> Pair:
        """Load a patch, changed."""
        turn, place = divmod(index, len(self.images))
        order = episode_generator(self.seed, turn, _ORDER).permutation(len(self.images))
        image, labels = self.images[int(order[place])]
        image, labels = self._crop(image, labels, episode_generator(self.seed, index, _CROP))
        transform = transform_of(self.augmentation)
        if transform is None:
            return image, labels
        return transform(image, labels, episode_generator(self.seed, index, _TRANSFORM))

    def _crop(self, image: Tensor, labels: Tensor, generator: np.random.Generator) -> Pair:
        image, labels = pad_to(image, labels, self.side)
        height, width = labels.shape
        centre = [generator.integers(height), generator.integers(width)]
        marked = np.setdiff1d(np.unique(labels.numpy()), (0, IGNORE))
        if len(marked) and generator.random() < _ON_CLASS:
            found = torch.nonzero(labels == int(generator.choice(marked)))
            centre = found[generator.integers(len(found))].tolist()
        top, left = (
            int(np.clip(at - self.side // 2, 0, length - self.side))
            for at, length in zip(centre, (height, width), strict=True)
        )
        rows, columns = slice(top, top + self.side), slice(left, left + self.side)
        return image[:, rows, columns], labels[rows, columns]


def transform_of(augmentation: Augmentation) -> Transform | None:
    """The changes of a name: none; small ones; small ones with mirror images; or large ones."""
    if augmentation == "none":
        return None
    if augmentation == "strong":
        return compose.Augment(20.0, 0.1, 1.5, 8.0, 1.8, 0.05, flip=0.5)
    return compose.Augment(flip=0.5 if augmentation == "flips" else 0.0)


def pad_to(image: Tensor, labels: Tensor, side: int) -> Pair:
    """Pad an image and its labels, on the right and below, to a least side."""
    height, width = labels.shape
    padding = (0, max(0, side - width), 0, max(0, side - height))
    if not any(padding):
        return image, labels
    return functional.pad(image, padding), functional.pad(labels, padding, value=IGNORE)


def patch_side(asked: int, longest: int) -> int:
    """Side of patches of images with this longest side: a multiple of `STRIDE`.

    >>> patch_side(256, 100), patch_side(250, 600)
    (128, 256)
    """
    return STRIDE * -(-min(asked, longest) // STRIDE)
