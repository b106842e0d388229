"""Scores of one predicted mask against its reference by their names, as commands take them."""

import difflib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from episodes.errors import FewshotError
from episodes.io.pixels import IGNORE
from fewshot.metrics import instances, overlap, surface
from fewshot.metrics.boundary import boundary_iou
from fewshot.metrics.overlap import confusion_matrix
from fewshot.metrics.overlap_table import OverlapTable, overlap_table
from fewshot.metrics.skeleton import cl_dice
from fewshot.metrics.surface import SurfaceDistances, surface_distances
from fewshot.registry import METRICS

Unit = Literal["share", "distance", "number"]
"""A share lies in 0..1, a distance has the unit of the spacing, a number counts objects."""


@dataclass(frozen=True)
class MaskPair:
    """A predicted mask and its reference.

    Attributes:
        predicted: bool ``[height width]`` or ``[depth height width]``.
        reference: uint8 of the same shape: 0, 1 and 255 for unknown, which counts nowhere.
        spacing: size of a pixel along each axis.
        tolerance: of NSD, in the unit of the spacing.
    """

    predicted: NDArray[np.bool_]
    reference: NDArray[np.uint8]
    spacing: Sequence[float]
    tolerance: float

    @cached_property
    def confusion(self) -> NDArray[np.int64]:
        """Counts of the two labels ``[2 2]``, rows the reference."""
        return confusion_matrix(self.predicted, self.reference, 2, IGNORE)

    @cached_property
    def distances(self) -> SurfaceDistances:
        """Between the two surfaces."""
        return surface_distances(self.predicted, self.reference, self.spacing, ignore_index=IGNORE)

    @property
    def diagonal(self) -> float:
        """Length of the image's diagonal, in the unit of the spacing: no distance is larger."""
        return math.hypot(*np.multiply(self.predicted.shape, self.spacing))


@dataclass(frozen=True)
class MaskMetric:
    """A score of a mask.

    Attributes:
        unit: what its values are.
        of_pair: computes it from a pair.
        of_counts: computes it from a confusion matrix, so that pixels of several images can be
            pooled first; None where that has no meaning.
    """

    unit: Unit
    of_pair: Callable[[MaskPair], float]
    of_counts: Callable[[NDArray[np.int64]], float] | None = None


def register_metric(
    name: str, unit: Unit = "share"
) -> Callable[[Callable[[MaskPair], float]], Callable[[MaskPair], float]]:
    """Return a decorator that makes a function of a `MaskPair` a metric of `--metrics`.

    Example:
        >>> @register_metric("hd")  # doctest: +ELLIPSIS
        ... def largest(pair: MaskPair) -> float:
        ...     return 0.0
        Traceback (most recent call last):
        episodes.errors.FewshotError: two parts are named metric 'hd': ...
    """

    def add(function: Callable[[MaskPair], float]) -> Callable[[MaskPair], float]:
        METRICS.add(name, MaskMetric(unit, function), function)
        return function

    return add


def _register_counted(name: str, function: Callable[[Any], NDArray[np.float64]]) -> None:
    """Make a score of every label of a confusion matrix a metric; that of label 1 counts."""

    def of_counts(confusion: NDArray[np.int64]) -> float:
        return float(function(confusion)[1])

    METRICS.add(
        name, MaskMetric("share", lambda pair: of_counts(pair.confusion), of_counts), of_counts
    )


_register_counted("dice", overlap.dice)
_register_counted("iou", overlap.iou)
_register_counted("precision", overlap.precision)
_register_counted("recall", overlap.recall)
_register_counted("specificity", overlap.specificity)
_register_counted("volumetric_similarity", overlap.volumetric_similarity)
register_metric("hd", "distance")(lambda pair: surface.hausdorff(pair.distances))
# The larger of the two directed percentiles; hd95_pooled is the percentile of both together.
register_metric("hd95", "distance")(lambda pair: surface.hd_directed(pair.distances))
register_metric("hd95_pooled", "distance")(lambda pair: surface.hd_pooled(pair.distances))
register_metric("assd", "distance")(lambda pair: surface.assd(pair.distances))
register_metric("masd", "distance")(lambda pair: surface.masd(pair.distances))
register_metric("nsd")(lambda pair: surface.nsd(pair.distances, pair.tolerance))


