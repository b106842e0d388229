"""The watershed of the gradient, from markers where the appearance is certain.

Paper: Beucher and Lantuéjoul, Use of watersheds in contour detection, 1979; markers by Meyer and
Beucher, Morphological segmentation, 1990.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fewshot.baselines.appearance import (
    Appearance,
    AppearancePredictor,
    AppearanceSettings,
    Seen,
    gradient_of,
    softened,
)
from fewshot.baselines.markers import markers_of
from fewshot.baselines.search import Values
from fewshot.inference.predictors.build import register_predictor
from fewshot.lazily import lazily

segmentation = lazily("skimage.segmentation")


@dataclass(frozen=True)
class WatershedSettings(AppearanceSettings):
    """What is tried.

    Attributes:
        sigmas: of the gradient, in pixels.
        certainties: probability by appearance from which a pixel is a marker.
        weights: of the classes against the background; above 1 more is found.
    """

    sigmas: tuple[float, ...] = (1.0, 2.0)
    certainties: tuple[float, ...] = (0.8, 0.95)
    weights: tuple[float, ...] = (1.0, 3.0)


@register_predictor("watershed")
class WatershedPredictor(AppearancePredictor):
    """Flood the gradient from certain pixels of each label (`skimage.segmentation.watershed`).

    It takes structures with an edge around them. Chosen on the annotated images are the sigma of
    the gradient, the certainty of markers and the weight of the classes.
    """

    Settings: ClassVar = WatershedSettings
    searched: ClassVar = ("sigmas", "certainties", "weights")

    def label(self, seen: Seen, learned: Appearance, values: Values) -> np.ndarray:
        """The label of the marker whose flood comes first."""
        posterior = seen.posterior(values["weights"])
        markers = markers_of(posterior, values["certainties"])
        gradient = gradient_of(seen.image, values["sigmas"])
        return softened(segmentation.watershed(gradient, markers) - 1, posterior)
