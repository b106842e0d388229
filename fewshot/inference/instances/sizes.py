"""How large annotated objects are, which separates objects from crumbs and from clusters."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fewshot.lazily import lazily

ndimage = lazily("scipy.ndimage")


@dataclass(frozen=True)
class ObjectSizes:
    """Sizes of annotated objects, in pixels.

    Attributes:
        count: how many were measured.
        small, median, large: areas (volumes): the 5th, 50th and 95th percentile.
        radius: median of the largest distance from an object's inside to its outline.
        numbered: whether the mask numbered them; else they are its connected components, in which
            objects that touch count as one.
    """

    count: int
    small: float
    median: float
    large: float
    radius: float
    numbered: bool = True

    def describe(self) -> str:
        """Tell the sizes in one sentence."""
        kind = "annotated objects" if self.numbered else "separate parts of the mask"
        text = f"{self.count} {kind} of {self.small:.0f} to {self.large:.0f} pixels"
        if self.numbered:
            return text
        return f"{text}; touching objects count as one, number them in the mask to have them split"


def measure_objects(numbers: Sequence[np.ndarray], numbered: bool = True) -> ObjectSizes:
    """Measure the objects of annotated images; those cut by the edge count, unless all are.

    Args:
        numbers: objects of each image, 0 background; each of any number of axes.
        numbered: see `ObjectSizes`.
    """
    inner: list[tuple[int, float]] = []
    cut: list[tuple[int, float]] = []
    for each in numbers:
        for number, box in enumerate(ndimage.find_objects(each), 1):
            if box is None:
                continue
            inside = each[box] == number
            around = [(1, 1) if side > 1 else (0, 0) for side in each.shape]
            distance = ndimage.distance_transform_edt(np.pad(inside, around)).max()
            ends = zip(box, each.shape, strict=True)
            whole = all(part.start > 0 and part.stop < side for part, side in ends if side > 1)
            (inner if whole else cut).append((int(inside.sum()), float(distance)))
    found = np.array(inner or cut or [(1, 0.5)], np.float64)
    small, median, large = np.percentile(found[:, 0], (5, 50, 95))
    count = len(inner) + len(cut)
    return ObjectSizes(
        *(count, float(small), float(median), float(large)),
        radius=float(np.median(found[:, 1])),
        numbered=numbered,
    )
