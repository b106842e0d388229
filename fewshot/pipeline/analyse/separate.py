"""Labels become numbered objects: connected parts, split where they touch if that is asked for."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np

from fewshot.inference.pixel_size import pixel_size
from fewshot.lazily import lazily
from fewshot.pipeline.step import SeparateStep
from fewshot.pipeline.values import Range
from fewshot.registry import register_step

if TYPE_CHECKING:
    from fewshot.inference.instances.value import Instances
    from fewshot.inference.result import Segmentation

splitting = lazily("fewshot.inference.instances.splitting")
value = lazily("fewshot.inference.instances.value")


@register_step("separate")
@dataclass(frozen=True)
class Separate(SeparateStep):
    """Number the objects of each class, and split those that touch at their necks.

    Without this step objects are the connected parts, and objects that touch count as one.

    Attributes:
        neck: a neck is a split where it is narrower than the thinner of its two sides by this
            share, 0 to 1; null never splits.

    Paper: Vincent and Soille, Watersheds in digital spaces, PAMI 1991.
    """

    neck: Annotated[float | None, Range(0, 0.99)] = 0.1

    def objects(self, result: "Segmentation") -> "Instances":
        """Number objects; see `SeparateStep`."""
        flat = len(result.labels) == 1
        numbers = np.zeros(result.labels.shape, np.int32)
        classes: list[int] = []
        for way in range(1, len(result.class_names) + 1):
            mask = result.labels == way
            found = splitting.split_mask(mask[0] if flat else mask, self.neck, _spacing(result))
            count = int(found.max(initial=0))
            numbers[mask] = (found[None] if flat else found)[mask] + len(classes)
            classes += [way] * count
        instances: Instances = value.Instances(
            *(numbers, np.array(classes, np.int64), _scores(result, numbers, len(classes))),
            *(result.class_names, result.values, result.source),
            doubt=result.doubt,
        )
        return instances


def _spacing(result: "Segmentation") -> tuple[float, ...] | None:
    """Distances of neighbours along each axis, where all are known."""
    size = pixel_size(result.source)
    if len(result.labels) == 1:
        return size.row, size.column
    return None if size.plane is None else (size.plane, size.row, size.column)


def _scores(result: "Segmentation", numbers: np.ndarray, count: int) -> np.ndarray:
    """Mean probability of its class in each object."""
    own = np.take_along_axis(result.probabilities, result.labels[None].astype(np.int64), axis=0)[0]
    weights = own.ravel().astype(np.float64)
    sums = np.bincount(numbers.ravel(), weights, count + 1)[1:]
    return sums / np.maximum(np.bincount(numbers.ravel(), minlength=count + 1)[1:], 1)
