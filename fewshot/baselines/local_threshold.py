"""Local thresholding: a pixel is compared with the mean of its own surroundings.

Paper: Niblack, An introduction to digital image processing, 1986, and Bradley and Roth, Adaptive
thresholding using the integral image, 2007; here the surroundings are weighted by a Gaussian.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fewshot.baselines.bands import BANDS, BandPredictor, BandSettings
from fewshot.inference.predictors.build import register_predictor
from fewshot.lazily import lazily

filters = lazily("skimage.filters")

_REACH = 0.5  # largest difference of intensities 0..1 that is told apart


@dataclass(frozen=True)
class LocalThresholdSettings(BandSettings):
    """What is tried.

    Attributes:
        blocks: sides of the surroundings, in pixels; odd.
    """

    blocks: tuple[int, ...] = (15, 51, 151)


@register_predictor("local-threshold")
class LocalThresholdPredictor(BandPredictor):
    """Threshold the difference to the local mean (`skimage.filters.threshold_local`).

    It follows uneven light, which a global threshold does not; even areas larger than the block are
    lost. Chosen on the annotated images are channel, smoothing, block and range of the difference.
    """

    Settings: ClassVar = LocalThresholdSettings

    def settings_tried(self) -> Iterator[Mapping[str, Any]]:
        """Give the blocks."""
        return ({"block": block} for block in self.settings.blocks)

    def bands(self, view: np.ndarray, values: Mapping[str, Any]) -> np.ndarray:
        """Cut the difference to the local mean into equal steps."""
        difference = view - filters.threshold_local(view, values["block"], method="gaussian")
        steps = (difference + _REACH) * (BANDS / (2 * _REACH))
        return np.clip(steps, 0, BANDS - 1).astype(np.int64)
