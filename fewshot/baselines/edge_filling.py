"""Edge detection with filling: closed edges become regions, which the appearance classifies.

Paper: Canny, A computational approach to edge detection, 1986.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy import ndimage

from fewshot.baselines.appearance import (
    Appearance,
    AppearancePredictor,
    AppearanceSettings,
    Seen,
    luma_of,
    softened,
)
from fewshot.baselines.search import Values
from fewshot.inference.predictors.build import register_predictor
from fewshot.lazily import lazily

feature = lazily("skimage.feature")
morphology = lazily("skimage.morphology")

_LOW = 1.5  # times as many pixels lie above the lower threshold of edges as above the upper one


@dataclass(frozen=True)
class EdgeFillingSettings(AppearanceSettings):
    """What is tried.

    Attributes:
        sigmas: of the edges, in pixels.
        quantiles: share of pixels whose gradient lies below the upper threshold of edges.
        closings: radius by which gaps of edges are closed, in pixels.
    """

    sigmas: tuple[float, ...] = (1.0, 2.0, 4.0)
    quantiles: tuple[float, ...] = (0.8, 0.9, 0.96)
    closings: tuple[int, ...] = (1, 4)


@register_predictor("edge-filling")
class EdgeFillingPredictor(AppearancePredictor):
    """Close the edges of an image and fill what they enclose (`skimage.feature.canny`).

    Edges are closed and filled (`scipy.ndimage.binary_fill_holes`), what is only line is opened
    away, and each region that is left has the label that its pixels look like most. It takes
    structures with closed, sharp edges. Chosen on the annotated images are sigma and threshold of
    the edges, and the closing.
    """

    Settings: ClassVar = EdgeFillingSettings
    searched: ClassVar = ("sigmas", "quantiles", "closings")

    def label(self, seen: Seen, learned: Appearance, values: Values) -> np.ndarray:
        """Give each filled region its most probable label; all else is background."""
        filled = fill_edges(
            luma_of(seen.image), values["sigmas"], values["quantiles"], values["closings"]
        )
        regions, count = ndimage.label(filled)
        found = np.zeros(filled.shape, np.int64)
        if count:
            numbers = np.arange(1, count + 1)
            means = np.stack([ndimage.mean(logs, regions, numbers) for logs in seen.logs])
            found = np.concatenate([[0], means.argmax(axis=0)])[regions]
        return softened(found, seen.posterior())


def fill_edges(image: np.ndarray, sigma: float, quantile: float, radius: int) -> np.ndarray:
    """Fill what the edges of a grey image enclose: bool [height width].

    Args:
        image: [height width].
        sigma: of the edges, in pixels.
        quantile: share of pixels whose gradient lies below the upper threshold.
        radius: of the closing of gaps, in pixels.
    """
    low = 1 - _LOW * (1 - quantile)
    edges = feature.canny(image, sigma, low, quantile, use_quantiles=True, mode="nearest")
    disc = morphology.disk(radius)
    padded = np.pad(edges, radius + 1)
    closed = ndimage.binary_closing(padded, disc)
    filled = ndimage.binary_fill_holes(closed)
    opened = ndimage.binary_opening(filled, disc)
    return opened[radius + 1 : -radius - 1, radius + 1 : -radius - 1]
