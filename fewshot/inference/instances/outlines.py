"""Moves the outline of each object to where its own intensity falls to that around it."""

import numpy as np

from fewshot.lazily import lazily

ndimage = lazily("scipy.ndimage")
measure = lazily("skimage.measure")
segmentation = lazily("skimage.segmentation")

_BAND = 4  # that the outline moves outwards at most, in pixels
_AROUND = 8  # that the surroundings reach, in pixels
_GAP = 2  # between object and surroundings, where the object's own light still is
_CORE = 2  # from the outline, in pixels: the object, wherever its outline is exactly
_SMOOTHING = 0.7


def refine_outlines(labels: np.ndarray, image: np.ndarray, share: float) -> np.ndarray:
    """Threshold each object and a band around it between its own intensity and its surroundings'.

    Both are medians, so that dim and bright objects of one image have each their own threshold; of
    colours the projection on the line between the two counts. An object without contrast, or whose
    core is not found again, keeps its outline.

    Args:
        labels: objects [height width], 0 background.
        image: [height width] or [height width 3], of any scale.
        share: of the way from the surroundings (0) to the object (1), at which the outline lies.

    Returns:
        int32 like the labels, with the same numbers.

    >>> image = np.zeros((9, 9))
    >>> image[2:7, 2:7] = 1
    >>> int(refine_outlines((np.indices((9, 9)) // 4 == 1).all(0) * 1, image, 0.5).sum())
    25
    """
    count = int(labels.max(initial=0))
    if not count:
        return labels
    channels = image[..., None] if image.ndim == 2 else image
    smooth = ndimage.gaussian_filter(channels.astype(np.float32), (_SMOOTHING, _SMOOTHING, 0))
    grown = segmentation.expand_labels(labels, _BAND)
    core = _core(labels)
    away = ndimage.distance_transform_edt(labels == 0) > _GAP
    ring = np.where(away, segmentation.expand_labels(labels, _AROUND), 0)
    inner, outer = _medians(smooth, core, count), _medians(smooth, ring, count)
    if away.any():
        outer = np.where(np.isnan(outer), np.median(smooth[away], axis=0), outer)
    line = inner - outer
    length = (line**2).sum(axis=1)
    known = length > 0  # NaN, where nothing is around the object, is not
    line = np.where(known[:, None], line / np.where(known, length, 1)[:, None], 0)
    along = ((smooth - np.nan_to_num(outer)[grown]) * line[grown]).sum(axis=2)
    found = measure.label(np.where(along >= share, grown, 0), connectivity=1)
    return _pieces_of_cores(found, labels, grown, core, known)


def _core(labels: np.ndarray) -> np.ndarray:
    """Pixels farther inside than `_CORE`; of thin objects the innermost."""
    edges = segmentation.find_boundaries(labels, mode="inner", background=0)
    depth = np.where(labels > 0, ndimage.distance_transform_edt(~edges) + 1, 0)
    deepest = ndimage.maximum(depth, labels, np.arange(int(labels.max()) + 1))
    return np.where(depth >= np.minimum(_CORE, np.asarray(deepest))[labels], labels, 0)


def _medians(smooth: np.ndarray, where: np.ndarray, count: int) -> np.ndarray:
    """Median of each channel of each object [object channel], from 0; NaN of one without pixels."""
    numbers = np.arange(count + 1)
    present = np.bincount(where.ravel(), minlength=count + 1)[: count + 1] > 0
    found = np.full((count + 1, smooth.shape[2]), np.nan, np.float32)
    for channel in range(smooth.shape[2]):
        found[present, channel] = ndimage.median(smooth[..., channel], where, numbers[present])
    return found


def _pieces_of_cores(
    found: np.ndarray,
    labels: np.ndarray,
    grown: np.ndarray,
    core: np.ndarray,
    known: np.ndarray,
) -> np.ndarray:
    """Keep of each object the piece that holds most of its core, else the object as it was."""
    inside = np.where(core > 0, found, 0)
    held = np.bincount(inside.ravel(), minlength=int(found.max()) + 1)
    held[0] = 0
    owner = np.zeros(len(held), np.int64)
    owner[found] = grown
    order = np.argsort(held, kind="stable")  # the last of an object is its largest
    best = np.zeros(len(known), np.int64)
    best[owner[order]] = order
    good = known & (held[best] > 0)
    good[0] = False
    kept = (found > 0) & (found == best[grown]) & good[grown]
    result = np.where(kept, grown, 0)
    stays = (labels > 0) & ~good[labels]
    return np.where(stays, labels, result).astype(np.int32)
