"""Images are brought to one scale of intensities."""

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np

from episodes.errors import DataError
from fewshot.inference.inputs import ImageStack
from fewshot.pipeline.preprocess.planes import UNIT, with_intensities
from fewshot.pipeline.step import PreprocessStep
from fewshot.pipeline.values import Range
from fewshot.registry import register_step

_DEVIATIONS = 3.0


@register_step("normalise")
@dataclass(frozen=True)
class Normalise(PreprocessStep):
    """Scale the intensities of each image, stack or volume as a whole.

    Attributes:
        method: z-score subtracts the mean and divides by the standard deviation, and -3 to 3 become
            black to white; percentile brings two percentiles to 0 and 1 and clips; range brings the
            smallest and the largest intensity to 0 and 1.
        percentiles: of percentile.
    """

    method: Literal["z-score", "percentile", "range"] = "z-score"
    percentiles: Annotated[tuple[float, float], Range(0, 100)] = (1.0, 99.0)

    def apply(self, picture: ImageStack) -> ImageStack:
        """Scale; see `PreprocessStep`. An even image becomes 0."""
        pixels = picture.pixels.astype(np.float32)
        if self.method == "z-score":
            spread = float(pixels.std(dtype=np.float64))
            scores = (pixels - np.float32(pixels.mean(dtype=np.float64))) / max(spread, 1e-12)
            return with_intensities(picture, scores, (-_DEVIATIONS, _DEVIATIONS))
        ends = self.percentiles if self.method == "percentile" else (0.0, 100.0)
        low, high = np.percentile(pixels, ends)
        if high <= low:
            return with_intensities(picture, np.zeros_like(pixels), UNIT)
        shares = ((pixels - low) / (high - low)).clip(0, 1).astype(np.float32)
        return with_intensities(picture, shares, UNIT)

    def check(self) -> None:
        """Refuse percentiles that do not rise."""
        low, high = self.percentiles
        if low >= high:
            raise DataError(
                f"normalise: percentiles are {low:g} and {high:g}; expected the lower one first"
            )
