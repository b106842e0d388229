"""The contrast of an image is raised; intensities become 0..1."""

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np

from episodes.errors import DataError
from fewshot.inference.inputs import ImageStack
from fewshot.lazily import lazily
from fewshot.pipeline.preprocess.planes import UNIT, map_planes, scaled, with_intensities
from fewshot.pipeline.step import PreprocessStep
from fewshot.pipeline.values import Range
from fewshot.registry import register_step

exposure = lazily("skimage.exposure")


@register_step("contrast")
@dataclass(frozen=True)
class Contrast(PreprocessStep):
    """Raise the contrast of every plane.

    Attributes:
        method: contrast limited adaptive histogram equalisation of each plane (clahe), a power of
            the intensities (gamma), or the stretch between two percentiles of the whole image.
        clip: of clahe, how much the contrast may rise, 0 to 1.
        tiles: of clahe, how many regions lie along a side.
        gamma: of gamma, the power; below 1 dark areas become brighter.
        percentiles: of stretch, those that become black and white.

    Paper: Zuiderveld, Contrast limited adaptive histogram equalization, Graphics Gems IV, 1994.
    """

    method: Literal["clahe", "gamma", "stretch"] = "clahe"
    clip: Annotated[float, Range(0, 1)] = 0.01
    tiles: Annotated[int, Range(1, 64)] = 8
    gamma: Annotated[float, Range(0.01, 100)] = 0.7
    percentiles: Annotated[tuple[float, float], Range(0, 100)] = (1.0, 99.0)

    def apply(self, picture: ImageStack) -> ImageStack:
        """Change the contrast; see `PreprocessStep`."""
        if self.method == "stretch":
            return with_intensities(picture, self._stretched(picture.pixels), UNIT)
        pixels = scaled(picture)[0].clip(0, 1)
        if self.method == "gamma":
            return with_intensities(picture, exposure.adjust_gamma(pixels, self.gamma), UNIT)
        return with_intensities(picture, map_planes(pixels, self._equalised), UNIT)

    def _stretched(self, pixels: np.ndarray) -> np.ndarray:
        low, high = np.percentile(pixels, self.percentiles)
        values = pixels.astype(np.float32)
        if high <= low:
            return np.zeros_like(values)
        return exposure.rescale_intensity(values, in_range=(low, high), out_range=UNIT)

    def _equalised(self, plane: np.ndarray) -> np.ndarray:
        if plane.max() == plane.min():
            return plane
        sides = [max(1, side // self.tiles) for side in plane.shape[:2]]
        return exposure.equalize_adapthist(plane, sides, clip_limit=self.clip)

    def check(self) -> None:
        """Refuse percentiles that do not rise."""
        low, high = self.percentiles
        if low >= high:
            raise DataError(
                f"contrast: percentiles are {low:g} and {high:g}; expected the lower one first"
            )
