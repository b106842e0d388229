"""Colour models of the image itself, alternated with the graph cut.

Paper: Rother, Kolmogorov and Blake, GrabCut, SIGGRAPH 2004. There a person's rectangle begins; here
the appearance of the annotated labels does.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fewshot.baselines.appearance import (
    Appearance,
    AppearancePredictor,
    AppearanceSettings,
    Seen,
    fit_appearance,
    log_likelihoods,
    softened,
)
from fewshot.baselines.graph_cut import cut_labels
from fewshot.baselines.search import Values
from fewshot.inference.predictors.build import register_predictor


@dataclass(frozen=True)
class GrabcutSettings(AppearanceSettings):
    """What is tried.

    Attributes:
        components: of the Gaussian mixture of each label.
        pixels: that mixtures are fitted to.
        max_side: larger images are scaled down to this side, in pixels.
        strengths: cost of a pixel of border where there is no edge.
        rounds: how often the models are fitted to the image's own labelling.
    """

    components: int = 5
    pixels: int = 6_000
    max_side: int = 384
    strengths: tuple[float, ...] = (1.0, 4.0, 12.0)
    rounds: tuple[int, ...] = (1, 3)


@register_predictor("grabcut")
class GrabcutPredictor(AppearancePredictor):
    """Alternate Gaussian mixtures of the image's own labels with graph cuts.

    `sklearn.mixture.GaussianMixture` and PyMaxflow. It follows colours that differ from the
    annotated ones, as long as the first labelling is mostly right. Chosen on the annotated images
    are the cost of the border and the number of rounds.
    """

    Settings: ClassVar = GrabcutSettings
    searched: ClassVar = ("strengths", "rounds")

    def label(self, seen: Seen, learned: Appearance, values: Values) -> np.ndarray:
        """Cut, fit, and cut again; a label that is lost has no model and does not come back."""
        found = cut_labels(seen.image, seen.posterior(), values["strengths"])
        own = seen
        for _ in range(values["rounds"]):
            pair = (seen.image, found.astype(np.uint8))
            if len(np.unique(found)) < 2:
                break
            fitted = fit_appearance([pair], len(seen.logs) - 1, self.settings)
            own = Seen(seen.image, log_likelihoods(seen.image, fitted))
            found = cut_labels(seen.image, own.posterior(), values["strengths"])
        return softened(found, own.posterior())
