"""What candidates see of one plane of an image: pixels and features at several sides, each once."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

from episodes.catalog.letterbox import to_tensor
from episodes.sampling.episode import to_channels
from fewshot.inference.inputs import ImageStack
from fewshot.inference.pixel_features import pixel_planes
from fewshot.inference.preprocess import has_colour, limits_of, nearest_labels
from fewshot.models.encoder import Encoder, EncoderSettings
from fewshot.models.levels import XFEAT

COARSE, FINE = 256, 512
"""Longest sides at which features are computed, in pixels."""
PIXEL_SIGMAS = {1: (0.7, 1.6), 2: (1.75,), 4: (2.0,)}
"""Of the features of single pixels: by how much the image is shrunk, and sigmas in its pixels, in
all 0.7, 1.6, 3.5 and 8 pixels of the whole one; wide filters on the whole one take most time."""
_MULTIPLE = 32  # of both sides: what the backbones need
_LEAST = 64


@dataclass(frozen=True)
class FeatureMap:
    """Which features of an image.

    Attributes:
        encoder: `fewshot.models.encoder.OFFLINE` or `fewshot.models.levels.XFEAT`.
        stride: pixels an entry.
        side: longest side of the image, in pixels.
    """

    encoder: str
    stride: int
    side: int


class View:
    """One plane of an image; what is computed of it is kept.

    Args:
        picture: its limits become 0 and 1.
        plane: which.
    """

    def __init__(self, picture: ImageStack, plane: int = 0) -> None:
        self.picture, self.plane = picture, plane
        self._features: dict[FeatureMap, Tensor] = {}
        self._resized: dict[int, Tensor] = {}
        self._pixels: dict[int, Tensor] = {}

    @cached_property
    def image(self) -> Float[Tensor, "channel height width"]:
        """Intensities from 0 to 1 at the image's own size; three channels where they differ."""
        pixels = self.picture.pixels[self.plane]
        image = to_tensor(pixels, limits_of(self.picture, self.plane))
        return image if has_colour(pixels) else image[:1]

    @property
    def side(self) -> int:
        """Longest side at which single pixels are classified, in pixels."""
        return min(FINE, max(self.picture.pixels.shape[1:3]))

    def resized(self, side: int) -> Float[Tensor, "channel rows columns"]:
        """Scale the image to a longest side; both sides become multiples of 32 pixels."""
        if side not in self._resized:
            self._resized[side] = functional.interpolate(
                self.image[None],
                size=rectangle(self.picture.pixels.shape[1:3], side),
                mode="bilinear",
                antialias=True,
                align_corners=False,
            )[0].clamp(0, 1)
        return self._resized[side]

    def features(self, wanted: FeatureMap) -> Float[Tensor, "feature rows columns"]:
        """Compute one feature map, of unit length at every position, minus its mean.

        Subtracting the image's mean takes away what is common to all of its positions, such as
        staining, contrast or the modality, by which images differ more than structures do.
        """
        if wanted not in self._features:
            encoder = backbone(wanted.encoder)
            with torch.inference_mode():
                maps = encoder.unit_levels(to_channels(self.resized(wanted.side), 3)[None])
            for stride, found in zip(sorted(encoder.settings.strides), maps, strict=True):
                unit = functional.normalize(
                    found[0] - found[0].mean(dim=(1, 2), keepdim=True), dim=0
                )
                self._features[FeatureMap(wanted.encoder, stride, wanted.side)] = unit
        return self._features[wanted]

    def fused(self, maps: Sequence[FeatureMap]) -> Float[Tensor, "feature rows columns"]:
        """Concatenate feature maps on the grid of the first; of unit length at every position."""
        grid = self.features(maps[0]).shape[1:]
        return torch.cat([on_grid(self.features(each), grid) for each in maps]) / len(maps) ** 0.5

    def pixels(self, channels: int) -> Float[Tensor, "feature rows columns"]:
        """Features of single pixels at several scales, see `pixel_planes`.

        Args:
            channels: 1 or 3; a grey image is taken thrice, of colours the mean.
        """
        if channels not in self._pixels:
            image = self.resized(self.side)
            image = image.mean(0, keepdim=True) if channels == 1 else to_channels(image, channels)
            found = [_pixels(image, shrink, sigmas) for shrink, sigmas in PIXEL_SIGMAS.items()]
            self._pixels[channels] = torch.cat(found)
        return self._pixels[channels]


@dataclass(frozen=True, eq=False)
class Shot:
    """An annotated plane.

    Attributes:
        view: of the image.
        labels: 0 background, 1..way, 255 unknown, at the image's own size.
    """

    view: View
    labels: UInt8[Tensor, "height width"]

    def labels_at(self, shape: Sequence[int]) -> UInt8[np.ndarray, "rows columns"]:
        """Take the nearest label at each position of another grid; no label is lost."""
        return nearest_labels(self.labels.numpy(), tuple(shape))


def on_grid(
    found: Float[Tensor, "feature rows columns"], grid: Sequence[int]
) -> Float[Tensor, "feature more_rows more_columns"]:
    """Interpolate a map to another grid."""
    if found.shape[1:] == tuple(grid):
        return found
    return functional.interpolate(
        found[None], size=tuple(grid), mode="bilinear", align_corners=False
    )[0]


def _pixels(
    image: Float[Tensor, "channel rows columns"], shrink: int, sigmas: Sequence[float]
) -> Float[Tensor, "feature rows columns"]:
    """Features of single pixels of a shrunk image, on the grid of the whole one."""
    small = functional.avg_pool2d(image[None], shrink)[0].permute(1, 2, 0).numpy()
    return on_grid(torch.from_numpy(pixel_planes(small, sigmas)), image.shape[1:])


def rectangle(shape: Sequence[int], side: int) -> tuple[int, int]:
    """Height and width of an image at a longest side, as multiples of 32.

    >>> rectangle((1000, 480), 512)
    (512, 256)
    """
    scale = side / max(shape)
    height, width = (max(_LEAST, round(each * scale / _MULTIPLE) * _MULTIPLE) for each in shape)
    return height, width


@lru_cache(maxsize=2)
def backbone(name: str) -> Encoder:
    """Build an encoder with the weights that come with the package; built once."""
    settings = EncoderSettings(name, (8,) if name == XFEAT else (2, 4, 8, 16))
    return Encoder(settings).eval()
