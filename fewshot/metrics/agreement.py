"""Scores of a whole confusion matrix: accuracy, foreground-background IoU, kappa, MCC, means.

Every function takes ``confusion [... classes classes]`` from ``overlap.confusion_matrix``, rows the
reference, and returns ``[...]``.
"""

import numpy as np

from fewshot.metrics.overlap import Counts, Scores, iou, ratio, recall


def pixel_accuracy(confusion: Counts) -> Scores:
    """Share of the pixels with the right class.

    Args:
        confusion: counts ``[... classes classes]``.

    Returns:
        ``[...]`` in 0..1; NaN where nothing was counted.

    Example:
        >>> float(pixel_accuracy(np.array([[3, 2], [1, 4]])))
        0.7
    """
    counts = np.asarray(confusion)
    return ratio(np.trace(counts, axis1=-2, axis2=-1), counts.sum(axis=(-2, -1)))


def balanced_accuracy(confusion: Counts) -> Scores:
    """Mean recall over the classes that the reference holds.

    Args:
        confusion: counts ``[... classes classes]``.

    Returns:
        ``[...]`` in 0..1; NaN where nothing was counted.

    Example:
        Recalls 0.6 and 0.8; class 2 was only invented and costs precision, not recall.

        >>> float(balanced_accuracy(np.array([[3, 2, 0], [1, 8, 1], [0, 0, 0]])))
        0.7

    Paper:
        Brodersen et al., The balanced accuracy and its posterior distribution, ICPR 2010.
    """
    counts = np.asarray(confusion)
    present = counts.sum(axis=-1) > 0
    found = np.where(present, recall(counts), 0.0)
    return ratio(found.sum(axis=-1), present.sum(axis=-1))


def merge_foreground(confusion: Counts) -> Counts:
    """Make classes 1 and up one foreground class.

    Args:
        confusion: counts ``[... classes classes]`` with at least two classes, 0 the background.

    Returns:
        Counts ``[... 2 2]``.

    Raises:
        ValueError: there is one class only.

    Example:
        >>> merge_foreground(np.array([[5, 1, 0], [2, 3, 1], [0, 1, 4]]))
        array([[5, 1],
               [2, 9]])
    """
    counts = np.asarray(confusion)
    if counts.shape[-1] < 2:
        raise ValueError(f"confusion has shape {counts.shape}, expected at least two classes")
    merged = np.empty((*counts.shape[:-2], 2, 2), counts.dtype)
    merged[..., 0, 0] = counts[..., 0, 0]
    merged[..., 0, 1] = counts[..., 0, 1:].sum(axis=-1)
    merged[..., 1, 0] = counts[..., 1:, 0].sum(axis=-1)
    merged[..., 1, 1] = counts[..., 1:, 1:].sum(axis=(-2, -1))
    return merged


def fb_iou(confusion: Counts) -> Scores:
    """Foreground-background IoU: the mean of the two IoUs after all classes were merged into one.

    Args:
        confusion: counts ``[... classes classes]``, 0 the background.

    Returns:
        ``[...]`` in 0..1: one of the two alone where the other is in neither, NaN where nothing
        was counted.

    Example:
        Background 5/8, foreground 9/12.

        >>> float(fb_iou(np.array([[5, 1, 0], [2, 3, 1], [0, 1, 4]])))
        0.6875

    Paper:
        Rakelly et al., Conditional networks for few-shot semantic segmentation, 2018.
    """
    scores = iou(merge_foreground(confusion))
    defined = ~np.isnan(scores)
    return ratio(np.where(defined, scores, 0.0).sum(axis=-1), defined.sum(axis=-1))


def frequency_weighted(scores: Scores, confusion: Counts) -> Scores:
    """Mean of class scores weighted by how many reference pixels each class has.

    Args:
        scores: one score a class ``[... classes]``, such as ``iou(confusion)``.
        confusion: counts ``[... classes classes]``.

    Returns:
        ``[...]``; undefined classes are left out, NaN where nothing is left.

    Example:
        IoU 0.5 for 5 pixels and 4/7 for 5 pixels.

        >>> confusion = np.array([[3, 2], [1, 4]])
        >>> round(float(frequency_weighted(iou(confusion), confusion)), 4)
        0.5357

    Paper:
        Long et al., Fully convolutional networks for semantic segmentation, CVPR 2015.
    """
    defined = ~np.isnan(scores)
    weights = np.where(defined, np.asarray(confusion).sum(axis=-1), 0)
    return ratio((np.where(defined, scores, 0.0) * weights).sum(axis=-1), weights.sum(axis=-1))


def cohen_kappa(confusion: Counts) -> Scores:
    """Agreement beyond chance: (observed - expected) / (1 - expected).

    Args:
        confusion: counts ``[... classes classes]``.

    Returns:
        ``[...]`` in -1..1; NaN where only one class occurs, or none.

    Example:
        Observed 0.7, expected (5 * 4 + 5 * 6) / 100 = 0.5.

        >>> round(float(cohen_kappa(np.array([[3, 2], [1, 4]]))), 4)
        0.4

    Paper:
        Cohen, A coefficient of agreement for nominal scales, 1960.
    """
    # scaled by total^2, in float64: int64 products of voxel counts overflow above 3e9
    correct, total, chance, _, _ = _margins(confusion)
    return ratio(correct * total - chance, total * total - chance)


def matthews_correlation(confusion: Counts) -> Scores:
    """Matthews correlation coefficient, generalised to several classes (R_K).

    Args:
        confusion: counts ``[... classes classes]``.

    Returns:
        ``[...]`` in -1..1; 0 where one of the two is constant and the other is not the same
        constant, NaN where only one class occurs, or none.

    Example:
        (3 * 4 - 2 * 1) / sqrt(4 * 6 * 5 * 5)

        >>> round(float(matthews_correlation(np.array([[3, 2], [1, 4]]))), 4)
        0.4082

    Paper:
        Gorodkin, Comparing two K-category assignments by a K-category correlation coefficient,
        Comput. Biol. Chem. 2004.
    """
    correct, total, chance, predicted_square, reference_square = _margins(confusion)
    spread = np.sqrt(
        np.maximum(total * total - predicted_square, 0)
        * np.maximum(total * total - reference_square, 0)
    )
    score = ratio(np.where(spread > 0, correct * total - chance, 0.0), spread)
    several = total * total > chance  # equal only if both are one and the same class throughout
    return np.where((spread == 0) & several, 0.0, score)


def _margins(confusion: Counts) -> tuple[Scores, Scores, Scores, Scores, Scores]:
    counts = np.asarray(confusion, np.float64)
    reference, predicted = counts.sum(axis=-1), counts.sum(axis=-2)
    return (
        np.trace(counts, axis1=-2, axis2=-1),
        counts.sum(axis=(-2, -1)),
        (reference * predicted).sum(axis=-1),
        (predicted**2).sum(axis=-1),
        (reference**2).sum(axis=-1),
    )
