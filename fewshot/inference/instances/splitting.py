"""How the pixels of a class become objects: threshold, watershed, and no crumbs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from fewshot.inference.instances.outlines import refine_outlines
from fewshot.lazily import lazily

ndimage = lazily("scipy.ndimage")
morphology = lazily("skimage.morphology")
segmentation = lazily("skimage.segmentation")

SplitMethod = Literal["distance", "border", "seeds"]
_SMOOTHING = 1.0  # of the distances, in pixels: steps of a pixel are no necks
_OUTSIDE = -10.0  # log distance of the background


@dataclass(frozen=True)
class Splitting:
    """What was chosen for a kind of object.

    Attributes:
        method: "distance" splits the mask of the class at its necks; "border" and "seeds" grow
            objects from learned insides, see `fewshot.inference.instances.rims`.
        threshold: least probability of a pixel of an object.
        neck: a neck is a split where it is narrower than the thinner of its two sides by this
            share, 0 to 1; None never splits. Of "distance".
        core: least probability of an inside from which an object grows. Of the other two.
        least_area: smaller objects are removed, in pixels.
        edge: where the outline of an object lies between the intensity around it (0) and its own
            (1), see `refine_outlines`; None leaves the outline of the mask. Of images alone.
    """

    method: SplitMethod = "distance"
    threshold: float = 0.5
    neck: float | None = 0.1
    core: float = 0.5
    least_area: int = 0
    edge: float | None = None

    def describe(self) -> str:
        """Tell in one sentence how objects are made."""
        if self.method != "distance":
            how = f"grown from insides learned by {self.method} (probability {self.core:.2f})"
        elif self.neck is None:
            how = "not split where they touch"
        else:
            how = f"split at necks at least {self.neck:.0%} narrower than both sides"
        edge = (
            ""
            if self.edge is None
            else (f", outlines lie at {self.edge:.0%} of the contrast of each object")
        )
        return (
            f"objects are {how}; pixels of probability {self.threshold:.2f} count{edge}, and what "
            f"is smaller than {self.least_area} pixels is removed"
        )


def split_mask(
    mask: np.ndarray, neck: float | None, spacing: Sequence[float] | None = None
) -> np.ndarray:
    """Number the objects of a mask by a watershed of the distance to the background.

    Seeds are the maxima of the logarithm of the smoothed distance that are higher than the saddle
    to the next by `-log(1 - neck)`, so that one `neck` fits small and large objects.

    Args:
        mask: bool [height width] or [depth height width].
        neck: see `Splitting`.
        spacing: of the axes, in any unit; by default all are alike.

    Returns:
        int32 like the mask: 0 background, 1..n.

    Paper:
        Vincent and Soille, Watersheds in digital spaces, PAMI 1991; Soille, Morphological image
        analysis, 2003 (h-maxima).
    """
    parts = ndimage.label(mask, np.ones((3,) * mask.ndim))[0].astype(np.int32)
    if neck is None or not mask.any():
        return parts
    # The border of the image is no outline: an object that it cuts has no neck there.
    distance = ndimage.distance_transform_edt(np.pad(mask, 1, mode="edge"), sampling=spacing)
    distance = ndimage.gaussian_filter(distance, _SMOOTHING)[(slice(1, -1),) * mask.ndim]
    height = np.where(mask, np.log(np.maximum(distance, 1e-3)), _OUTSIDE)
    return _split_parts(parts, height, float(np.log1p(-neck)))


def _split_parts(parts: np.ndarray, height: np.ndarray, step: float) -> np.ndarray:
    """Split the parts that have several maxima, each in its box: most have one."""
    every = np.ones((3,) * parts.ndim)
    peaks, count = ndimage.label(morphology.local_maxima(height) & (parts > 0), every)
    owners = ndimage.maximum(parts, peaks, np.arange(1, count + 1))
    several = np.bincount(np.asarray(owners, np.int64), minlength=int(parts.max()) + 1) > 1
    boxes = ndimage.find_objects(parts)
    total = len(boxes)
    for number in np.flatnonzero(several):
        box = boxes[number - 1]
        mask = parts[box] == number
        inner = np.pad(np.where(mask, height[box], _OUTSIDE), 1, constant_values=_OUTSIDE)
        lowered = morphology.reconstruction(inner + step, inner)
        inside = (slice(1, -1),) * parts.ndim
        highest = (morphology.local_maxima(lowered)[inside]) & mask
        seeds, pieces = ndimage.label(highest, every)
        if pieces > 1:
            split = segmentation.watershed(-inner[inside], seeds, mask=mask)
            parts[box][mask] = np.where(split > 1, split + total - 1, number)[mask]
            total += pieces - 1
    return parts


def grow_objects(inside: np.ndarray, foreground: np.ndarray, splitting: Splitting) -> np.ndarray:
    """Number the insides and grow them over the foreground, most probable pixels first.

    Args:
        inside, foreground: probabilities [height width] or [depth height width].
        splitting: its `core` and `threshold`.

    Returns:
        int32: 0 background, 1..n.
    """
    mask = foreground >= splitting.threshold
    cores = inside >= splitting.core
    seeds = ndimage.label(cores)[0]
    return segmentation.watershed(-inside, seeds, mask=mask | cores).astype(np.int32)


def without_crumbs(labels: np.ndarray, least: int) -> np.ndarray:
    """Remove objects of fewer pixels, fill the holes of the others, number the rest from 1.

    Holes are filled plane by plane, where no other object lies in them.
    """
    areas = np.bincount(labels.ravel())
    kept = areas >= max(1, least)
    kept[0] = False
    numbers = np.where(kept, np.cumsum(kept), 0).astype(np.int32)
    found = numbers[labels]
    planes = found if found.ndim == 3 else found[None]
    for plane in planes:
        for number, box in enumerate(ndimage.find_objects(plane), 1):
            if box is not None:
                part = plane[box]
                filled = ndimage.binary_fill_holes(part == number)
                part[filled & (part == 0)] = number
    return found


def objects_of(
    foreground: np.ndarray,
    inside: np.ndarray | None,
    splitting: Splitting,
    spacing: Sequence[float] | None = None,
    image: np.ndarray | None = None,
) -> np.ndarray:
    """Make objects of the probabilities of a class.

    Args:
        foreground: probability of the class [height width] or [depth height width].
        inside: of its insides, where the method learned them.
        splitting: how.
        spacing: of the axes.
        image: [height width] or [height width 3], by which outlines are refined.

    Returns:
        int32: 0 background, 1..n.
    """
    found = split_objects(foreground, inside, splitting, spacing)
    return finish_objects(found, splitting, image)


def split_objects(
    foreground: np.ndarray,
    inside: np.ndarray | None,
    splitting: Splitting,
    spacing: Sequence[float] | None = None,
) -> np.ndarray:
    """The first step of `objects_of`: objects of any size, with the outline of the mask."""
    if splitting.method == "distance" or inside is None:
        return split_mask(foreground >= splitting.threshold, splitting.neck, spacing)
    return grow_objects(inside, foreground, splitting)


def finish_objects(
    found: np.ndarray, splitting: Splitting, image: np.ndarray | None = None
) -> np.ndarray:
    """The second step of `objects_of`: no crumbs, refined outlines, no holes."""
    if splitting.edge is not None and image is not None and found.ndim == 2:
        found = refine_outlines(without_crumbs(found, splitting.least_area), image, splitting.edge)
    return without_crumbs(found, splitting.least_area)
