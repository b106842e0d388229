"""Joint image and mask transforms whose randomness comes in as a generator.

The functional forms of torchvision.transforms.v2 are used with parameters that we draw: its
transform classes draw from torch's global state, which no two workers share.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

from episodes.catalog import IGNORE


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
        image = functional.affine(
            image, **geometry, interpolation=InterpolationMode.BILINEAR, fill=[0.0]
        )
        labels = functional.affine(
            labels[None], **geometry, interpolation=InterpolationMode.NEAREST, fill=[float(IGNORE)]
        )[0]
        if generator.random() < self.flip:
            image, labels = image.flip(-1), labels.flip(-1)
        image = image.clamp(0, 1) ** _factor(self.gamma, generator)
        strength = generator.uniform(0, self.noise)
        noise = torch.from_numpy(generator.standard_normal(image.shape, dtype=np.float32))
        return (image + strength * noise).clamp(0, 1), labels


def _factor(largest: float, generator: np.random.Generator) -> float:
    """Draw a factor between 1 / largest and largest, evenly in its logarithm."""
    return math.exp(generator.uniform(-1, 1) * math.log(largest))
