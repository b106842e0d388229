"""Geodesic active contours, as a morphological snake that stops at edges.

Paper: Caselles, Kimmel and Sapiro, Geodesic active contours, IJCV 1997; Márquez-Neila, Baumela and
Alvarez, A morphological approach to curvature-based evolution of curves and surfaces, TPAMI 2014.
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
    one_against_rest,
    softened,
)
from fewshot.baselines.search import Values
from fewshot.inference.predictors.build import register_predictor
from fewshot.lazily import lazily

segmentation = lazily("skimage.segmentation")

_STEPS = 24  # even: the library alternates two operators, and goes on with it from call to call
_SMOOTHING = 2.0  # of the probabilities whose contour begins, in pixels
_GRADIENT = 2.0  # sigma of the gradient, in pixels


@dataclass(frozen=True)
class GeodesicContourSettings(AppearanceSettings):
    """What is tried.

    Attributes:
        max_side: larger images are scaled down to this side, in pixels.
        balloons: whether the contour shrinks (-1), grows (1) or neither where there is no edge.
        alphas: how steeply an edge stops it.
        weights: of the classes against the background; above 1 the contour begins larger.
    """

    max_side: int = 256
    balloons: tuple[int, ...] = (0, -1, 1)
    alphas: tuple[float, ...] = (100.0, 500.0)
    weights: tuple[float, ...] = (1.0, 3.0)


@register_predictor("geodesic-contour")
class GeodesicContourPredictor(AppearancePredictor):
    """Move a contour to the edges near it.

    `skimage.segmentation.morphological_geodesic_active_contour`, from the contour of the class by
    appearance; of several classes, each against the rest. It takes structures with an edge around
    them, near what looks like the class. Chosen on the annotated images are balloon force, weight
    of edges and weight of the classes.
    """

    Settings: ClassVar = GeodesicContourSettings
    searched: ClassVar = ("balloons", "alphas", "weights")

    def label(self, seen: Seen, learned: Appearance, values: Values) -> np.ndarray:
        """Move the contour of each class."""
        posterior = seen.posterior(values["weights"])
        edges = segmentation.inverse_gaussian_gradient(
            luma_of(seen.image).astype(np.float64), values["alphas"], _GRADIENT
        )
        masks = []
        for each in posterior[1:]:
            start = ndimage.gaussian_filter(each, _SMOOTHING) > 0.5
            if not start.any() or start.all():
                masks.append(start)
                continue
            found = segmentation.morphological_geodesic_active_contour(
                *(edges, _STEPS), init_level_set=start, balloon=values["balloons"]
            )
            masks.append(found > 0)
        return softened(one_against_rest(masks, posterior), posterior)
