"""A statistical shape model: the mean of signed distance maps and their modes, fitted to an image.

Paper: Cootes et al., Active shape models, 1995; on signed distance maps by Leventon, Grimson and
Faugeras, Statistical shape influence in geodesic active contours, CVPR 2000.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fewshot.baselines.appearance import (
    Appearance,
    AppearancePredictor,
    AppearanceSettings,
    Seen,
    gradient_of,
    one_against_rest,
    softened,
)
from fewshot.baselines.search import Values
from fewshot.baselines.searched_predictor import Annotated
from fewshot.baselines.shapes import Shape, fit_shape, learn_shape
from fewshot.inference.predictors.build import register_predictor

_CLIP = 3.0  # log odds of a pixel, so that a few do not rule
_SIGMA = 1.5  # of the gradient, in pixels


@dataclass(frozen=True)
class ShapeModelSettings(AppearanceSettings):
    """What is tried.

    Attributes:
        max_side: larger images are scaled down to this side, in pixels.
        edges: weight of the gradient along the contour beside the appearance within it.
        modes: of variation, at most; of n annotated images there are n - 1.
    """

    max_side: int = 160
    edges: tuple[float, ...] = (0.5, 0.0, 2.0)
    modes: tuple[int, ...] = (3, 0)


@dataclass(frozen=True, eq=False)
class ShapeAppearance(Appearance):
    """Appearance, and the shape of each class."""

    shapes: tuple[Shape, ...]


@register_predictor("shape-model")
class ShapeModelPredictor(AppearancePredictor):
    """Lay a learned shape where the image looks like it (`sklearn.decomposition.PCA`).

    Masks are moved and scaled to one circle; of their signed distance maps
    (`scipy.ndimage.distance_transform_edt`) mean and modes are kept. Place, scale and turn are
    sought over the whole image by correlation, then refined with the modes (`scipy.optimize`). All
    of a class in an image is one shape: it takes one structure an image, of a shape that varies
    little. Weight of edges and modes are chosen with each annotated image left out in turn.
    """

    Settings: ClassVar = ShapeModelSettings
    searched: ClassVar = ("edges", "modes")
    memorises: ClassVar = True

    def learn_from(self, images: Sequence[Annotated], ways: int) -> ShapeAppearance:
        """Fit the appearance, and the shape of each class."""
        seen = super().learn_from(images, ways)
        shapes = tuple(
            learn_shape([labels == way for _, labels in images], max(self.settings.modes))
            for way in range(1, ways + 1)
        )
        return ShapeAppearance(seen.mixtures, seen.shares, shapes)

    def label(self, seen: Seen, learned: Appearance, values: Values) -> np.ndarray:
        """Lay the shape of each class."""
        assert isinstance(learned, ShapeAppearance)
        posterior = seen.posterior()
        gradient = gradient_of(seen.image, _SIGMA)
        gradient /= max(float(gradient.max()), 1e-6)
        # Likelihoods alone: how large the class is, the shape itself knows.
        likely = seen.logs - np.log(np.maximum(learned.shares, 1e-9))[:, None, None]
        masks: list[Any] = []
        for way, shape in enumerate(learned.shapes, 1):
            rest = np.delete(likely, way, axis=0).max(axis=0)
            odds = np.clip(likely[way] - rest, -_CLIP, _CLIP)
            masks.append(fit_shape(shape, odds, gradient, values["edges"], values["modes"]))
        return softened(one_against_rest(masks, posterior), posterior)
