"""Joint image and mask transforms whose randomness comes in as a generator.

The functional forms of torchvision.transforms.v2 are used with parameters that we draw: its
transform classes draw from torch's global state, which no two workers share.
`episodes.augmentation.spatial` and `episodes.augmentation.intensity` hold the single ones; here
they are composed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

from episodes.augmentation.base import Transform
from episodes.augmentation.intensity import (
    BiasField,
    Blur,
    Gamma,
    GaussianNoise,
    HistogramShift,
    Invert,
    LowResolution,
    RicianNoise,
)
from episodes.augmentation.spatial import Affine, CropResize, CutOut, Elastic, Warp
from episodes.errors import EpisodeError
from episodes.io.pixels import IGNORE


@dataclass(frozen=True)
class Augment:
    """Affine deformation, gamma, contrast and noise.

    Attributes:
        rotation: largest angle, in degrees.
        translation: largest shift, as a share of the side.
        scale: largest factor; its inverse is the smallest.
        shear: largest angle, in degrees.
        gamma: largest exponent of the intensities; its inverse is the smallest.
        noise: standard deviation of the added noise, at most, in units of the full range.
        flip: probability of a mirror image; 0 where left and right differ (organs).
    """

    rotation: float = 15.0
    translation: float = 0.08
    scale: float = 1.25
    shear: float = 5.0
    gamma: float = 1.5
    noise: float = 0.03
    flip: float = 0.0

    def __call__(
        self, image: Tensor, labels: Tensor, generator: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        """Change image [channel height width] and labels [height width] in the same way.

        Labels are never interpolated; what comes from outside the picture is black and 255.
        """
        side = image.shape[-1]
        angle, *shear = generator.uniform(-1, 1, 3) * (self.rotation, self.shear, self.shear)
        shift = generator.uniform(-1, 1, 2) * self.translation * side
        geometry = {
            "angle": float(angle),
            "translate": shift.tolist(),
            "scale": _factor(self.scale, generator),
            "shear": [float(value) for value in shear],
        }
        if any(shift) or geometry["scale"] != 1 or angle or any(shear):
            image, labels = _affine(image, labels, geometry)
        if generator.random() < self.flip:
            image, labels = image.flip(-1), labels.flip(-1)
        image = image.clamp(0, 1) ** _factor(self.gamma, generator)
        strength = generator.uniform(0, self.noise)
        noise = torch.from_numpy(generator.standard_normal(image.shape, dtype=np.float32))
        return (image + strength * noise).clamp(0, 1), labels


def _affine(image: Tensor, labels: Tensor, geometry: dict[str, Any]) -> tuple[Tensor, Tensor]:
    moved = functional.affine(
        image, **geometry, interpolation=InterpolationMode.BILINEAR, fill=[0.0]
    )
    found = functional.affine(
        labels[None], **geometry, interpolation=InterpolationMode.NEAREST, fill=[float(IGNORE)]
    )
    return moved, found[0]


def _factor(largest: float, generator: np.random.Generator) -> float:
    """Draw a factor between 1 / largest and largest, evenly in its logarithm."""
    return math.exp(generator.uniform(-1, 1) * math.log(largest))


@dataclass(frozen=True)
class Compose:
    """Apply transforms one after the other.

    Attributes:
        transforms: each takes (images, labels, generator) and returns (images, labels).

    Example:
        >>> change = Compose((Affine(rotation=5), Gamma((0.5, 1.5))))
        >>> image, labels = torch.rand(1, 64, 64), torch.zeros(64, 64, dtype=torch.uint8)
        >>> changed, moved = change(image, labels, np.random.default_rng(0))
    """

    transforms: Sequence[Transform]

    def __call__(
        self, images: Tensor, labels: Tensor, generator: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        """Change images [... channel height width] and labels [... height width]."""
        for transform in self.transforms:
            images, labels = transform(images, labels, generator)
        return images, labels


@dataclass(frozen=True)
class Sometimes:
    """Apply a transform with a probability.

    Attributes:
        transform: what is applied.
        probability: how often, 0 to 1.
    """

    transform: Transform
    probability: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.probability <= 1:
            raise EpisodeError(f"probability is {self.probability}; expected 0 to 1")

    def __call__(
        self, images: Tensor, labels: Tensor, generator: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        """Change images [... channel height width] and labels [... height width], or neither."""
        if generator.random() < self.probability:
            return self.transform(images, labels, generator)
        return images, labels


@dataclass(frozen=True)
class PerImage:
    """Draws the transform anew for every image of a batch; otherwise all get the same one.

    Attributes:
        transform: applied to each [channel height width] and its labels.
    """

    transform: Transform

    def __call__(
        self, images: Tensor, labels: Tensor, generator: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        """Change images [... channel height width] and labels [... height width]."""
        flat, masks = images.flatten(0, -4), labels.flatten(0, -3)
        pairs = [
            self.transform(image, mask, generator) for image, mask in zip(flat, masks, strict=True)
        ]
        images_out, labels_out = (torch.stack(side) for side in zip(*pairs, strict=True))
        return images_out.reshape(images.shape), labels_out.reshape(labels.shape)


SSL_ALPNET = Compose(
    (
        Warp(
            Affine(rotation=5.0, translation=5 / 256, shear=5.0, scale=(0.9, 1.2)),
            Elastic(alpha=10.0, sigma=5.0),
        ),
        Gamma((0.5, 1.5)),
    )
)
"""As published with SSL-ALPNet (Ouyang et al. 2020): 5 degrees, 5 of 256 pixels, no flips."""

MEDICAL = Compose(
    (
        Warp(
            Affine(rotation=25.0, translation=0.1, shear=10.0, scale=(0.75, 1.3)),
            Elastic(alpha=250.0, sigma=14.0),
        ),
        Sometimes(CropResize((0.6, 1.0), 1.2), 0.2),
        Sometimes(HistogramShift(6, 0.5), 0.3),
        Gamma((0.5, 1.8), inverted=0.3),
        Sometimes(Invert(1.0), 0.1),
        Sometimes(BiasField(0.4), 0.4),
        Sometimes(LowResolution(3.0), 0.15),
        Sometimes(Blur(1.5), 0.2),
        Sometimes(RicianNoise(0.08), 0.2),
        Sometimes(GaussianNoise(0.08), 0.4),
        Sometimes(CutOut(3), 0.15),
    )
)
"""Strong geometric and intensity transforms for scans, without left-right flips."""
