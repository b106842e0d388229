"""Whether annotated structures can be seen in a picture at all: they vanish in one of many fields.

All images are compared in squares of one size. A picture of 16 x 16 fields of view at the
magnification of the annotated one is shrunk sixteen times as much, and its structures become
smaller than an entry of the feature grid. A picture of the same scene at a higher resolution is
shrunk as much, and nothing is lost. The two cannot be told apart by their pixels, unless the
files say how wide a pixel is; so the first is supposed, and the user decides.
"""

from collections.abc import Sequence

import numpy as np

from episodes.errors import DataError
from fewshot.inference.inputs import ImageStack
from fewshot.inference.resolution import structure_width
from fewshot.models.scale import AnnotatedScale

_LEAST = ((3.0, 1.0), (2.0, 0.5))
"""Fields along the longest side, and entries of the feature grid that structures should cover then;
nearer images are of one kind. See docs/refinement.md."""
_PART = 0.5  # fields along the longest side


class TooLargeError(DataError):
    """An image in which the annotated structures would vanish: there is no answer."""


def fields_along(known: AnnotatedScale, picture: ImageStack) -> tuple[float, bool]:
    """How many annotated pictures lie along a picture's longest side, at one magnification.

    Returns:
        The number, and whether it is sure because both files have the width of a pixel.
    """
    times, spacing = max(picture.pixels.shape[1:3]) / known.side, _spacing(picture)
    if known.spacing and spacing:
        return times * spacing / known.spacing, True
    return times, False


def annotated_scale(pictures: Sequence[ImageStack], maps: Sequence[np.ndarray]) -> AnnotatedScale:
    """Measure annotated pictures.

    Args:
        pictures: with their spacing, where the files have one.
        maps: label maps uint8 [depth height width], 0 background, 255 unknown.
    """
    spacings = [_spacing(picture) for picture in pictures]
    return AnnotatedScale(
        structure_width(maps),
        float(np.median([max(found.shape[1:]) for found in maps])),
        float(np.median(spacings)) if all(spacings) else 0.0,
    )


def vanishing(
    known: AnnotatedScale | None, picture: ImageStack, size: int, stride: int, *, tiles: bool = True
) -> str:
    """Say why structures cannot be seen in a picture of the annotated ones' magnification.

    Args:
        known: of the support; None where that was learned by an earlier version.
        picture: to be segmented.
        size: side of the square in which images are compared, in pixels.
        stride: pixels of that square an entry of the feature grid.
        tiles: whether it could be segmented in tiles, or compared larger.

    Returns:
        The reason and what to do; "" where they can be seen.
    """
    if known is None:
        return ""
    times, sure = fields_along(known, picture)
    before = known.width * size / stride
    entries = before / times
    if not any(times >= far and entries < least for far, least in _LEAST):
        return ""
    height, width = picture.pixels.shape[1:3]
    ways = (
        "--tiles cuts it into parts of the annotated images' size; "
        f"--size {_enough(size, entries)} compares it larger"
        if tiles
        else "Cut it into parts of about the annotated images' size"
    )
    at = "by the width of its pixels" if sure else "at the magnification of the annotated images"
    return (
        f"{picture.name}: {height} x {width} pixels are too many to be compared at once: {at}, its "
        f"structures cover {entries:.2g} entries of the feature grid, and {before:.2g} in the "
        f"annotated images, so most are not found. {ways}; --other-magnification segments it as a "
        "whole, if it shows the same scene at a higher resolution"
        + (" (tiles=, size= and other_magnification= in Python)" if tiles else "")
    )


def magnified(known: AnnotatedScale | None, picture: ImageStack) -> str:
    """Say that a picture of the annotated ones' magnification would show a part of a structure."""
    if known is None:
        return ""
    times, _ = fields_along(known, picture)
    if times > _PART or known.width / times <= 1:
        return ""
    height, width = picture.pixels.shape[1:3]
    return (
        f"{picture.name} has {height} x {width} pixels, and annotated structures are "
        f"{known.width * known.side:.0f} pixels wide: at the same magnification it shows a part of "
        "one alone, and the mask is wrong. Give larger pictures, or annotate one of this size"
    )


def _spacing(picture: ImageStack) -> float:
    """Width of a pixel in mm, the larger one of both directions; 0 where the file has none."""
    where = picture.geometry
    if where is None or not where.declared:
        return 0.0
    return float(max(where.spacing[axis] for axis in where.order[1:]) * (where.unit or 1.0))


def _enough(size: int, entries: float) -> int:
    """The next size at which structures would be seen, a multiple of 64."""
    return int(-(-1.25 * size / entries // 64)) * 64
