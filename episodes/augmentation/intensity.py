"""Changes of intensity alone: what scanners, stains and cameras do to one and the same tissue.

Images are float32 [... channel height width] in [0, 1] and stay in it; labels pass through. All
images of a batch, and all channels, are changed by the same draw, but noise is new in every value.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from episodes.augmentation.random_fields import blur, smooth_noise, white_noise
from episodes.errors import EpisodeError

Pair = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Gamma:
    """Raise intensities to a power: below 1 brightens, above 1 darkens.

    Attributes:
        exponent: smallest and largest, drawn evenly.
        inverted: probability that it acts on the negative, which spreads or squeezes the bright
            end of the scale instead of the dark one.
    """

    exponent: tuple[float, float] = (0.5, 1.5)
    inverted: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.exponent[0] <= self.exponent[1] < math.inf:
            raise EpisodeError(f"exponent is {self.exponent}; expected two numbers above 0")
        _within("inverted", self.inverted, 1)

    def __call__(self, images: Tensor, labels: Tensor, generator: np.random.Generator) -> Pair:
        """Change images, leave labels."""
        exponent, inverted = generator.uniform(*self.exponent), generator.random() < self.inverted
        images = images.clamp(0, 1)
        return (1 - (1 - images) ** exponent if inverted else images**exponent), labels


@dataclass(frozen=True)
class Invert:
    """Exchange dark and bright, as between T1 and T2 weighting or bright field and fluorescence.

    Attributes:
        probability: how often.
    """

    probability: float = 0.5

    def __post_init__(self) -> None:
        _within("probability", self.probability, 1)

    def __call__(self, images: Tensor, labels: Tensor, generator: np.random.Generator) -> Pair:
        """Change images, leave labels."""
        return (1 - images if generator.random() < self.probability else images), labels


@dataclass(frozen=True)
class HistogramShift:
    """Map intensities by a random rising curve from 0 to 1, straight between its points.

    Attributes:
        points: pieces of the curve.
        strength: standard deviation of the logarithm of each piece's rise; 0 is the identity.
    """

    points: int = 6
    strength: float = 0.5

    def __post_init__(self) -> None:
        if self.points < 1:
            raise EpisodeError(f"points is {self.points}; expected at least 1")
        _within("strength", self.strength, 5)

    def __call__(self, images: Tensor, labels: Tensor, generator: np.random.Generator) -> Pair:
        """Change images, leave labels."""
        rises = np.exp(self.strength * generator.standard_normal(self.points))
        if self.strength == 0:
            return images, labels
        levels = np.concatenate([[0], np.cumsum(rises)]) / rises.sum()
        curve = torch.from_numpy(levels.astype(np.float32))
        place = images.clamp(0, 1) * self.points
        piece = place.long().clamp_(max=self.points - 1)
        start = curve.take(piece)
        return start + (place - piece) * (curve.take(piece + 1) - start), labels


@dataclass(frozen=True)
class BiasField:
    """Multiply by a smooth positive field: uneven coil sensitivity or illumination.

    Attributes:
        strength: standard deviation of the field's logarithm, at most.
        sigma: smoothness, as a share of the longer side.
    """

    strength: float = 0.3
    sigma: float = 0.25

    def __post_init__(self) -> None:
        _within("strength", self.strength, 5)
        if not 0 < self.sigma <= 10:
            raise EpisodeError(f"sigma is {self.sigma}; expected a share above 0, at most 10")

    def __call__(self, images: Tensor, labels: Tensor, generator: np.random.Generator) -> Pair:
        """Change images, leave labels."""
        size = (images.shape[-2], images.shape[-1])
        strength = generator.uniform(0, self.strength)
        field = smooth_noise(generator, size, self.sigma * max(size))
        return (images * torch.exp(strength * field)).clamp(0, 1), labels


@dataclass(frozen=True)
class GaussianNoise:
    """Add independent noise to every value.

    Attributes:
        deviation: standard deviation at most, in units of the full range.
    """

    deviation: float = 0.05

    def __post_init__(self) -> None:
        _within("deviation", self.deviation, 1)

    def __call__(self, images: Tensor, labels: Tensor, generator: np.random.Generator) -> Pair:
        """Change images, leave labels."""
        deviation = generator.uniform(0, self.deviation)
        return (images + deviation * _white(images, generator)).clamp(0, 1), labels


@dataclass(frozen=True)
class RicianNoise:
    """The noise of magnitude images in MR: the length of a signal with noise in two components.

    Attributes:
        deviation: standard deviation of each component at most, in units of the full range.
    """

    deviation: float = 0.05

    def __post_init__(self) -> None:
        _within("deviation", self.deviation, 1)

    def __call__(self, images: Tensor, labels: Tensor, generator: np.random.Generator) -> Pair:
        """Change images, leave labels."""
        deviation = generator.uniform(0, self.deviation)
        if deviation == 0:
            return images, labels
        real = images + deviation * _white(images, generator)
        return torch.hypot(real, deviation * _white(images, generator)).clamp(0, 1), labels


@dataclass(frozen=True)
class Blur:
    """Smooth by a Gaussian.

    Attributes:
        sigma: standard deviation at most, in pixels.
    """

    sigma: float = 1.5

    def __post_init__(self) -> None:
        _within("sigma", self.sigma, math.inf)

    def __call__(self, images: Tensor, labels: Tensor, generator: np.random.Generator) -> Pair:
        """Change images, leave labels."""
        # Below a fifth of a pixel the filter is the identity to seven digits.
        sigma = generator.uniform(0, self.sigma)
        return (images if sigma < 0.2 else blur(images, sigma)), labels


@dataclass(frozen=True)
class LowResolution:
    """Reduce the image and enlarge it again: a coarser scan of the same thing.

    Attributes:
        factor: largest reduction of the sides; drawn evenly from 1.
    """

    factor: float = 3.0

    def __post_init__(self) -> None:
        if not 1 <= self.factor < math.inf:
            raise EpisodeError(f"factor is {self.factor}; expected at least 1")

    def __call__(self, images: Tensor, labels: Tensor, generator: np.random.Generator) -> Pair:
        """Change images, leave labels."""
        factor = generator.uniform(1, self.factor)
        sides = [max(1, round(length / factor)) for length in images.shape[-2:]]
        if sides == list(images.shape[-2:]):
            return images, labels
        flat = images.reshape(-1, *images.shape[-3:])
        small = functional.interpolate(flat, sides, mode="area")
        large = functional.interpolate(small, images.shape[-2:], mode="bilinear")
        return large.reshape(images.shape), labels


@dataclass(frozen=True)
class Ghosting:
    """Add faint copies shifted along one axis: what periodic motion does to MR images.

    Attributes:
        strength: weight of all copies together at most; the image keeps the rest.
        copies: largest number of them, evenly spaced around the axis.
    """

    strength: float = 0.3
    copies: int = 4

    def __post_init__(self) -> None:
        _within("strength", self.strength, 1)
        if self.copies < 1:
            raise EpisodeError(f"copies is {self.copies}; expected at least 1")

    def __call__(self, images: Tensor, labels: Tensor, generator: np.random.Generator) -> Pair:
        """Change images, leave labels."""
        strength, axis = generator.uniform(0, self.strength), -1 - int(generator.integers(2))
        copies = int(generator.integers(1, self.copies + 1))
        if strength == 0:
            return images, labels
        steps = [images.shape[axis] * number // (copies + 1) for number in range(1, copies + 1)]
        ghosts = sum((images.roll(step, axis) for step in steps), torch.zeros_like(images))
        return (1 - strength) * images + strength / copies * ghosts, labels


def _white(images: Tensor, generator: np.random.Generator) -> Tensor:
    return white_noise(generator, tuple(images.shape))


def _within(name: str, value: float, most: float) -> None:
    if not 0 <= value <= most:
        raise EpisodeError(f"{name} is {value}; expected a number from 0 to {most:g}")
