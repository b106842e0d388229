"""Which connected parts of an answer stay, and whether its holes are closed."""

from collections.abc import Callable
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

    def stay(areas: np.ndarray) -> np.ndarray:
        if keep == "largest":
            return np.arange(len(areas)) == areas.argmax()
        return areas >= min_share * areas.sum()

    settled = labels.copy() if keep == "all" else keep_components(labels, stay)
    return fill_holes(settled) if fill else settled


def keep_components(labels: np.ndarray, stay: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Drop connected parts of each class by their areas.

    Args:
        labels: [depth height width], 0 background.
        stay: from the areas of a class's parts, in pixels, to whether each stays.

    Returns:
        Labels of the same shape and type; dropped pixels become background.

    >>> keep_components(np.array([[[1, 0, 1, 1]]]), lambda areas: areas > 1)
    array([[[0, 0, 1, 1]]])
    """
    settled = labels.copy()
    for label in np.unique(labels[labels > 0]):
        parts, count = ndimage.label(labels == label)
        areas = np.bincount(parts.ravel(), minlength=count + 1)[1:]
        kept = np.concatenate([[True], stay(areas)])
        settled[~kept[parts]] = 0
    return settled


def fill_holes(labels: np.ndarray) -> np.ndarray:
    """Close the holes of each class [depth height width]; see `filter_components`."""
    settled = labels.copy()
    for label in np.unique(labels[labels > 0]):
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
