"""The connected parts of each class as numbered objects."""

from typing import TYPE_CHECKING

import numpy as np

from fewshot.lazily import lazily

if TYPE_CHECKING:
    from fewshot.inference.instances.value import Instances
    from fewshot.inference.result import Segmentation

ndimage = lazily("scipy.ndimage")
value = lazily("fewshot.inference.instances.value")


def connected_objects(result: "Segmentation") -> "Instances":
    """Number the connected parts of each class; parts touch along faces."""
    numbers = np.zeros(result.labels.shape, np.int32)
    classes: list[int] = []
    for way in range(1, len(result.class_names) + 1):
        parts, count = ndimage.label(result.labels == way)
        numbers[parts > 0] = parts[parts > 0] + len(classes)
        classes += [way] * count
    scores = np.zeros(len(classes))
    if classes:
        inside = np.take_along_axis(result.probabilities, result.labels[None], axis=0)[0]
        sums = np.bincount(numbers.ravel(), inside.ravel().astype(np.float64), len(classes) + 1)
        scores = sums[1:] / np.bincount(numbers.ravel(), minlength=len(classes) + 1)[1:]
    found: Instances = value.Instances(
        *(numbers, np.array(classes, np.int64), scores),
        *(result.class_names, result.values, result.source),
        doubt=result.doubt,
    )
    return found
