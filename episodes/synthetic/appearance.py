"""From label maps to images: means, textures, bias field, blur and noise."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from episodes.augmentation.random_fields import blur, smooth_noise, white_noise
from episodes.synthetic.intensity_levels import Levels

_GRAINS = (0.006, 0.016, 0.045)
"""Standard deviations of the textures' filters, as shares of the side."""


@dataclass(frozen=True)
class Looks:
    """How the tissues of a task look.

    Attributes:
        means: intensity of each number, [numbers channel].
        grains: strength of each texture in each number, [grains numbers].
    """

    means: np.ndarray
    grains: np.ndarray


def draw_looks(
    numbers: int,
    channel: int,
    plain: int,
    alike: dict[int, int],
    level: Levels,
    generator: np.random.Generator,
) -> Looks:
    """Draw how the tissues of a task look.

    Args:
        numbers: of the label maps.
        channel: 1 grey, 3 colour.
        plain: the first numbers, which are no structures (air, skin, fat, tissue; background).
        alike: numbers that look like another.
        level: how hard.
        generator: the source of randomness.
    """
    middle = generator.uniform(0.3, 0.65)
    signs = generator.choice([-1.0, 1.0], numbers)
    # A core on the other side of the middle than its wall: their border can always be seen.
    signs[plain + 1 :: 2] = -signs[plain:-1:2]
    means = middle + signs * level.contrast * generator.uniform(0.8, 1.4, numbers)
    if plain > 1:
        means[3:plain] = middle + generator.uniform(-0.3, 0.3, plain - 3) * level.contrast
        means[:3] = 0.02, generator.uniform(0.3, 0.9), generator.uniform(0.15, 0.95)
    else:
        # Fluorescence on black, or stained cells on a bright background.
        dark = generator.random() < 0.6
        means = means.clip(0.3, 1.0) if dark else means.clip(0.0, 0.7)
        background = generator.uniform(0.05, 0.15) if dark else generator.uniform(0.8, 0.95)
        means[1:] = background + (means[1:] - background) * (0.4 + 0.6 * level.contrast / 0.42)
        means[0] = background
    grains = generator.dirichlet((0.7, 0.7, 0.7), numbers).T * generator.uniform(
        0.01, 0.09, numbers
    )
    if plain > 1:
        grains[:, 0] = 0
    colours = means[:, None] + generator.normal(0, 0.13, (numbers, channel)) * (channel > 1)
    for number, other in alike.items():
        colours[number], grains[:, number] = colours[other], grains[:, other]
    return Looks(colours.clip(0.02, 0.98).astype(np.float32), grains.astype(np.float32))


def render(
    labels: np.ndarray, looks: Looks, level: Levels, generator: np.random.Generator
) -> Tensor:
    """Make an image of a label image, as one subject and one scanner show it.

    Args:
        labels: [side side] of numbers.
        looks: shared by the task.
        level: how hard.
        generator: the source of randomness.

    Returns:
        float32 [channel side side] in [0, 1].
    """
    side, (numbers, channel) = labels.shape[0], looks.means.shape
    means = looks.means + generator.normal(0, level.shift, (numbers, 1)).astype(np.float32)
    image = torch.from_numpy(np.ascontiguousarray(means.clip(0, 1).T.take(labels, axis=1)))
    for grain, strength in zip(_GRAINS, looks.grains, strict=True):
        texture = smooth_noise(generator, (side, side), grain * side)
        image += texture * torch.from_numpy(strength.take(labels))
    bias = smooth_noise(generator, (side, side), 0.3 * side)
    image *= torch.exp(level.bias * bias)
    image /= max(1.0, float(image[:, ::5, ::5].quantile(0.98)))  # as an exposure avoids white
    image = blur(image, level.blur * generator.uniform(0.7, 1.2) * side / 256)
    noise = level.noise * generator.uniform(0.6, 1.2)
    noisy = image + noise * white_noise(generator, (channel, side, side))
    # Magnitude images have no negative values: their noise is folded at 0.
    return noisy.abs_().clamp_(max=1)
