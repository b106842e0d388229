"""The channels that thresholds are tried on: luma, colours, saturation and value, smoothed."""

from collections.abc import Iterator, Sequence

import numpy as np
from scipy import ndimage

from fewshot.baselines.image_predictor import GREY

LEVELS = 1024
"""That intensities 0..1 are compared in."""
_NAMES = ("luma", "red", "green", "blue", "saturation", "value")


def channel_views(image: np.ndarray, sigmas: Sequence[float]) -> Iterator[np.ndarray]:
    """Give each channel at each sigma: [height width], 0 to 1.

    Args:
        image: float32 [height width channel], one channel or three, 0 to 1.
        sigmas: of Gaussian smoothing, in pixels; 0 is none.
    """
    channels = [image[..., 0]]
    if image.shape[2] == 3:
        value, low = image.max(axis=2), image.min(axis=2)
        saturation = (value - low) / np.maximum(value, 1e-6)
        channels = [image @ GREY, *np.moveaxis(image, 2, 0), saturation, value]
    for channel in channels:
        for sigma in sigmas:
            yield ndimage.gaussian_filter(channel, sigma) if sigma else channel


def view_name(number: int, sigmas: Sequence[float]) -> str:
    """Name a view of `channel_views` by its number.

    >>> view_name(3, (0.0, 2.0))
    'red, smoothed by 2 px'
    """
    channel, sigma = divmod(number, len(sigmas))
    smoothing = f", smoothed by {sigmas[sigma]:g} px" if sigmas[sigma] else ""
    return _NAMES[channel] + smoothing


def quantised(view: np.ndarray) -> np.ndarray:
    """Bring intensities 0..1 to whole levels 0..LEVELS - 1: int64 [height width]."""
    return np.clip(view * LEVELS, 0, LEVELS - 1).astype(np.int64)
