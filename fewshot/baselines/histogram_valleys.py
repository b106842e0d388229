"""Thresholding at the valleys of the histogram.

Paper: Prewitt and Mendelsohn, The analysis of cell images, 1966, who smooth the histogram until it
has two maxima and cut between them; here it is cut at every valley that is left.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy import ndimage

from fewshot.baselines.bands import BANDS, BandPredictor, BandSettings
from fewshot.inference.predictors.build import register_predictor
from fewshot.lazily import lazily

signal = lazily("scipy.signal")


@dataclass(frozen=True)
class HistogramValleysSettings(BandSettings):
    """What is tried.

    Attributes:
        widths: standard deviations of the smoothing of the histogram, in 256ths of the range.
    """

    widths: tuple[float, ...] = (2.0, 5.0, 10.0)


@register_predictor("histogram-valleys")
class HistogramValleysPredictor(BandPredictor):
    """Cut each image at the valleys of its smoothed histogram (`scipy.signal.find_peaks`).

    The pixels between two valleys get their mean intensity, and a class is a range of such means.
    It takes a histogram with several maxima. Chosen on the annotated images are channel, smoothing
    of the image and of the histogram, and the range.
    """

    Settings: ClassVar = HistogramValleysSettings

    def settings_tried(self) -> Iterator[Mapping[str, Any]]:
        """Give the widths."""
        return ({"smoothing of the histogram": width} for width in self.settings.widths)

    def bands(self, view: np.ndarray, values: Mapping[str, Any]) -> np.ndarray:
        """Give each pixel the mean intensity between its two valleys, in steps."""
        counts, edges = np.histogram(view, 256, (0.0, 1.0))
        smooth = ndimage.gaussian_filter1d(
            counts.astype(np.float64), values["smoothing of the histogram"], mode="constant"
        )
        valleys, _ = signal.find_peaks(-smooth)
        part = np.digitize(view, edges[valleys + 1])
        flat = part.ravel()
        sums = np.bincount(flat, view.ravel().astype(np.float64), len(valleys) + 1)
        means = sums / np.maximum(np.bincount(flat, minlength=len(valleys) + 1), 1)
        return np.clip(means * BANDS, 0, BANDS - 1).astype(np.int64)[part]
