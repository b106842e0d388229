"""The largest connected parts of each class stay."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np

from fewshot.pipeline.postprocess.labels import components, with_labels
from fewshot.pipeline.step import PostprocessStep
from fewshot.pipeline.values import Range
from fewshot.registry import register_step

if TYPE_CHECKING:
    from fewshot.inference.result import Segmentation


@register_step("largest-parts")
@dataclass(frozen=True)
class LargestParts(PostprocessStep):
    """Keep the largest connected parts of each class, and drop the others.

    Attributes:
        count: how many parts of a class stay, also parts as large as the last of them.
        share: parts smaller than this share of the class's area are dropped in any case, 0 to 1.
    """

    count: Annotated[int, Range(1, 10**6)] = 1
    share: Annotated[float, Range(0, 1)] = 0.0

    def apply(self, result: "Segmentation") -> "Segmentation":
        """Drop small parts; see `PostprocessStep`."""
        return with_labels(result, components.keep_components(result.labels, self._stay))

    def _stay(self, areas: np.ndarray) -> np.ndarray:
        last = np.sort(areas)[::-1][: self.count].min(initial=areas.sum())
        return (areas >= last) & (areas >= self.share * areas.sum())
