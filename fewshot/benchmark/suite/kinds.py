"""Kinds of microscope picture, told apart by colour and brightness."""

import numpy as np

from episodes.catalog.catalog import Sample
from episodes.io.read import planes_of

COLOUR = 10.0
"""Least difference between the highest and lowest channel, in 8-bit levels, mean over pixels."""
BRIGHT = 100.0
"""Least median of the mean of channels, in 8-bit levels, of a bright background."""
KINDS = ("stained", "bright-field", "fluorescence")


def kind_of(pixels: np.ndarray) -> str:
    """Tell the kind of an 8-bit picture [height width] or [height width 3].

    "stained" has colour; of the rest, "bright-field" has a bright background and "fluorescence" a
    dark one.

    >>> kind_of(np.full((2, 2, 3), (200, 150, 180), np.uint8))
    'stained'
    >>> kind_of(np.full((2, 2), 20, np.uint8))
    'fluorescence'
    """
    values = pixels.astype(np.float32)
    channels = values if values.ndim == 3 else values[..., None]
    if (channels.max(axis=2) - channels.min(axis=2)).mean() > COLOUR:
        return "stained"
    return "bright-field" if np.median(channels.mean(axis=2)) >= BRIGHT else "fluorescence"


def kind_of_sample(sample: Sample) -> str:
    """Read a picture and tell its kind."""
    return kind_of(planes_of(sample.image.source)[sample.image.plane or 0])