@register_metric("boundary_iou")
def _boundary_iou(pair: MaskPair) -> float:
    return boundary_iou(pair.predicted, pair.reference, ignore_index=IGNORE)


@register_metric("cldice")
def _cl_dice(pair: MaskPair) -> float:
    return cl_dice(pair.predicted, pair.reference, ignore_index=IGNORE).dice


def _matched(function: Callable[[Any], NDArray[np.float64]]) -> Callable[[OverlapTable], float]:
    return lambda table: float(function(instances.match_counts(table))[0])


OBJECT_METRICS: dict[str, tuple[Unit, Callable[[OverlapTable], float]]] = {
    "objects_f1": ("share", _matched(instances.f1)),
    "objects_precision": ("share", _matched(instances.precision)),
    "objects_recall": ("share", _matched(instances.recall)),
    "objects_ap": ("share", _matched(instances.average_precision)),
    "dsb_score": ("share", instances.dsb_score),
    "aji": ("share", instances.aggregated_jaccard),
    "pq": ("share", _matched(instances.panoptic_quality)),
    "count_error": ("number", lambda table: float(instances.count_error(table).difference)),
    "count_mae": ("number", lambda table: float(instances.count_error(table).absolute)),
}
"""Scores of numbered objects, matched at IoU > 0.5; count_error is predicted minus actual, and
count_mae its absolute value, whose mean over images is the mean absolute error."""


def check_metrics(names: Sequence[str]) -> None:
    """Raise unless every name is one of `fewshot.registry.METRICS`, and each is there once.

    Raises:
        FewshotError: the message names the nearest.

    Example:
        >>> check_metrics(["dice", "hd95"])
    """
    for number, name in enumerate(names):
        if name not in METRICS:
            near = difflib.get_close_matches(name, METRICS.names(), n=1, cutoff=0.4)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise FewshotError(
                f"there is no metric {name!r}; there are {', '.join(METRICS.names())}{hint}"
            )
        if name in names[:number]:
            raise FewshotError(f"metric {name} is named twice; name it once")


def score_pair(pair: MaskPair, names: Sequence[str]) -> dict[str, float]:
    """Compute some scores of a pair, distances and counts once.

    Returns:
        A value a name: NaN where neither mask has a pixel, inf for a distance where one has none.

    Example:
        >>> truth = np.array([[1, 1, 0, 255]], np.uint8)
        >>> pair = MaskPair(np.array([[True, False, False, True]]), truth, (1.0, 2.0), 1.0)
        >>> {name: round(value, 3) for name, value in score_pair(pair, ["dice", "hd"]).items()}
        {'dice': 0.667, 'hd': 2.0}
    """
    return {name: METRICS[name].of_pair(pair) for name in names}


def score_objects(predicted: Any, reference: Any, ignored: Any = None) -> dict[str, float]:
    """Compute all of `OBJECT_METRICS` of two maps of numbered objects.

    Args:
        predicted, reference: whole numbers of the same shape, 0 background, a number an object.
        ignored: bool, pixels that count nowhere.

    Example:
        >>> found = score_objects([[7, 7, 0, 0, 9]], [[1, 1, 1, 0, 2]])
        >>> found["objects_f1"], found["count_error"]
        (1.0, 0.0)
    """
    table = overlap_table(predicted, reference, ignored)
    return {name: function(table) for name, (_, function) in OBJECT_METRICS.items()}


def unit_of(name: str) -> Unit:
    """Return the unit of a score of either table.

    >>> unit_of("dice"), unit_of("hd95"), unit_of("count_error")
    ('share', 'distance', 'number')
    """
    return METRICS[name].unit if name in METRICS else OBJECT_METRICS[name][0]
