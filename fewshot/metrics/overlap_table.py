"""The sparse table of which objects overlap, and by how much."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewshot.metrics.arrays import as_array, as_label_pair

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class OverlapTable:
    """Areas of all objects and the pairs of objects that share pixels.

    Attributes:
        reference_ids: ids of the reference objects, rising ``[object]``.
        reference_areas: their sizes in pixels ``[object]``.
        label_ids: ids of the predicted objects, rising ``[prediction]``.
        label_areas: their sizes in pixels ``[prediction]``.
        rows: for each pair the position of its reference object in ``reference_ids`` ``[pair]``.
        columns: for each pair the position of its prediction in ``label_ids`` ``[pair]``.
        intersections: how many pixels each pair shares, at least 1 ``[pair]``.
    """

    reference_ids: Ints
    reference_areas: Ints
    label_ids: Ints
    label_areas: Ints
    rows: Ints
    columns: Ints
    intersections: Ints

    @cached_property
    def iou(self) -> NDArray[np.float64]:
        """Intersection over union of each pair ``[pair]``, above 0."""
        sizes = self.reference_areas[self.rows] + self.label_areas[self.columns]
        return self.intersections / (sizes - self.intersections)


def overlap_table(labels: Any, reference: Any, ignored: Any = None) -> OverlapTable:
    """Count the pixels that each pair of objects shares.

    Args:
        labels: predicted instance map, 0 background, any shape.
        reference: reference instance map of the same shape.
        ignored: bool mask of the same shape; its pixels are dropped from both maps first.

    Returns:
        The table.

    Raises:
        ValueError: the shapes differ or an id is negative.
        TypeError: the maps are not integers.

    Example:
        >>> table = overlap_table([3, 3, 0, 8], [1, 1, 1, 1])
        >>> table.label_ids, table.label_areas, table.intersections
        (array([3, 8]), array([2, 1]), array([2, 1]))
    """
    first, second = (each.reshape(-1) for each in as_label_pair(labels, reference))
    if ignored is not None:
        counted = ~np.asarray(as_array(ignored), bool).reshape(-1)
        if counted.shape != first.shape:
            raise ValueError(
                f"ignored has {counted.size} pixels and labels have {first.size}; "
                "expected the same shape"
            )
        first, second = first[counted], second[counted]
    predicted, true, runs = _runs(first, second)
    label_ids, column = _compact(predicted, "labels")
    reference_ids, row = _compact(true, "reference")
    label_areas = np.bincount(column, runs, len(label_ids)).astype(np.int64)
    reference_areas = np.bincount(row, runs, len(reference_ids)).astype(np.int64)
    both = (predicted != 0) & (true != 0)
    code = row[both] * len(label_ids) + column[both]
    pairs, intersections = _sum_by_code(code, runs[both])
    rows, columns = np.divmod(pairs, len(label_ids))  # of no labels there are no pairs
    skip_label, skip_reference = int(0 in label_ids[:1]), int(0 in reference_ids[:1])
    return OverlapTable(
        reference_ids[skip_reference:],
        reference_areas[skip_reference:],
        label_ids[skip_label:],
        label_areas[skip_label:],
        rows - skip_reference,
        columns - skip_label,
        intersections,
    )


def _runs(first: Ints, second: Ints) -> tuple[Ints, Ints, Ints]:
    """Shorten rows of equal pairs to one entry: objects are compact, so few entries remain."""
    if not first.size:
        return first, second, np.zeros(0, np.int64)
    change = first[1:] != first[:-1]
    change |= second[1:] != second[:-1]
    ends = np.append(np.flatnonzero(change), first.size - 1)
    return first[ends], second[ends], np.diff(ends, prepend=-1)


def _compact(values: Ints, name: str) -> tuple[Ints, Ints]:
    """Return the distinct values, rising, and the position of each value among them."""
    if values.size and values.min() < 0:
        raise ValueError(
            f"{name} hold the id {int(values.min())}, expected 0 for background and positive ids; "
            "give ignored pixels as a mask (ignored=)"
        )
    if not values.size or values.max() > 4 * values.size + 65536:
        ids, position = np.unique(values, return_inverse=True)
        return ids.astype(np.int64), position
    present = np.zeros(int(values.max()) + 1, bool)  # much faster than sorting
    present[values] = True
    ids = np.flatnonzero(present)
    position = np.cumsum(present) - 1
    return ids, position[values]


def _sum_by_code(code: Ints, weights: Ints) -> tuple[Ints, Ints]:
    """Sum the weights of equal codes."""
    if not code.size:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    order = np.argsort(code)
    code = code[order]
    first = np.flatnonzero(np.append(True, code[1:] != code[:-1]))
    return code[first], np.add.reduceat(weights[order], first)
