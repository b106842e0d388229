"""Graph-based regions, each with the label that its pixels look like.

Paper: Felzenszwalb and Huttenlocher, Efficient graph-based image segmentation, IJCV 2004.
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
)
from fewshot.baselines.search import Values
from fewshot.inference.predictors.build import register_predictor
from fewshot.lazily import lazily

segmentation = lazily("skimage.segmentation")

_EVIDENCE = 0.1  # of a pixel beside its neighbours, which it is much like


@dataclass(frozen=True)
class FelzenszwalbSettings(AppearanceSettings):
    """What is tried.

    Attributes:
        max_side: larger images are scaled down to this side, in pixels.
        scales: of the regions; larger ones give larger regions.
        weights: of the classes against the background; above 1 more is found.
    """

    max_side: int = 320
    scales: tuple[float, ...] = (20.0, 60.0, 200.0)
    weights: tuple[float, ...] = (1.0, 3.0)


@register_predictor("felzenszwalb")
class FelzenszwalbPredictor(AppearancePredictor):
    """Classify the regions of a graph of pixels (`skimage.segmentation.felzenszwalb`).

    A region's label is that with the highest mean log-likelihood of its pixels. Chosen on the
    annotated images are the scale of the regions and the weight of the classes.
    """

    Settings: ClassVar = FelzenszwalbSettings
    searched: ClassVar = ("scales", "weights")

    def label(self, seen: Seen, learned: Appearance, values: Values) -> np.ndarray:
        """Probabilities of each pixel's region."""
        regions = segmentation.felzenszwalb(
            seen.image, scale=values["scales"], sigma=0.8, min_size=20, channel_axis=-1
        )
        numbers = np.arange(regions.max() + 1)
        sizes = np.bincount(regions.ravel())
        sums = np.stack([ndimage.sum_labels(logs, regions, numbers) for logs in seen.logs])
        means = sums / sizes * np.maximum(1, _EVIDENCE * np.sqrt(sizes))
        means = means.astype(np.float32)
        return Seen(seen.image, means[:, regions]).posterior(values["weights"])
