"""Instance scores, all derived from one sparse table of overlaps.

Instance maps hold 0 for background and a positive id an object; ids need not be consecutive. As 255
is an id like any other here, ignored pixels are given as a mask (``ignored``). What happens to
empty images is described in ``fewshot.metrics``: no object in either NaN, in one only 0.

>>> reference = np.array([[1, 1, 1, 0, 2, 2]])
>>> labels = np.array([[7, 7, 0, 0, 9, 0]])
>>> table = overlap_table(labels, reference)
>>> table.iou.round(4)
array([0.6667, 0.5   ])
>>> counts = match_counts(table, thresholds=[0.5], comparison=">=")
>>> counts.round(4)  # TP, FP, FN, sum of the matched IoU
array([[2.    , 0.    , 0.    , 1.1667]])
>>> f1(counts), f1(match_counts(table, thresholds=[0.5], comparison=">"))
(array([1.]), array([0.5]))
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fewshot.metrics.matching import match_pairs
from fewshot.metrics.overlap import ratio
from fewshot.metrics.overlap_table import OverlapTable, overlap_table

Scores = NDArray[np.float64]

DSB_THRESHOLDS = tuple(step / 20 for step in range(10, 20))  # 0.50, 0.55 .. 0.95, without drift


def match_counts(
    table: OverlapTable,
    thresholds: Sequence[float] = (0.5,),
    *,
    comparison: Literal[">", ">="] = ">",
    method: Literal["optimal", "greedy"] = "optimal",
) -> Scores:
    """Count matched, invented and missed objects at each IoU threshold.

    Args:
        table: from ``overlap_table``.
        thresholds: IoU thresholds in 0..1.
        comparison: ">" as Kaggle and COCO panoptic do, ">=" as StarDist and Cellpose do.
        method: "optimal" finds the most matches and among those the largest sum of IoU; "greedy"
            takes the pairs by falling IoU. They agree where no object has two candidates, which
            is always so for ">" with thresholds of 0.5 and above.

    Returns:
        float64 ``[threshold 4]``: true positives, false positives, false negatives and the sum of
        the matched IoU. Counts of several images can be summed.

    Raises:
        ValueError: a setting is not one of those named, or a threshold is outside 0..1.

    Example:
        See the head of this module.
    """
    matched = [match_pairs(table, each, comparison, method) for each in thresholds]
    hits = np.array([len(each) for each in matched], np.float64)
    return np.stack(
        [
            hits,
            len(table.label_ids) - hits,
            len(table.reference_ids) - hits,
            np.array([table.iou[each].sum() for each in matched]),
        ],
        axis=-1,
    ).reshape(-1, 4)


def count_matches(
    labels: Any, reference: Any, thresholds: Sequence[float] = (0.5,), **settings: Any
) -> Scores:
    """Count matches straight from two instance maps, for ``accumulate.CountSum``.

    Args:
        labels: predicted instance map.
        reference: reference instance map of the same shape.
        thresholds: IoU thresholds in 0..1.
        **settings: ``comparison`` and ``method`` of ``match_counts``, ``ignored`` of
            ``overlap_table``.

    Returns:
        float64 ``[threshold 4]``, see ``match_counts``.

    Example:
        >>> count_matches([1, 1, 0], [5, 5, 5])
        array([[1.        , 0.        , 0.        , 0.66666667]])
    """
    table = overlap_table(labels, reference, ignored=settings.pop("ignored", None))
    return match_counts(table, thresholds, **settings)


def precision(counts: Scores) -> Scores:
    """Share of the predicted objects that were matched: TP / (TP + FP).

    Args:
        counts: ``[... 4]`` from ``match_counts``.

    Returns:
        ``[...]`` in 0..1; 0 if nothing was predicted where something is, NaN if nothing is there.

    Example:
        >>> precision(np.array([3.0, 1.0, 2.0, 2.4])).item()
        0.75
    """
    hits, invented, missed, _ = np.moveaxis(np.asarray(counts), -1, 0)
    score = ratio(hits, hits + invented)
    return np.where(np.isnan(score) & (missed > 0), 0.0, score)


def recall(counts: Scores) -> Scores:
    """Share of the reference objects that were matched: TP / (TP + FN).

    Args:
        counts: ``[... 4]`` from ``match_counts``.

    Returns:
        ``[...]`` in 0..1; 0 if all objects were invented, NaN if there are none at all.

    Example:
        >>> recall(np.array([3.0, 1.0, 2.0, 2.4])).item()
        0.6
    """
    return precision(np.asarray(counts)[..., [0, 2, 1, 3]])


def f1(counts: Scores) -> Scores:
    """Harmonic mean of precision and recall: TP / (TP + FP / 2 + FN / 2).

    Args:
        counts: ``[... 4]`` from ``match_counts``.

    Returns:
        ``[...]`` in 0..1; NaN if there are no objects at all.

    Example:
        >>> round(f1(np.array([3.0, 1.0, 2.0, 2.4])).item(), 4)
        0.6667
    """
    hits, invented, missed, _ = np.moveaxis(np.asarray(counts), -1, 0)
    return ratio(hits, hits + (invented + missed) / 2)


def average_precision(counts: Scores) -> Scores:
    """AP as microscopy uses the word: TP / (TP + FP + FN), without confidence scores.

    Args:
        counts: ``[... 4]`` from ``match_counts``.

    Returns:
        ``[...]`` in 0..1; NaN if there are no objects at all. For AP over ranked scores see
        ``ranking``.

    Example:
        >>> average_precision(np.array([3.0, 1.0, 2.0, 2.4])).item()
        0.5

    Paper:
        Caicedo et al., Nucleus segmentation across imaging experiments: the 2018 Data Science
        Bowl, Nature Methods 2019.
    """
    hits, invented, missed, _ = np.moveaxis(np.asarray(counts), -1, 0)
    return ratio(hits, hits + invented + missed)


def matched_iou(counts: Scores) -> Scores:
    """Mean IoU of the matched objects (segmentation quality, SQ).

    Args:
        counts: ``[... 4]`` from ``match_counts``.

    Returns:
        ``[...]`` in 0..1; NaN if nothing was matched.

    Example:
        >>> round(matched_iou(np.array([3.0, 1.0, 2.0, 2.4])).item(), 4)
        0.8
    """
    counts = np.asarray(counts)
    return ratio(counts[..., 3], counts[..., 0])


def panoptic_quality(counts: Scores) -> Scores:
    """Panoptic quality of one class of objects: the matched IoU over TP + FP / 2 + FN / 2.

    Args:
        counts: ``[... 4]`` from ``match_counts``, as published at IoU > 0.5.

    Returns:
        ``[...]`` in 0..1; NaN if there are no objects at all. Background is not scored and
        excuses nothing; for several classes, stuff and void see ``panoptic``.

    Example:
        >>> round(panoptic_quality(np.array([3.0, 1.0, 2.0, 2.4])).item(), 4)
        0.5333

    Paper:
        Kirillov et al., Panoptic segmentation, CVPR 2019.
    """
    counts = np.asarray(counts)
    return ratio(counts[..., 3], counts[..., 0] + (counts[..., 1] + counts[..., 2]) / 2)


def dsb_score(table: OverlapTable) -> float:
    """Score of the 2018 Data Science Bowl for one image: mean AP over IoU > 0.50, 0.55 .. 0.95.

    Args:
        table: from ``overlap_table``.

    Returns:
        A score in 0..1; NaN if there are no objects at all. The score of a data set is the mean
        over its images (``averages.average``).

    Example:
        One object of IoU 2/3 passes 0.50, 0.55, 0.60 and 0.65, so 4 of 10 thresholds.

        >>> dsb_score(overlap_table([1, 1, 0], [5, 5, 5]))
        0.4

    Paper:
        Caicedo et al., Nucleus segmentation across imaging experiments: the 2018 Data Science
        Bowl, Nature Methods 2019.
    """
    return float(average_precision(match_counts(table, DSB_THRESHOLDS)).mean())


def aggregated_jaccard(table: OverlapTable, *, one_to_one: bool = False) -> float:
    """Return the aggregated Jaccard index: one IoU whose parts are summed over all objects.

    Args:
        table: from ``overlap_table``.
        one_to_one: False lets every reference object take its best prediction, even one that was
            taken before (AJI as published); True matches one to one first (AJI+).

    Returns:
        A score in 0..1; NaN if there are no objects at all.

    Example:
        Intersection 2 of union 3, and a missed object of 1 pixel: 2/4.

        >>> aggregated_jaccard(overlap_table([1, 1, 0, 0, 0], [5, 5, 5, 0, 6]))
        0.5

    Paper:
        Kumar et al., A dataset and a technique for generalized nuclear segmentation for
        computational pathology, TMI 2017. AJI+: Graham et al., HoVer-Net, MedIA 2019.
    """
    if one_to_one:
        best = match_pairs(table, 0.0, ">", "optimal", maximise_count=False)
    else:
        order = np.lexsort((-table.iou, table.rows))  # by reference object, best IoU first
        best = order[np.unique(table.rows[order], return_index=True)[1]]
    shared = table.intersections[best].sum()
    union = (table.reference_areas[table.rows[best]] + table.label_areas[table.columns[best]]).sum()
    lost = np.delete(table.reference_areas, table.rows[best]).sum()
    unused = np.delete(table.label_areas, table.columns[best]).sum()
    return float(ratio(shared, union - shared + lost + unused))


class CountError(NamedTuple):
    """How far the number of objects is off.

    Attributes:
        predicted: number of predicted objects.
        reference: number of reference objects.
        difference: predicted - reference; its mean over images is the bias.
        absolute: absolute difference; its mean over images is the count MAE.
        relative: absolute / reference; NaN if both are 0, inf if objects were invented where
            there are none.
    """

    predicted: int
    reference: int
    difference: int
    absolute: int
    relative: float


def count_error(table: OverlapTable) -> CountError:
    """Compare the numbers of objects, wherever they lie.

    Args:
        table: from ``overlap_table``.

    Returns:
        Both counts and their difference.

    Example:
        >>> count_error(overlap_table([1, 2, 3, 3], [1, 1, 2, 2]))
        CountError(predicted=3, reference=2, difference=1, absolute=1, relative=0.5)
    """
    predicted, reference = len(table.label_ids), len(table.reference_ids)
    absolute = abs(predicted - reference)
    empty = float("inf") if absolute else float("nan")
    relative = absolute / reference if reference else empty
    return CountError(predicted, reference, predicted - reference, absolute, relative)
