"""Geometric transforms of an image and its labels together.

A transform says from where in the input each output pixel comes, and `resample` takes image and
labels from these same places: they stay registered whatever the transform. Leading axes of images
and labels (shots, slices of a stack) are changed alike.
"""

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from episodes.augmentation.random_fields import smooth_noise
from episodes.augmentation.resample import affine_matrix, displacement, resample
from episodes.errors import EpisodeError
from episodes.io.pixels import IGNORE

Pair = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Affine:
    """Rotation, shift, shear and scale about the centre, each drawn evenly.

    Attributes:
        rotation: largest angle to either side, in degrees.
        translation: largest shift along each axis, as a share of that side.
        shear: largest angle to either side along each axis, in degrees.
        scale: smallest and largest factor; above 1 enlarges.
    """

    rotation: float = 0.0
    translation: float = 0.0
    shear: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)

    def __post_init__(self) -> None:
        _least("rotation", self.rotation, 0)
        _least("translation", self.translation, 0)
        if not 0 <= self.shear < 90:
            raise EpisodeError(f"shear is {self.shear}; expected degrees from 0 to below 90")
        _limits("scale", self.scale)

    def draw(self, size: tuple[int, int], generator: np.random.Generator) -> np.ndarray:
        """Draw a 2 x 3 matrix [A | t]: a point p from the centre lands at A p + t, in pixels."""
        height, width = size
        angle, across, down = generator.uniform(-1, 1, 3) * (self.rotation, self.shear, self.shear)
        shift = generator.uniform(-1, 1, 2) * self.translation * (width, height)
        matrix = affine_matrix(angle, (across, down), generator.uniform(*self.scale))
        return np.hstack([matrix, shift[:, None]])

    def __call__(self, images: Tensor, labels: Tensor, generator: np.random.Generator) -> Pair:
        """Change images [... channel height width] and labels [... height width]."""
        return Warp(self)(images, labels, generator)


@dataclass(frozen=True)
class Elastic:
    """A smooth random displacement of every pixel.

    White noise, even in [-1, 1], is smoothed by a Gaussian and multiplied (Simard et al. 2003;
    here drawn directly with that variance): the displacements along each axis have a standard
    deviation of `amplitude` pixels.

    Attributes:
        alpha: the multiplier, in pixels of a side of 256; other sides scale it.
        sigma: standard deviation of the Gaussian, in pixels of a side of 256.
    """

    alpha: float = 10.0
    sigma: float = 5.0

    def __post_init__(self) -> None:
        _least("alpha", self.alpha, 0)
        if not self.sigma > 0:
            raise EpisodeError(f"sigma is {self.sigma} pixels; expected more than 0")

    @property
    def amplitude(self) -> float:
        """Standard deviation of the displacement along each axis, in pixels of a side of 256."""
        return self.alpha / math.sqrt(3) / (2 * math.sqrt(math.pi) * self.sigma)

    def draw(
        self, size: tuple[int, int], generator: np.random.Generator
    ) -> Float[Tensor, "height width 2"]:
        """Draw a displacement (column, row) of every pixel, in pixels."""
        factor = max(size) / 256
        field = smooth_noise(generator, size, self.sigma * factor, count=2)
        return self.amplitude * factor * field.movedim(0, -1)

    def __call__(self, images: Tensor, labels: Tensor, generator: np.random.Generator) -> Pair:
        """Change images [... channel height width] and labels [... height width]."""
        return Warp(elastic=self)(images, labels, generator)


@dataclass(frozen=True)
class Warp:
    """An affine deformation, then an elastic one, in a single resampling: faster and sharper.

    Attributes:
        affine: rotation, shift, shear, scale.
        elastic: smooth displacement; None leaves it out.
    """

    affine: Affine = field(default_factory=Affine)
    elastic: Elastic | None = None

    def __call__(self, images: Tensor, labels: Tensor, generator: np.random.Generator) -> Pair:
        """Change images [... channel height width] and labels [... height width]."""
        height, width = labels.shape[-2:]
        matrix = self.affine.draw((height, width), generator)
        bend = self.elastic.draw((height, width), generator) if self.elastic else None
        return resample(images, labels, displacement(matrix, bend, (height, width)))


