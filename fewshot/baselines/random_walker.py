"""The random walker, from markers where the appearance is certain.

Paper: Grady, Random walks for image segmentation, TPAMI 2006.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fewshot.baselines.appearance import (
    Appearance,
    AppearancePredictor,
    AppearanceSettings,
    Seen,
)
from fewshot.baselines.markers import markers_of
from fewshot.baselines.search import Values
from fewshot.inference.predictors.build import register_predictor
from fewshot.lazily import lazily

segmentation = lazily("skimage.segmentation")

_ACCURACY = 1e-4  # of the solver
_BEYOND = 0.5  # of probabilities beyond 0 and 1 by its errors, which are clipped, without a warning


@dataclass(frozen=True)
class RandomWalkerSettings(AppearanceSettings):
    """What is tried.

    Attributes:
        max_side: larger images are scaled down to this side, in pixels; at 512 one takes seconds.
        betas: how much an edge holds the walker up.
        certainties: probability by appearance from which a pixel is a marker.
    """

    max_side: int = 256
    betas: tuple[float, ...] = (100.0, 1000.0)
    certainties: tuple[float, ...] = (0.8, 0.95, 0.99)


@register_predictor("random-walker")
class RandomWalkerPredictor(AppearancePredictor):
    """Let each pixel have the label whose markers a walker reaches first.

    `skimage.segmentation.random_walker`, solved by conjugate gradients. Chosen on the annotated
    images are the weight of edges and the certainty of markers.
    """

    Settings: ClassVar = RandomWalkerSettings
    searched: ClassVar = ("betas", "certainties")

    def label(self, seen: Seen, learned: Appearance, values: Values) -> np.ndarray:
        """Probabilities of reaching the markers of each label first."""
        posterior = seen.posterior()
        markers = markers_of(posterior, values["certainties"])
        present = np.unique(markers[markers > 0])
        found = np.zeros_like(posterior)
        if len(present) == 1 or (markers > 0).all():
            return posterior
        reached = segmentation.random_walker(
            *(seen.image, np.searchsorted(present, markers, side="right")),
            beta=values["betas"],
            mode="cg_j",
            return_full_prob=True,
            channel_axis=-1,
            tol=_ACCURACY,
            prob_tol=_BEYOND,
        )
        found[present - 1] = np.clip(reached, 0, 1)
        return found / np.maximum(found.sum(axis=0), 1e-6)
