"""Copy-mask as a predictor: the majority of the annotated masks, scaled to the query."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fewshot.baselines.copy_mask import paste
from fewshot.baselines.image_predictor import Fitted, ImagePredictor
from fewshot.inference.inputs import ImageStack
from fewshot.inference.predictors.build import register_predictor
from fewshot.inference.predictors.feature_predictor import AnnotatedSlices


@dataclass(frozen=True)
class CopyMaskSettings:
    """Nothing can be chosen."""


@register_predictor("copy-mask")
class CopyMaskPredictor(ImagePredictor[tuple[np.ndarray, ...]]):
    """Give each pixel the class that most annotated masks show there, as `copy_mask` does.

    A class that half of the masks or fewer show at a pixel is background there, so one that is
    marked in a single image of several is never pasted. Unknown pixels count as not marked.
    """

    Settings: ClassVar = CopyMaskSettings

    def fit(self, annotated: AnnotatedSlices, colour: bool) -> tuple[np.ndarray, ...]:
        """Keep the masks."""
        return tuple(annotated.shots.maps[number][plane] for number, plane in annotated.planes)

    def probabilities(
        self, picture: ImageStack, plane: int, support: Fitted[tuple[np.ndarray, ...]]
    ) -> np.ndarray:
        """Share of the masks that show each class; without a majority background is the first."""
        height, width = picture.pixels.shape[1:3]
        pasted = [paste(mask, (height, width)) for mask in support.model]
        shares = np.zeros((len(support.names) + 1, height, width), np.float32)
        for way in range(1, len(shares)):
            shares[way] = np.mean([mask == way for mask in pasted], axis=0)
        most = shares[1:].max(axis=0)
        shares[0] = 1 - shares[1:].sum(axis=0)
        shares[0] = np.where(most > 0.5, shares[0], np.maximum(shares[0], most))
        return shares / shares.sum(axis=0)
