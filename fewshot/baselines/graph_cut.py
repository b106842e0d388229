"""The grid graph cut: costs by the appearance of the annotated labels, borders on edges.

Paper: Boykov and Jolly, Interactive graph cuts for optimal boundary and region segmentation,
ICCV 2001.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fewshot.baselines.appearance import (
    Appearance,
    AppearancePredictor,
    AppearanceSettings,
    Seen,
    one_against_rest,
    softened,
)
from fewshot.baselines.search import Values
from fewshot.inference.postprocessing.graph_cut import graph_cut
from fewshot.inference.predictors.build import register_predictor


@dataclass(frozen=True)
class GraphCutSettings(AppearanceSettings):
    """What is tried.

    Attributes:
        strengths: cost of a pixel of border where there is no edge.
        weights: of the classes against the background; above 1 more is found.
    """

    strengths: tuple[float, ...] = (1.0, 4.0, 12.0)
    weights: tuple[float, ...] = (1.0, 3.0)


@register_predictor("graph-cut")
class GraphCutPredictor(AppearancePredictor):
    """Find the labelling that looks right and has a short border on edges (PyMaxflow).

    Costs are negative log-probabilities by appearance; of several classes, each is cut against the
    rest. Chosen on the annotated images are the cost of the border and the weight of the classes.
    """

    Settings: ClassVar = GraphCutSettings
    searched: ClassVar = ("strengths", "weights")

    def label(self, seen: Seen, learned: Appearance, values: Values) -> np.ndarray:
        """Cut each class against the rest."""
        posterior = seen.posterior(values["weights"])
        return softened(cut_labels(seen.image, posterior, values["strengths"]), posterior)


def cut_labels(image: np.ndarray, posterior: np.ndarray, strength: float) -> np.ndarray:
    """Cut each class against the rest: labels [height width].

    Args:
        image: [height width channel].
        posterior: probabilities [label height width].
        strength: of the border, see `fewshot.inference.postprocessing.graph_cut`.
    """
    channels = np.moveaxis(image, 2, 0)
    masks: Sequence[np.ndarray] = [graph_cut(each, channels, strength) for each in posterior[1:]]
    return one_against_rest(masks, posterior)
