"""Masks from the segmentations of COCO: polygons and run-lengths."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from episodes.errors import DataError
from episodes.io.formats.rle import check_size, counts_of_text, from_counts
from episodes.io.limits import guarded
from episodes.io.pixels import IGNORE

FURTHEST = 1_000_000
"""Largest coordinate of a polygon, in pixels."""

STRIP = 2**22
"""How many pixels are filled at once."""


def fill(outlines: Sequence[Any], size: tuple[int, int]) -> np.ndarray:
    """Fill polygons: a pixel belongs to one when its centre does.

    Args:
        outlines: x, y, x, y, … of the corners, in pixels from the picture's top left corner; the
            first pixel reaches from 0 to 1.
        size: (height, width).

    Returns:
        bool [height width], the union.

    Raises:
        DataError: an outline has fewer than three corners or coordinates that are no numbers.

    >>> fill([[1, 0, 3, 0, 3, 2, 1, 2]], (3, 4)).astype(int)
    array([[0, 1, 1, 0],
           [0, 1, 1, 0],
           [0, 0, 0, 0]])
    """
    from skimage.draw import polygon

    check_size(size)
    mask = np.zeros(size, bool)
    step = max(1, STRIP // size[1])
    for outline in outlines:
        if not isinstance(outline, list) or len(outline) < 6 or len(outline) % 2:
            raise DataError("a polygon is no list of at least three corners x, y, x, y, …")
        if not all(type(c) in (int, float) and abs(c) <= FURTHEST for c in outline):
            raise DataError(f"a polygon holds no number within {FURTHEST:,} pixels")
        corners = np.array(outline, float).reshape(-1, 2)
        # In strips: the library lists the coordinates of all pixels inside, 16 bytes each.
        for top in range(0, size[0], step):
            strip = mask[top : top + step]
            strip[polygon(corners[:, 1] - 0.5 - top, corners[:, 0] - 0.5, strip.shape)] = True
    return mask


def unpack(segmentation: object, size: tuple[int, int]) -> np.ndarray:
    """Turn a COCO segmentation of any of its three forms into a mask.

    Args:
        segmentation: a list of polygons, or `{"size": [height, width], "counts": …}` with counts
            as a list or as compressed text.
        size: (height, width) of the picture.

    Returns:
        bool [height width].

    Raises:
        DataError: it has none of the forms, or another size.

    >>> unpack({"size": [2, 3], "counts": [1, 2, 3]}, (2, 3)).sum()
    np.int64(2)
    """
    if isinstance(segmentation, list):
        return fill(segmentation, size)
    if not isinstance(segmentation, Mapping):
        raise DataError("a segmentation is neither a list of polygons nor size and counts")
    declared, counts = segmentation.get("size"), segmentation.get("counts")
    if declared != list(size):
        raise DataError(f"run-lengths are for the size {declared}; the picture has {list(size)}")
    if isinstance(counts, str):
        counts = counts_of_text(counts)
    if not isinstance(counts, list):
        raise DataError("the counts of run-lengths are neither a list nor text")
    return from_counts(counts, size)


def read_segments(path: Path, member: str) -> np.ndarray:
    """Draw the segmentations in `member`: uint8 [height width], 1 inside, 255 where unknown.

    Unknown are the pixels of crowds and those in the rectangles of `unknown` (see
    `episodes.readers.coco_annotations`) that no object covers.

    Raises:
        DataError: a segmentation has none of COCO's forms.
    """
    content = json.loads(member)
    size = (content["size"][0], content["size"][1])
    mask = np.zeros(size, np.uint8)
    with guarded(path, "segmentation"):
        for top, bottom, left, right in content.get("unknown", ()):
            mask[top:bottom, left:right] = IGNORE
        for value, segments in ((IGNORE, content["crowds"]), (1, content["objects"])):
            for segment in segments:
                try:
                    mask[unpack(segment, size)] = value
                except DataError as error:
                    raise DataError(f"an annotation of {path}: {error}") from error
    return mask
