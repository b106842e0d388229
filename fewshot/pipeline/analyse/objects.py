"""One row an object."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fewshot.pipeline.step import AnalyseStep
from fewshot.registry import register_step

if TYPE_CHECKING:
    from fewshot.inference.instances.value import Instances
    from fewshot.inference.result import Segmentation


@register_step("objects")
@dataclass(frozen=True)
class Objects(AnalyseStep):
    """Measure every object: size, place, shape and intensities.

    Intensities are those of the original image, whatever steps came before. An object that touches
    the border of the image is marked, because a part of it may be missing.
    """

    def rows(self, result: "Segmentation", objects: "Instances") -> list[dict[str, Any]]:
        """Measure; see `fewshot.inference.instances.table` for the columns."""
        return objects.table()
