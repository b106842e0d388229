"""Panoptic quality with void, stuff, things and crowds, equal to panopticapi.

Segment maps hold 0 for void and a positive id a segment; a table gives the category of each id.
Void of the reference is excused in the prediction; void of the prediction is not excused. A thing
category has one segment an object, a stuff category one segment an image (``stuff_and_things``
builds such maps). Background has to be declared: give it a category if it is to be scored, make it
void if not; the two answers differ widely.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fewshot.ignored import DEFAULT
from fewshot.metrics.arrays import as_label_pair, as_labels, refuse_black_white
from fewshot.metrics.overlap import ratio
from fewshot.metrics.overlap_table import OverlapTable, overlap_table

Ints = NDArray[np.int64]
Scores = NDArray[np.float64]


class PanopticQuality(NamedTuple):
    """Panoptic quality of every category, PQ = SQ * RQ.

    Attributes:
        pq: panoptic quality ``[... category]``.
        sq: mean IoU of the matched segments; 0 where none matched.
        rq: F1 of the segments at IoU > 0.5.
    """

    pq: Scores
    sq: Scores
    rq: Scores


def panoptic_counts(
    labels: Any,
    reference: Any,
    label_categories: Mapping[int, int],
    reference_categories: Mapping[int, int],
    categories: int,
    crowd: Iterable[int] = (),
) -> Scores:
    """Count what panoptic quality is made of; counts of several images can be summed.

    Args:
        labels: predicted segment map, 0 void, any shape.
        reference: reference segment map of the same shape, 0 void.
        label_categories: category in 0..categories-1 of every predicted segment id.
        reference_categories: category of every reference segment id.
        categories: how many categories there are.
        crowd: reference ids that mark a region of many objects: no object is expected there, and
            predictions of that category mostly inside it are excused.

    Returns:
        float64 ``[category 4]``: sum of the matched IoU, true positives, false positives, false
        negatives.

    Raises:
        ValueError: the shapes differ, an id has no category, or a category is out of range.

    Example:
        One object of category 1, of which 3 of 4 pixels were found; one invented segment.

        >>> found, truth = [1, 1, 1, 2, 2], [5, 5, 5, 5, 6]
        >>> counts = panoptic_counts(found, truth, {1: 1, 2: 1}, {5: 1, 6: 0}, categories=2)
        >>> counts
        array([[0.  , 0.  , 0.  , 1.  ],
               [0.75, 1.  , 1.  , 0.  ]])

    Paper:
        Kirillov et al., Panoptic segmentation, CVPR 2019.
    """
    table = overlap_table(labels, reference)
    predicted = _categories_of(table.label_ids, label_categories, categories, "label")
    true = _categories_of(table.reference_ids, reference_categories, categories, "reference")
    crowded = np.isin(table.reference_ids, np.array(list(crowd), np.int64))
    same = predicted[table.columns] == true[table.rows]
    iou = _iou_without_void(table)
    hit = np.flatnonzero(same & ~crowded[table.rows] & (iou > 0.5))
    missed = ~crowded
    missed[table.rows[hit]] = False
    invented = ~_excused(table, same & crowded[table.rows])
    invented[table.columns[hit]] = False
    kinds = true[table.rows[hit]]
    return np.stack(
        [
            np.bincount(kinds, iou[hit], categories),
            np.bincount(kinds, minlength=categories),
            np.bincount(predicted[invented], minlength=categories),
            np.bincount(true[missed], minlength=categories),
        ],
        axis=-1,
    )


def panoptic_quality(counts: Scores) -> PanopticQuality:
    """Panoptic, segmentation and recognition quality of every category.

    Args:
        counts: ``[... category 4]`` from ``panoptic_counts``, summed over the images.

    Returns:
        The three scores ``[... category]`` in 0..1; NaN for a category that occurs in neither.
        Means over all, thing or stuff categories are ``averages.average`` of a selection.

    Example:
        >>> quality = panoptic_quality(np.array([[0, 0, 0, 1], [0.75, 1, 1, 0], [0, 0, 0, 0]]))
        >>> quality.pq.round(4), quality.sq, quality.rq.round(4)
        (array([0. , 0.5, nan]), array([0.  , 0.75,  nan]), array([0.    , 0.6667,    nan]))
    """
    overlap, hits, invented, missed = np.moveaxis(np.asarray(counts, np.float64), -1, 0)
    size = hits + (invented + missed) / 2
    sq = np.where((size > 0) & (hits == 0), 0.0, ratio(overlap, hits))
    return PanopticQuality(ratio(overlap, size), sq, ratio(hits, size))


def stuff_and_things(
    categories: Any, instances: Any, stuff: Iterable[int], ignore_index: int | None = DEFAULT
) -> tuple[Ints, dict[int, int]]:
    """Build a segment map from a class map and an instance map.

    Args:
        categories: class of every pixel, any shape.
        instances: instance id of every pixel, same shape; read for things only.
        stuff: the categories whose pixels form one segment each.
        ignore_index: this class becomes void; None makes nothing void.

    Returns:
        The segment map (0 void, ids from 1) and the category of every id.

    Raises:
        ValueError: the shapes differ.

    Example:
        >>> stuff_and_things([0, 0, 1, 1, 255], [9, 8, 1, 2, 3], stuff=[0])
        (array([1, 1, 2, 3, 0]), {1: 0, 2: 1, 3: 1})
    """
    kinds, objects = as_label_pair(categories, instances)
    refuse_black_white(kinds[:0], kinds, 1, ignore_index)
    objects = np.where(np.isin(kinds, list(stuff)), 0, as_labels(objects, "instances"))
    pairs = np.stack([kinds.reshape(-1), objects.reshape(-1)], axis=1).astype(np.int64)
    counted = np.ones(len(pairs), bool) if ignore_index is None else pairs[:, 0] != ignore_index
    distinct, position = np.unique(pairs[counted], axis=0, return_inverse=True)
    segments = np.zeros(len(pairs), np.int64)
    segments[counted] = position.reshape(-1) + 1
    table = {index + 1: int(kind) for index, (kind, _) in enumerate(distinct.tolist())}
    return segments.reshape(kinds.shape), table


def _categories_of(ids: Ints, table: Mapping[int, int], categories: int, name: str) -> Ints:
    found = [table.get(each, -1) for each in ids.tolist()]
    for each, category in zip(ids.tolist(), found, strict=True):
        if not 0 <= category < categories:
            raise ValueError(
                f"{name} segment {each} has the category {table.get(each)}, expected one in "
                f"0..{categories - 1}; name it in {name}_categories, or set its pixels to 0 (void)"
            )
    return np.array(found, np.int64)


def _iou_without_void(table: OverlapTable) -> Scores:
    """IoU of each pair where predicted pixels on void of the reference do not count."""
    on_void = _void_areas(table)
    sizes = table.reference_areas[table.rows] + (table.label_areas - on_void)[table.columns]
    return table.intersections / (sizes - table.intersections)


def _void_areas(table: OverlapTable) -> Ints:
    covered = np.bincount(table.columns, table.intersections, len(table.label_ids))
    return table.label_areas - covered.astype(np.int64)


def _excused(table: OverlapTable, on_crowd: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Mark predictions of which more than half lies on void and on crowds of their category."""
    columns, shared = table.columns[on_crowd], table.intersections[on_crowd]
    excused = _void_areas(table) + np.bincount(columns, shared, len(table.label_ids))
    return 2 * excused > table.label_areas