@dataclass(frozen=True)
class Flip:
    """Mirror images; not for organs, whose left and right differ.

    Attributes:
        across: probability of exchanging left and right.
        down: probability of exchanging top and bottom.
    """

    across: float = 0.5
    down: float = 0.0

    def __post_init__(self) -> None:
        _share("across", self.across)
        _share("down", self.down)

    def __call__(self, images: Tensor, labels: Tensor, generator: np.random.Generator) -> Pair:
        """Change images [... channel height width] and labels [... height width]."""
        drawn = generator.random(2)
        axes = [axis for axis, p in ((-1, self.across), (-2, self.down)) if drawn[axis] < p]
        return (images.flip(axes), labels.flip(axes)) if axes else (images, labels)


@dataclass(frozen=True)
class CropResize:
    """Cut out a rectangle anywhere and enlarge it to the whole picture.

    Attributes:
        area: smallest and largest area of the rectangle, as shares of the picture.
        stretch: largest factor by which its aspect ratio differs from the picture's.
    """

    area: tuple[float, float] = (0.5, 1.0)
    stretch: float = 1.2

    def __post_init__(self) -> None:
        _limits("area", self.area)
        if self.area[1] > 1:
            raise EpisodeError(f"area is {self.area}; expected shares of at most 1")
        _least("stretch", self.stretch, 1)

    def draw(self, generator: np.random.Generator) -> tuple[float, float, float, float]:
        """Draw (left, top, width, height) as shares of the picture's sides."""
        area = generator.uniform(*self.area)
        ratio = math.exp(generator.uniform(-1, 1) * math.log(self.stretch))
        wide, high = min(1.0, math.sqrt(area * ratio)), min(1.0, math.sqrt(area / ratio))
        left, top = generator.random(2) * (1 - wide, 1 - high)
        return left, top, wide, high

    def __call__(self, images: Tensor, labels: Tensor, generator: np.random.Generator) -> Pair:
        """Change images [... channel height width] and labels [... height width]."""
        height, width = labels.shape[-2:]
        left, top, wide, high = self.draw(generator)
        # The rectangle's edges become the picture's edges, half a pixel outside its first centre.
        columns = (torch.arange(width) + 0.5) * (wide - 1) + left * width
        rows = (torch.arange(height) + 0.5) * (high - 1) + top * height
        grid = torch.meshgrid(rows, columns, indexing="ij")
        return resample(images, labels, torch.stack([grid[1], grid[0]], dim=-1).float())


@dataclass(frozen=True)
class CutOut:
    """Hide rectangles: grey in the image, unknown (255) in the labels.

    Attributes:
        count: how many, at most; from none to that many are drawn.
        side: smallest and largest side, as shares of the picture's.
    """

    count: int = 3
    side: tuple[float, float] = (0.05, 0.25)

    def __post_init__(self) -> None:
        _least("count", self.count, 0)
        _limits("side", self.side)

    def __call__(self, images: Tensor, labels: Tensor, generator: np.random.Generator) -> Pair:
        """Change images [... channel height width] and labels [... height width]."""
        number = int(generator.integers(self.count + 1))
        if not number:
            return images, labels
        images, labels = images.clone(), labels.clone()
        mean = images.mean(dim=(-2, -1), keepdim=True)
        for _ in range(number):
            rows, columns = (_interval(n, self.side, generator) for n in labels.shape[-2:])
            images[..., rows, columns] = mean
            labels[..., rows, columns] = IGNORE
        return images, labels


def _interval(length: int, side: tuple[float, float], generator: np.random.Generator) -> slice:
    """Draw a piece of an axis, `side` of its length long, that lies within it."""
    pixels = min(length, max(1, round(generator.uniform(*side) * length)))
    start = int(generator.integers(length - pixels + 1))
    return slice(start, start + pixels)


def _least(name: str, value: float, least: float) -> None:
    if not least <= value < math.inf:
        raise EpisodeError(f"{name} is {value}; expected at least {least}")


def _share(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise EpisodeError(f"{name} is {value}; expected a probability from 0 to 1")


def _limits(name: str, value: tuple[float, float]) -> None:
    if not 0 < value[0] <= value[1] < math.inf:
        raise EpisodeError(f"{name} is {value}; expected a smallest and a largest, above 0")
