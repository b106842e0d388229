"""The intensities of interest become black to white, as radiologists set them."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from fewshot.inference.inputs import ImageStack
from fewshot.pipeline.preprocess.planes import with_intensities
from fewshot.pipeline.step import PreprocessStep
from fewshot.pipeline.values import POSITIVE
from fewshot.registry import register_step


@register_step("window")
@dataclass(frozen=True)
class Window(PreprocessStep):
    """Clip intensities to a window; such as level 40 and width 400 of soft tissue in CT.

    Attributes:
        level: middle of the window, in the image's own intensities.
        width: between black and white.
    """

    level: float
    width: Annotated[float, POSITIVE]

    def apply(self, picture: ImageStack) -> ImageStack:
        """Clip; see `PreprocessStep`."""
        low, high = self.level - self.width / 2, self.level + self.width / 2
        pixels = np.clip(picture.pixels.astype(np.float32), low, high)
        return with_intensities(picture, pixels, (low, high))
