"""Distances between the surfaces of two masks, 2-D or 3-D, in the unit of the spacing.

The nearest distances are measured once (``surface_distances``) and every score is taken from them.
A surface pixel is a pixel of the mask with at least one face neighbour outside it; outside the
image counts as outside the mask. What happens to empty masks is described in ``fewshot.metrics``:
both empty NaN, one empty distance inf and NSD 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewshot.ignored import DEFAULT
from fewshot.metrics.arrays import as_label_pair, refuse_black_white
from fewshot.metrics.boundary import surface

Mask = NDArray[np.bool_]
Distances = NDArray[np.float64]


@dataclass(frozen=True)
class SurfaceDistances:
    """Nearest distances between two surfaces, in both directions.

    Attributes:
        to_reference: distance of each predicted surface pixel to the reference surface
            ``[predicted_pixel]``; inf if there is no reference surface.
        to_prediction: distance of each reference surface pixel to the predicted surface
            ``[reference_pixel]``; inf if there is no predicted surface.
    """

    to_reference: Distances
    to_prediction: Distances

    @property
    def undefined(self) -> bool:
        """Whether neither mask has a surface."""
        return not self.to_reference.size and not self.to_prediction.size

    @property
    def missing(self) -> bool:
        """Whether just one of the masks has a surface."""
        return bool(self.to_reference.size) != bool(self.to_prediction.size)


def surface_distances(
    labels: Any,
    reference: Any,
    spacing: float | Sequence[float] = 1.0,
    *,
    class_index: int = 1,
    ignore_index: int | None = DEFAULT,
    workers: int = 1,
) -> SurfaceDistances:
    """Measure the distance of every surface pixel to the nearest pixel of the other surface.

    Args:
        labels: predicted labels or mask, ``[height width]`` or ``[depth height width]``.
        reference: reference labels or mask of the same shape.
        spacing: pixel size, one number or one an axis, in the unit of the result (mm); above 0.
        class_index: the class whose surface is measured; 1 is True in a mask.
        ignore_index: pixels with this reference label carry no surface and make none next to
            them; None switches it off.
        workers: threads of the nearest-neighbour search; -1 takes all cores.

    Returns:
        The distances in both directions.

    Raises:
        ValueError: the shapes differ, or the spacing does not fit.

    Example:
        Two single pixels three columns apart, columns 2 mm wide:

        >>> distances = surface_distances([[1, 0, 0, 0]], [[0, 0, 0, 1]], spacing=(1, 2))
        >>> distances.to_reference, distances.to_prediction
        (array([6.]), array([6.]))
    """
    first, second = as_label_pair(labels, reference)
    refuse_black_white(first, second, class_index, ignore_index)
    scale = _checked_spacing(spacing, first.ndim)
    mask, truth = first == class_index, second == class_index
    ignored = None if ignore_index is None else second == ignore_index
    mask, truth, ignored = _crop(mask, truth, ignored)
    edge, true_edge = surface(mask, ignored), surface(truth, ignored)
    points, true_points = _points(edge, scale), _points(true_edge, scale)
    shared = edge & true_edge  # these are at distance 0: no need to search
    return SurfaceDistances(
        _nearest(points, true_points, shared[edge], workers),
        _nearest(true_points, points, shared[true_edge], workers),
    )


def hausdorff(distances: SurfaceDistances) -> float:
    """Hausdorff distance: the largest nearest distance in either direction.

    Args:
        distances: from ``surface_distances``.

    Returns:
        A distance >= 0; inf if one mask is empty, NaN if both are.

    Example:
        >>> hausdorff(SurfaceDistances(np.array([0.0, 1.0]), np.array([0.0, 3.0])))
        3.0

    Paper:
        Huttenlocher et al., Comparing images using the Hausdorff distance, TPAMI 1993.
    """
    if distances.undefined or distances.missing:
        return float("inf" if distances.missing else "nan")
    return float(max(distances.to_reference.max(), distances.to_prediction.max()))


def hd_directed(distances: SurfaceDistances, percent: float = 95) -> float:
    """HD95 as the larger of the two directed percentiles (MONAI, Metrics Reloaded).

    Args:
        distances: from ``surface_distances``.
        percent: percentile in 0..100, interpolated linearly.

    Returns:
        A distance >= 0; inf if one mask is empty, NaN if both are.

    Raises:
        ValueError: the percentile is outside 0..100.

    Example:
        Three reference pixels at 0, 0 and 4: their 50th percentile is 0, their 75th is 2.

        >>> distances = SurfaceDistances(np.array([0.0, 1.0]), np.array([0.0, 0.0, 4.0]))
        >>> hd_directed(distances, percent=50), hd_directed(distances, percent=75)
        (0.5, 2.0)

    Paper:
        Maier-Hein et al., Metrics reloaded, Nature Methods 2024.
    """
    _check_percent(percent)
    if distances.undefined or distances.missing:
        return float("inf" if distances.missing else "nan")
    directed = (distances.to_reference, distances.to_prediction)
    return max(float(np.percentile(each, percent)) for each in directed)


def hd_pooled(distances: SurfaceDistances, percent: float = 95) -> float:
    """HD95 as the percentile of both directions pooled (MedPy, panoptica).

    Args:
        distances: from ``surface_distances``.
        percent: percentile in 0..100, interpolated linearly.

    Returns:
        A distance >= 0, never above ``hausdorff``; inf if one mask is empty, NaN if both are.

    Raises:
        ValueError: the percentile is outside 0..100.

    Example:
        Pooled 0, 0, 0, 1, 4: the 75th percentile is 1.

        >>> hd_pooled(SurfaceDistances(np.array([0.0, 1.0]), np.array([0.0, 0.0, 4.0])), 75)
        1.0
    """
    _check_percent(percent)
    if distances.undefined or distances.missing:
        return float("inf" if distances.missing else "nan")
    return float(np.percentile(_pooled(distances), percent))


def assd(distances: SurfaceDistances) -> float:
    """Average symmetric surface distance: the mean over the pixels of both surfaces.

    Args:
        distances: from ``surface_distances``.

    Returns:
        A distance >= 0; inf if one mask is empty, NaN if both are.

    Example:
        >>> assd(SurfaceDistances(np.array([0.0, 1.0]), np.array([0.0, 0.0, 4.0])))
        1.0

    Paper:
        Heimann et al., Comparison and evaluation of methods for liver segmentation, TMI 2009.
    """
    if distances.undefined or distances.missing:
        return float("inf" if distances.missing else "nan")
    return float(_pooled(distances).mean())


def masd(distances: SurfaceDistances) -> float:
    """Mean average surface distance: the mean of the two directed means.

    Args:
        distances: from ``surface_distances``.

    Returns:
        A distance >= 0; inf if one mask is empty, NaN if both are. A large and a small surface
        weigh the same here; in ``assd`` they weigh by their size.

    Example:
        Directed means 0.5 and 4/2.

        >>> masd(SurfaceDistances(np.array([0.0, 1.0]), np.array([0.0, 4.0])))
        1.25

    Paper:
        Maier-Hein et al., Metrics reloaded, Nature Methods 2024.
    """
    if distances.undefined or distances.missing:
        return float("inf" if distances.missing else "nan")
    return float((distances.to_reference.mean() + distances.to_prediction.mean()) / 2)


def nsd(distances: SurfaceDistances, tolerance: float) -> float:
    """Normalised surface Dice: the share of both surfaces within a tolerance of the other.

    Args:
        distances: from ``surface_distances``.
        tolerance: the accepted distance in the unit of the spacing, >= 0 and inclusive; how far
            two experts differ is a good choice.

    Returns:
        A score in 0..1; 0 if one mask is empty, NaN if both are. Pixels are counted; the original
        weighs them by the area of their surface element.

    Raises:
        ValueError: the tolerance is negative or NaN.

    Example:
        >>> nsd(SurfaceDistances(np.array([0.0, 1.0]), np.array([0.0, 0.0, 4.0])), tolerance=1)
        0.8

    Paper:
        Nikolov et al., Deep learning to achieve clinically applicable segmentation of head and
        neck anatomy, 2018.
    """
    if not tolerance >= 0:
        raise ValueError(f"tolerance is {tolerance}, expected a distance >= 0")
    if distances.undefined:
        return float("nan")
    within = (_pooled(distances) <= tolerance).mean()
    return 0.0 if distances.missing else float(within)


def _pooled(distances: SurfaceDistances) -> Distances:
    return np.concatenate([distances.to_reference, distances.to_prediction])


def _check_percent(percent: float) -> None:
    if not 0 <= percent <= 100:
        raise ValueError(f"percent is {percent}, expected 0..100")


def _checked_spacing(spacing: float | Sequence[float], axes: int) -> Distances:
    scale = np.asarray(spacing, np.float64)
    if scale.ndim > 1 or (scale.ndim == 1 and len(scale) != axes):
        raise ValueError(f"spacing is {spacing}, expected one number or {axes}, one an axis")
    if not (np.isfinite(scale) & (scale > 0)).all():
        raise ValueError(f"spacing is {spacing}, expected finite numbers above 0")
    return np.broadcast_to(scale, (axes,))


def _crop(mask: Mask, truth: Mask, ignored: Mask | None) -> tuple[Mask, Mask, Mask | None]:
    """Cut to the box of both masks, one pixel wider so that ignored neighbours stay known."""
    either = mask | truth
    box = []
    for axis in range(either.ndim):
        others = tuple(other for other in range(either.ndim) if other != axis)
        hit = np.flatnonzero(either.any(axis=others))
        box.append(slice(max(hit[0] - 1, 0), hit[-1] + 2) if hit.size else slice(0, 0))
    where = tuple(box)
    return mask[where], truth[where], None if ignored is None else ignored[where]


def _points(edge: Mask, scale: Distances) -> Distances:
    # unravelling flat positions is four times as fast as argwhere
    return np.stack(np.unravel_index(np.flatnonzero(edge), edge.shape), axis=1) * scale


def _nearest(points: Distances, targets: Distances, shared: Mask, workers: int) -> Distances:
    from scipy.spatial import cKDTree

    result = np.zeros(len(points))
    if not len(targets):
        return np.full(len(points), np.inf)
    apart = ~shared
    if apart.any():
        # one batch of queries a tree: a quick build and large leaves beat a balanced tree
        tree = cKDTree(targets, leafsize=32, balanced_tree=False, compact_nodes=False)
        result[apart] = tree.query(points[apart], workers=workers)[0]
    return result
