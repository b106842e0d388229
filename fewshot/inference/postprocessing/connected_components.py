"""Which connected parts of an answer stay, and whether its holes are closed."""

from typing import Literal

import numpy as np
from jaxtyping import Float
from torch import Tensor

from fewshot.lazily import lazily

ndimage = lazily("scipy.ndimage")

Keep = Literal["all", "largest", "large"]


def filter_components(
    labels: np.ndarray, keep: Keep = "all", min_share: float = 0.1, fill: bool = False
) -> np.ndarray:
    """Drop small connected parts of each class, then close its holes.

    Parts touch along faces, also across slices: one part of a volume may look like several in a
    slice. A hole is background that no path within its slice joins to the slice's rim; what
    another class fills is no hole.

    Args:
        labels: [depth height width], 0 background.
        keep: all parts, the largest of each class, or those of at least `min_share` of its area.
        min_share: 0 to 1; of large parts alone.
        fill: close holes.

    Returns:
        Labels of the same shape and type; dropped pixels become background.

    >>> filter_components(np.array([[[1, 0, 1, 1]]]), "largest")
    array([[[0, 0, 1, 1]]])
    """
    settled = labels.copy()
    for label in np.unique(labels[labels > 0]):
        parts, count = ndimage.label(labels == label)
        if keep != "all" and count > 1:
            areas = np.bincount(parts.ravel(), minlength=count + 1)
            areas[0] = 0
            stay = areas >= min_share * areas.sum()
            if keep == "largest":
                stay = np.arange(count + 1) == areas.argmax()
            settled[(parts > 0) & ~stay[parts]] = 0
        if fill:
            for plane in settled:
                holes = ndimage.binary_fill_holes(plane == label) & (plane == 0)
                plane[holes] = label
    return settled


def swap_label_probabilities(
    probabilities: Float[Tensor, "label *place"], before: Tensor, after: Tensor
) -> Float[Tensor, "label *place"]:
    """Give a pixel's new label the min_share of its old one, and the other way round.

    Probabilities still sum to 1, and the most probable label is the new one wherever the old one
    was the most probable.

    Args:
        probabilities: of each label.
        before, after: the labels [place] by them and as they shall be.
    """
    swapped = probabilities.clone()
    old, new = before[None].long(), after[None].long()
    swapped.scatter_(0, old, probabilities.gather(0, new))
    swapped.scatter_(0, new, probabilities.gather(0, old))
    return swapped
