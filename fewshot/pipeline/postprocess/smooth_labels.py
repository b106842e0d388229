"""The outlines of objects are smoothed, plane by plane."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np

from fewshot.lazily import lazily
from fewshot.pipeline.postprocess.labels import with_labels
from fewshot.pipeline.step import PostprocessStep
from fewshot.pipeline.values import Range
from fewshot.registry import register_step

if TYPE_CHECKING:
    from fewshot.inference.result import Segmentation

morphology = lazily("skimage.morphology")
rank = lazily("skimage.filters.rank")


@register_step("smooth-labels")
@dataclass(frozen=True)
class SmoothLabels(PostprocessStep):
    """Smooth the outlines of objects in every plane.

    Attributes:
        method: majority gives a pixel the most frequent label of its neighbourhood, the median of
            a single class; opening takes away what is narrower than the neighbourhood; closing
            fills what is narrower between parts of a class, where there is background.
        radius: of the neighbourhood, a disc, in pixels.
    """

    method: Literal["majority", "opening", "closing"] = "majority"
    radius: Annotated[int, Range(1, 50)] = 1

    def apply(self, result: "Segmentation") -> "Segmentation":
        """Smooth; see `PostprocessStep`."""
        planes = [self._smooth(plane) for plane in result.labels]
        return with_labels(result, np.stack(planes))

    def _smooth(self, plane: np.ndarray) -> np.ndarray:
        if self.method == "majority":
            return rank.majority(plane, morphology.disk(self.radius))
        smoothed = np.zeros_like(plane) if self.method == "opening" else plane.copy()
        claims = np.zeros(plane.shape, np.uint8)
        for label in np.unique(plane[plane > 0]):
            own = plane == label
            if self.method == "opening":
                smoothed[morphology.isotropic_opening(own, self.radius) & own] = label
                continue
            wide = np.pad(own, self.radius + 1)  # else the image's border would attract it
            inner = (slice(self.radius + 1, -self.radius - 1),) * 2
            added = morphology.isotropic_closing(wide, self.radius)[inner] & (plane == 0)
            smoothed[added] = label
            claims += added
        smoothed[claims > 1] = 0  # between two classes nothing is decided
        return smoothed
