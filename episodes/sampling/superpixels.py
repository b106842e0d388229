"""Superpixels: cutting an image into regions that look alike, the classes of self-supervision."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from skimage.segmentation import felzenszwalb, slic
from torch import Tensor

from episodes.errors import EpisodeError

Cut = Callable[[Tensor], np.ndarray]
"""Takes an image [channel height width] in [0, 1]; returns uint16 regions [height width]."""


@dataclass(frozen=True)
class Felzenszwalb:
    """Regions of any shape along the edges of the image, as SSL-ALPNet uses them.

    Paper: Felzenszwalb and Huttenlocher, Efficient graph-based image segmentation, IJCV 2004.

    Attributes:
        min_share: smallest region, as a share of the image; 0.006 is 400 pixels of 256².
        scale: higher joins more.
        sigma: smoothing beforehand, in pixels.
        dark: regions whose mean is not above this are surroundings.
    """

    min_share: float = 0.006
    scale: float = 1.0
    sigma: float = 1.0
    dark: float = 0.05

    def __call__(self, image: Tensor) -> np.ndarray:
        """Cut an image [channel height width] in [0, 1] into uint16 regions; see `number`."""
        pixels = image.mean(dim=0).numpy()
        least = max(1, round(self.min_share * pixels.size))
        regions = felzenszwalb(pixels, scale=self.scale, sigma=self.sigma, min_size=least)
        return number(regions, pixels, self.dark)


@dataclass(frozen=True)
class Slic:
    """Compact regions of about one size: k-means over place and intensity.

    Paper: Achanta et al., SLIC superpixels, TPAMI 2012.

    Attributes:
        count: about how many regions the whole image gets.
        compactness: weight of nearness against likeness; 0.1 suits images in [0, 1].
        sigma: smoothing beforehand, in pixels.
        dark: regions whose mean is not above this are surroundings.
    """

    count: int = 80
    compactness: float = 0.1
    sigma: float = 1.0
    dark: float = 0.05

    def __call__(self, image: Tensor) -> np.ndarray:
        """Cut an image [channel height width] in [0, 1] into uint16 regions; see `number`."""
        pixels = image.movedim(0, -1).numpy()
        regions = slic(
            pixels if pixels.shape[-1] == 3 else pixels.mean(axis=-1),
            n_segments=self.count,
            compactness=self.compactness,
            sigma=self.sigma,
            start_label=0,
            channel_axis=-1 if pixels.shape[-1] == 3 else None,
        )
        return number(regions, pixels.mean(axis=-1), self.dark)


def number(regions: np.ndarray, pixels: np.ndarray, dark: float) -> np.ndarray:
    """Leave out dark regions and number the others from 1 without gaps.

    Args:
        regions: whole numbers from 0, any shape; each number is a region, 0 like all others.
        pixels: the intensities, of the same shape.
        dark: regions whose mean is not above this become 0, the surroundings.

    Returns:
        uint16 regions 0..n: every number from 1 to n is there, and can be drawn.

    Raises:
        EpisodeError: more than 65,535 regions.

    Example:
        >>> number(np.array([0, 0, 7, 9]), np.array([0.5, 0.7, 0.0, 0.4]), dark=0.1)
        array([1, 1, 0, 2], dtype=uint16)
    """
    area = np.bincount(regions.ravel())
    keep = np.bincount(regions.ravel(), pixels.ravel()) > dark * area
    if keep.sum() > 65535:
        raise EpisodeError(f"{keep.sum():,} regions; expected at most 65,535. Ask for larger ones")
    return (np.cumsum(keep) * keep)[regions].astype(np.uint16)
