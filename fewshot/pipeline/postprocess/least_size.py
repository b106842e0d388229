"""Objects smaller than a least size are dropped."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fewshot.pipeline.postprocess.labels import components, with_labels
from fewshot.pipeline.quantity import in_pixels, parse_quantity
from fewshot.pipeline.step import PostprocessStep
from fewshot.registry import register_step

if TYPE_CHECKING:
    from fewshot.inference.result import Segmentation


@register_step("least-size")
@dataclass(frozen=True)
class LeastSize(PostprocessStep):
    """Drop connected parts that are smaller than a size.

    Attributes:
        least: the size from which a part stays, with its unit: "20 px" (pixels, or voxels of a
            stack), "15 mm2" or "15 um2" in images and "15 mm3" in volumes.
    """

    least: str = "20 px"

    def check(self) -> None:
        """Refuse a size without a unit."""
        parse_quantity(self.least, "size", "least-size: least")

    def apply(self, result: "Segmentation") -> "Segmentation":
        """Drop small parts; see `PostprocessStep`.

        Raises:
            DataError: the unit does not fit to the image, or its file tells no size of a pixel.
        """
        quantity = parse_quantity(self.least, "size", "least-size: least")
        least = in_pixels(quantity, result.source, "least-size: least")
        # What equals the least size up to rounding stays.
        kept = components.keep_components(result.labels, lambda areas: areas >= least * (1 - 1e-9))
        return with_labels(result, kept)
