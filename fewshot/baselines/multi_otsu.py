"""Multi-level thresholding: several thresholds an image, each as Otsu's.

Paper: Liao, Chen and Chung, A fast algorithm for multilevel thresholding, 2001.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fewshot.baselines.bands import BandPredictor, BandSettings
from fewshot.inference.predictors.build import register_predictor
from fewshot.lazily import lazily

filters = lazily("skimage.filters")

_BINS = 64  # of the histogram; with 256, five bands would take seconds


@dataclass(frozen=True)
class MultiOtsuSettings(BandSettings):
    """What is tried.

    Attributes:
        counts: of bands, 2 to 5.
    """

    counts: tuple[int, ...] = (2, 3, 4, 5)


@register_predictor("multi-otsu")
class MultiOtsuPredictor(BandPredictor):
    """Cut each image into bands of least variance (`skimage.filters.threshold_multiotsu`).

    The thresholds are those of each image, and a class keeps the numbers of its bands, so that
    another brightness or contrast of the whole image changes nothing. Chosen on the annotated
    images are channel, smoothing, number of bands and those of the class.
    """

    Settings: ClassVar = MultiOtsuSettings

    def settings_tried(self) -> Iterator[Mapping[str, Any]]:
        """Give the numbers of bands."""
        return ({"bands of the image": count} for count in self.settings.counts)

    def bands(self, view: np.ndarray, values: Mapping[str, Any]) -> np.ndarray:
        """Cut at the image's own thresholds; an image of fewer intensities has fewer bands."""
        count = values["bands of the image"]
        counts, edges = np.histogram(view, _BINS, (0.0, 1.0))
        count = min(count, int(np.count_nonzero(counts)))
        if count < 2:
            return np.zeros(view.shape, np.int64)
        centres = (edges[:-1] + edges[1:]) / 2
        cuts = filters.threshold_multiotsu(classes=count, hist=(counts, centres))
        return np.digitize(view, cuts + 0.5 / _BINS)
