"""Superpixels of an image, the classes of self-supervised episodes."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from skimage.segmentation import felzenszwalb, slic
from torch import Tensor

from episodes.errors import EpisodeError

RegionFn = Callable[[Tensor], np.ndarray]
"""Takes an image [channel height width] in [0, 1]; returns uint16 regions [height width]."""


@dataclass(frozen=True)
class Felzenszwalb:
    """Regions of any shape along the edges of the image, as SSL-ALPNet uses them.

    Paper: Felzenszwalb and Huttenlocher, Efficient graph-based image segmentation, IJCV 2004.

    Attributes:
        min_area_fraction: smallest region, as a fraction of the image; 0.006 is 400 pixels of 256².
        scale: larger values give larger regions.
        sigma: of the Gaussian smoothing beforehand, in pixels.
        background_intensity: regions whose mean is not above this are background.
    """

    min_area_fraction: float = 0.006
    scale: float = 1.0
    sigma: float = 1.0
    background_intensity: float = 0.05

    def __call__(self, image: Tensor) -> np.ndarray:
        """Segment an image [channel height width] in [0, 1] into uint16 regions."""
        pixels = image.mean(dim=0).numpy()
        min_size = max(1, round(self.min_area_fraction * pixels.size))
        regions = felzenszwalb(pixels, scale=self.scale, sigma=self.sigma, min_size=min_size)
        return number_regions(regions, pixels, self.background_intensity)


@dataclass(frozen=True)
class Slic:
    """Compact regions of about one size: k-means over position and intensity.

    Paper: Achanta et al., SLIC superpixels, TPAMI 2012.

    Attributes:
        n_segments: approximate number of regions in the whole image.
        compactness: weight of position against intensity; 0.1 suits images in [0, 1].
        sigma: of the Gaussian smoothing beforehand, in pixels.
        background_intensity: regions whose mean is not above this are background.
    """

    n_segments: int = 80
    compactness: float = 0.1
    sigma: float = 1.0
    background_intensity: float = 0.05

    def __call__(self, image: Tensor) -> np.ndarray:
        """Segment an image [channel height width] in [0, 1] into uint16 regions."""
        pixels = image.movedim(0, -1).numpy()
        regions = slic(
            pixels if pixels.shape[-1] == 3 else pixels.mean(axis=-1),
            n_segments=self.n_segments,
            compactness=self.compactness,
            sigma=self.sigma,
            start_label=0,
            channel_axis=-1 if pixels.shape[-1] == 3 else None,
        )
        return number_regions(regions, pixels.mean(axis=-1), self.background_intensity)


def number_regions(
    regions: np.ndarray, pixels: np.ndarray, background_intensity: float
) -> np.ndarray:
    """Set dark regions to 0 and number the others from 1 without gaps.

    Args:
        regions: whole numbers from 0, any shape; each number is a region, 0 like all others.
        pixels: the intensities, of the same shape.
        background_intensity: regions whose mean is not above this become 0, the background.

    Returns:
        uint16 regions 0..n: every number from 1 to n is there, and can be drawn.

    Raises:
        EpisodeError: more than 65,535 regions.

    Example:
        >>> number_regions(np.array([0, 0, 7, 9]), np.array([0.5, 0.7, 0.0, 0.4]), 0.1)
        array([1, 1, 0, 2], dtype=uint16)
    """
    area = np.bincount(regions.ravel())
    keep = np.bincount(regions.ravel(), pixels.ravel()) > background_intensity * area
    if keep.sum() > 65535:
        raise EpisodeError(
            f"{keep.sum():,} regions; expected at most 65,535. Raise the smallest region"
        )
    return (np.cumsum(keep) * keep)[regions].astype(np.uint16)
