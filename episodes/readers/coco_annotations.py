"""What of a COCO annotation can be drawn, and which pixels nothing is known about because of it.

An annotation tool leaves outlines that are none: a stray click, a line, an empty list, null. What
was meant is an object all the same, so the pixels where it lies are unknown and no background:
those of its box, else those that its points span, else all of the picture.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from episodes.errors import DataError
from episodes.io.formats.polygons import FURTHEST
from episodes.io.formats.rle import check_counts, counts_of_text

Bounds = tuple[int, int, int, int]
"""A rectangle of pixels: top, bottom, left, right; bottom and right are the first outside."""


@dataclass(frozen=True)
class Outline:
    """The outline of one annotation, checked.

    Attributes:
        drawn: a segmentation that `episodes.io.formats.polygons.unpack` takes; None where there is
            none.
        problem: what is wrong with the rest; empty where nothing is.
        unknown: the pixels that are unknown because of it; None where there are none.
        has_position: whether the annotation has a position; else all pixels are unknown.
    """

    drawn: Any = None
    problem: str = ""
    unknown: Bounds | None = None
    has_position: bool = True


def check_outline(note: Mapping[str, Any], size: tuple[int, int]) -> Outline:
    """Check the segmentation of an annotation without drawing it.

    Args:
        note: the annotation, of which `segmentation` and `bbox` are used.
        size: (height, width) of its picture.

    >>> check_outline({"segmentation": [[4, 4]], "bbox": [3, 2, 4, 5]}, (20, 20))
    Outline(drawn=None, problem='an outline of 1 point', unknown=(2, 7, 3, 7), has_position=True)
    """
    outline = note.get("segmentation")
    if isinstance(outline, Mapping):
        problem = _odd_runs(outline, size)
        return Outline(outline) if not problem else _left_out(problem, note, [], size)
    if not isinstance(outline, list):
        problem = "no outline" if outline is None else f"an outline that is {str(outline)[:30]!r}"
        return _left_out(problem, note, [], size)
    if not outline:
        return _left_out("an empty outline", note, [], size)
    if not isinstance(outline[0], list | Mapping):
        problem = "a bare list of numbers as its outline, and no list of polygons"
        return _left_out(problem, note, [outline], size)
    problems = [_odd_polygon(part, size) for part in outline]
    odd = [part for part, problem in zip(outline, problems, strict=True) if problem]
    if not odd:
        return Outline(outline)
    good = [part for part, problem in zip(outline, problems, strict=True) if not problem]
    return _left_out(next(filter(None, problems)), note, odd, size, good or None)


def _left_out(
    problem: str,
    note: Mapping[str, Any],
    odd: list[Any],
    size: tuple[int, int],
    drawn: list[Any] | None = None,
) -> Outline:
    """Find the pixels that are unknown: the odd parts' own where others are drawn, else the box."""
    places = [_box(note.get("bbox")), _span(odd)]
    place = next((each for each in (places[::-1] if drawn else places) if each), None)
    if place is None:
        return Outline(drawn, problem, (0, size[0], 0, size[1]), has_position=False)
    top, bottom, left, right = place
    top, bottom = max(0, math.floor(top)), min(size[0], max(math.ceil(bottom), math.floor(top) + 1))
    left, right = (
        max(0, math.floor(left)),
        min(size[1], max(math.ceil(right), math.floor(left) + 1)),
    )
    inside = top < bottom and left < right
    return Outline(drawn, problem, (top, bottom, left, right) if inside else None)


def _odd_runs(runs: Mapping[str, Any], size: tuple[int, int]) -> str:
    """Describe what is wrong with run-lengths; empty where they can be drawn."""
    declared, counts = runs.get("size"), runs.get("counts")
    if declared != list(size):
        return f"run-lengths for the size {str(declared)[:30]} in a picture of {list(size)}"
    try:
        if isinstance(counts, str):
            counts = counts_of_text(counts)
        if not isinstance(counts, list):
            return "run-lengths whose counts are neither a list nor text"
        check_counts(counts, size)
    except DataError as error:
        return str(error)
    return "" if any(counts[1::2]) else "run-lengths without a pixel"


def _odd_polygon(part: Any, size: tuple[int, int]) -> str:
    """Describe what is wrong with a polygon; empty where it covers the centre of a pixel."""
    if not isinstance(part, list):
        return f"a polygon that is {str(part)[:30]!r}"
    if not all(_is_coordinate(number) for number in part):
        return "a polygon with something else than numbers"
    if len(part) % 2:
        return f"a polygon of {len(part)} numbers, not of pairs"
    if len(part) < 6:
        return f"an outline of {len(part) // 2} point{'s' * (len(part) != 2)}"
    columns, rows = part[::2], part[1::2]
    if _is_line(columns, rows):
        return "an outline without an area"
    if max(columns) <= 0 or max(rows) <= 0 or min(columns) >= size[1] or min(rows) >= size[0]:
        return "an outline outside of its picture"
    for numbers in (columns, rows):  # the centre of pixel n is at n + 0.5
        if math.floor(max(numbers) - 0.5) < math.ceil(min(numbers) - 0.5):
            return "an outline between the centres of pixels"
    return ""


def _is_line(columns: list[float], rows: list[float]) -> bool:
    """Whether all corners lie on one line."""
    points = list(zip(columns, rows, strict=True))
    (x, y), far = points[0], max(points, key=lambda p: math.dist(p, points[0]))
    across, down = far[0] - x, far[1] - y
    reach = max(1.0, math.hypot(across, down))
    return all(abs(across * (b - y) - down * (a - x)) <= 1e-9 * reach * reach for a, b in points)


def _is_coordinate(number: object) -> bool:
    """Whether this is a number of pixels; NaN and infinity are none.

    >>> [_is_coordinate(each) for each in (3, 0.5, float("nan"), "3", True)]
    [True, True, False, False, False]
    """
    return type(number) in (int, float) and abs(number) <= FURTHEST  # type: ignore[arg-type]


def _box(box: object) -> tuple[float, float, float, float] | None:
    """Return the box [left, top, width, height] as top, bottom, left, right; None if it is none."""
    if not isinstance(box, list) or len(box) != 4 or not all(map(_is_coordinate, box)):
        return None
    left, top, width, height = box
    return (top, top + height, left, left + width) if width > 0 and height > 0 else None


def _span(parts: list[Any]) -> tuple[float, float, float, float] | None:
    """Return what the points of odd outlines span; None where a part has no points."""
    columns: list[float] = []
    rows: list[float] = []
    for part in parts:
        numbers = part if isinstance(part, list) and all(map(_is_coordinate, part)) else []
        if not numbers or len(numbers) % 2:
            return None
        columns += numbers[::2]
        rows += numbers[1::2]
    return (min(rows), max(rows), min(columns), max(columns)) if columns else None
