"""One row a class."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fewshot.pipeline.step import AnalyseStep
from fewshot.registry import register_step

if TYPE_CHECKING:
    from fewshot.inference.instances.value import Instances
    from fewshot.inference.result import Segmentation


@register_step("classes")
@dataclass(frozen=True)
class Classes(AnalyseStep):
    """Count the objects of every class, and add up their sizes; 0 where there is none.

    | column | what it is |
    |---|---|
    | image, class, count | how many objects a class has |
    | total_area, mean_area, unit | of all objects and of one, in px, or um2, mm2, mm3 and so on |
    | touching_border | objects of which something may lie outside of the image |
    | pixels, share | of the class, and their share of the image, 0 to 1 |
    | confidence | mean probability of the class in its pixels |
    | mean_, std_intensity | in its pixels, of the original image; of colours their mean |
    | expected_dice | of the whole image, where the predictor has an estimate |
    """

    def rows(self, result: "Segmentation", objects: "Instances") -> list[dict[str, Any]]:
        """Measure; see the class for the columns."""
        pixels = result.source.pixels
        grey = pixels.mean(axis=3) if pixels.ndim == 4 else pixels
        rows = objects.summary()
        for way, row in enumerate(rows, 1):
            where = result.labels == way
            area = int(where.sum())
            values = grey[where].astype(np.float64)
            inside = result.probabilities[way][where]
            row |= {
                "pixels": area,
                "share": area / where.size,
                "confidence": float(inside.mean(dtype=np.float64)) if area else None,
                "mean_intensity": float(values.mean()) if area else None,
                "std_intensity": float(values.std()) if area else None,
                "expected_dice": result.expected_dice,
            }
        return rows
