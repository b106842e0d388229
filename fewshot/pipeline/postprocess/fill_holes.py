"""Holes inside of objects are closed."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fewshot.pipeline.postprocess.labels import components, with_labels
from fewshot.pipeline.step import PostprocessStep
from fewshot.registry import register_step

if TYPE_CHECKING:
    from fewshot.inference.result import Segmentation


@register_step("fill-holes")
@dataclass(frozen=True)
class FillHoles(PostprocessStep):
    """Close the holes of each class: background that no path in its plane joins to the edge."""

    def apply(self, result: "Segmentation") -> "Segmentation":
        """Fill; see `PostprocessStep`."""
        return with_labels(result, components.fill_holes(result.labels))
