"""Renders images of label maps: mean intensities, textures, bias field, blur and noise."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from episodes.augmentation.random_fields import blur, smooth_noise, white_noise
from episodes.synthetic.difficulty import Difficulty

_GRAINS = (0.006, 0.016, 0.045)
"""Standard deviations of the textures' filters, as fractions of the side."""


@dataclass(frozen=True)
class Appearance:
    """Intensities and textures of the tissues of a task.

    Attributes:
        means: intensity of each number, [numbers channel].
        grains: strength of each texture in each number, [grains numbers].
    """

    means: np.ndarray
    grains: np.ndarray


def draw_appearance(
    numbers: int,
    channel: int,
    n_background: int,
    alike: dict[int, int],
    difficulty: Difficulty,
    generator: np.random.Generator,
) -> Appearance:
    """Draw intensities and textures for the tissues of a task.

    Args:
        numbers: of the label maps.
        channel: 1 grey, 3 colour.
        n_background: the first so many numbers are no structures (air, skin, fat, tissue;
            background).
        alike: numbers that have the appearance of another.
        difficulty: its parameters.
        generator: the source of randomness.
    """
    middle = generator.uniform(0.3, 0.65)
    signs = generator.choice([-1.0, 1.0], numbers)
    # A core is on the other side of the middle than its wall, so that their border is visible.
    signs[n_background + 1 :: 2] = -signs[n_background:-1:2]
    means = middle + signs * difficulty.contrast * generator.uniform(0.8, 1.4, numbers)
    if n_background > 1:
        means[3:n_background] = (
            middle + generator.uniform(-0.3, 0.3, n_background - 3) * difficulty.contrast
        )
        means[:3] = 0.02, generator.uniform(0.3, 0.9), generator.uniform(0.15, 0.95)
    else:
        # Fluorescence on black, or stained cells on a bright background.
        fluorescence = generator.random() < 0.6
        means = means.clip(0.3, 1.0) if fluorescence else means.clip(0.0, 0.7)
        background = generator.uniform(0.05, 0.15) if fluorescence else generator.uniform(0.8, 0.95)
        means[1:] = background + (means[1:] - background) * (0.4 + 0.6 * difficulty.contrast / 0.42)
        means[0] = background
    grains = generator.dirichlet((0.7, 0.7, 0.7), numbers).T * generator.uniform(
        0.01, 0.09, numbers
    )
    if n_background > 1:
        grains[:, 0] = 0
    colours = means[:, None] + generator.normal(0, 0.13, (numbers, channel)) * (channel > 1)
    for number, model in alike.items():
        colours[number], grains[:, number] = colours[model], grains[:, model]
    return Appearance(colours.clip(0.02, 0.98).astype(np.float32), grains.astype(np.float32))


def render(
    labels: np.ndarray,
    appearance: Appearance,
    difficulty: Difficulty,
    generator: np.random.Generator,
) -> Tensor:
    """Render the image of a label map, with the variation of a subject and a scanner.

    Args:
        labels: [side side] of numbers.
        appearance: shared by the task.
        difficulty: its parameters.
        generator: the source of randomness.

    Returns:
        float32 [channel side side] in [0, 1].
    """
    side, (numbers, channel) = labels.shape[0], appearance.means.shape
    means = appearance.means + generator.normal(0, difficulty.shift, (numbers, 1)).astype(
        np.float32
    )
    image = torch.from_numpy(np.ascontiguousarray(means.clip(0, 1).T.take(labels, axis=1)))
    for grain, strength in zip(_GRAINS, appearance.grains, strict=True):
        texture = smooth_noise(generator, (side, side), grain * side)
        image += texture * torch.from_numpy(strength.take(labels))
    bias = smooth_noise(generator, (side, side), 0.3 * side)
    image *= torch.exp(difficulty.bias * bias)
    image /= max(1.0, float(image[:, ::5, ::5].quantile(0.98)))  # as an exposure avoids white
    image = blur(image, difficulty.blur * generator.uniform(0.7, 1.2) * side / 256)
    noise = difficulty.noise * generator.uniform(0.6, 1.2)
    noisy = image + noise * white_noise(generator, (channel, side, side))
    # Magnitude images have no negative values: their noise is folded at 0.
    return noisy.abs_().clamp_(max=1)
