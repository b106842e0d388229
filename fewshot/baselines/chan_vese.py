"""Active contours without edges, as a morphological snake.

Paper: Chan and Vese, Active contours without edges, 2001; Márquez-Neila, Baumela and Alvarez, A
morphological approach to curvature-based evolution of curves and surfaces, TPAMI 2014.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from episodes.errors import DataError
from fewshot.baselines.appearance import (
    Appearance,
    AppearancePredictor,
    AppearanceSettings,
    Seen,
    one_against_rest,
    softened,
)
from fewshot.baselines.search import Values
from fewshot.inference.predictors.build import register_predictor
from fewshot.lazily import lazily

segmentation = lazily("skimage.segmentation")

_CERTAIN = 4.0  # log odds at which the evolved image ends, so that a few pixels do not rule


@dataclass(frozen=True)
class ChanVeseSettings(AppearanceSettings):
    """What is tried.

    Attributes:
        max_side: larger images are scaled down to this side, in pixels.
        smoothings: of the contour in each step.
        steps: of the evolution, even numbers: the library alternates two operators, and goes on
            with it from call to call, so that an odd number would change the next answer.
        weights: of the classes against the background; above 1 more is found.
    """

    max_side: int = 256
    smoothings: tuple[int, ...] = (1, 3)
    steps: tuple[int, ...] = (10, 30)
    weights: tuple[float, ...] = (1.0, 3.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if any(steps < 2 or steps % 2 for steps in self.steps):
            raise DataError(f"steps are {self.steps}; expected even numbers from 2")


@register_predictor("chan-vese")
class ChanVesePredictor(AppearancePredictor):
    """Evolve a contour that parts two regions of even likelihood.

    `skimage.segmentation.morphological_chan_vese` on the log odds of the class by appearance, from
    the contour where they are 0; of several classes, each against the rest. It takes smooth, large
    structures. Chosen on the annotated images are the smoothing, the number of steps and the weight
    of the classes.
    """

    Settings: ClassVar = ChanVeseSettings
    searched: ClassVar = ("smoothings", "steps", "weights")

    def label(self, seen: Seen, learned: Appearance, values: Values) -> np.ndarray:
        """Evolve the contour of each class."""
        posterior = seen.posterior(values["weights"])
        masks = []
        for each in posterior[1:]:
            start = each > 0.5
            if not start.any() or start.all():
                masks.append(start)
                continue
            likely = each.astype(np.float64).clip(1e-6, 1 - 1e-6)
            odds = np.log(likely / (1 - likely)).clip(-_CERTAIN, _CERTAIN)
            found = segmentation.morphological_chan_vese(
                *(odds, values["steps"]),
                init_level_set=start,
                smoothing=values["smoothings"],
            )
            masks.append(found > 0)
        return softened(one_against_rest(masks, posterior), posterior)
