"""From pixels of any size and type to square tensors of one size, and back."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

from episodes.errors import DataError
from episodes.io.pixels import IGNORE


def intensity_range(pixels: np.ndarray) -> tuple[float, float]:
    """Find the intensities that become 0 and 1: the 0.5 and 99.5 percentiles.

    One rule for 8-bit photographs, 16-bit microscopy and MR in arbitrary units. A picture whose
    percentiles coincide (a few bright spots on black) keeps its full range.

    Args:
        pixels: an image, or a whole volume, whose slices then share one scale.
    """
    step = max(1, pixels.size // 1_000_000)
    while math.gcd(step, pixels.size) > 1:  # else it would visit some channels or columns alone
        step += 1
    low, high = np.percentile(pixels.reshape(-1)[::step].astype(np.float32), (0.5, 99.5))
    if high <= low:
        low, high = float(pixels.min()), float(pixels.max())
    return float(low), float(high)


def to_tensor(pixels: np.ndarray, limits: tuple[float, float] | None = None) -> Tensor:
    """Scale pixels to [0, 1] and put the channels first.

    Args:
        pixels: [height width] or [height width 3], any number type.
        limits: from `intensity_range`; by default that of these pixels.

    Returns:
        float32 [channel height width], channel 1 or 3.
    """
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] != 3):
        raise DataError(
            f"an image has shape {pixels.shape}; expected (height, width) or (height, width, 3)"
        )
    if 0 in pixels.shape:
        raise DataError(f"an image has shape {pixels.shape}; expected at least one pixel")
    low, high = limits or intensity_range(pixels)
    scaled = np.subtract(pixels, low, dtype=np.float32) / max(high - low, 1e-12)
    tensor = torch.from_numpy(np.clip(scaled, 0, 1))
    return tensor[None] if tensor.ndim == 2 else tensor.movedim(2, 0).contiguous()


@dataclass(frozen=True)
class Letterbox:
    """How an image of any size sits in a square: scaled to fit, centred, padded.

    Attributes:
        height, width: the image's own size, in pixels.
        size: side of the square, in pixels.
    """

    height: int
    width: int
    size: int

    @property
    def inner(self) -> tuple[int, int]:
        """Height and width of the scaled image in the square."""
        scale = self.size / max(self.height, self.width)
        return max(1, round(self.height * scale)), max(1, round(self.width * scale))

    @property
    def padding(self) -> tuple[int, int, int, int]:
        """Padding (left, right, top, bottom) around the scaled image."""
        high, wide = self.inner
        top, left = (self.size - high) // 2, (self.size - wide) // 2
        return left, self.size - wide - left, top, self.size - high - top

    def fit_image(
        self, image: Float[Tensor, "channel height width"]
    ) -> Float[Tensor, "channel size size"]:
        """Scale with antialiasing and pad with black."""
        if (self.height, self.width) == (self.size, self.size):
            return image
        inner = functional.interpolate(
            image[None], size=self.inner, mode="bilinear", antialias=True, align_corners=False
        )[0]
        return functional.pad(inner.clamp(0, 1), self.padding)

    def fit_labels(self, labels: UInt8[Tensor, "height width"]) -> UInt8[Tensor, "size size"]:
        """Take the nearest label, so that no new value arises, and pad with 255."""
        if (self.height, self.width) == (self.size, self.size):
            return labels
        inner = functional.interpolate(labels[None, None], size=self.inner, mode="nearest-exact")
        return functional.pad(inner[0, 0], self.padding, value=IGNORE)

    def restore(
        self, logits: Float[Tensor, "channel rows columns"]
    ) -> Float[Tensor, "channel height width"]:
        """Bring a map over the square, at any resolution, back to the image's own pixels."""
        high, wide = self.inner
        left, _, top, _ = self.padding
        square = functional.interpolate(
            logits[None], size=(self.size, self.size), mode="bilinear", align_corners=False
        )[..., top : top + high, left : left + wide]
        if (high, wide) == (self.height, self.width):
            return square[0]
        return functional.interpolate(
            square,
            size=(self.height, self.width),
            mode="bilinear",
            align_corners=False,
            antialias=self.size > max(self.height, self.width),
        )[0]
