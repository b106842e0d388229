"""Centre-line Dice: whether thin and branching structures are connected, whatever their width."""

from typing import Any, NamedTuple

import numpy as np

from fewshot.ignored import DEFAULT
from fewshot.metrics.arrays import as_label_pair, refuse_black_white


class CentrelineDice(NamedTuple):
    """Centre-line Dice and its two parts.

    Attributes:
        dice: harmonic mean of the two.
        precision: share of the predicted centre line inside the reference.
        sensitivity: share of the reference centre line inside the prediction.
    """

    dice: float
    precision: float
    sensitivity: float


def cl_dice(
    labels: Any, reference: Any, *, class_index: int = 1, ignore_index: int | None = DEFAULT
) -> CentrelineDice:
    """Centre-line Dice of one class, 2-D or 3-D.

    Args:
        labels: predicted labels or mask, ``[height width]`` or ``[depth height width]``.
        reference: reference labels or mask of the same shape.
        class_index: the class; 1 is True in a mask.
        ignore_index: pixels with this reference label are dropped from both masks before the
            centre lines are taken; None drops nothing.

    Returns:
        Three scores in 0..1; all 0 if one mask is empty, all NaN if both are.

    Raises:
        ValueError: the shapes differ or the masks have another number of axes.

    Example:
        Lines are their own skeletons: of 5 reference pixels 3 are found, and all 3 are right.

        >>> score = cl_dice([[1, 1, 1, 0, 0]], [[1, 1, 1, 1, 1]])
        >>> round(score.dice, 4), score.precision, score.sensitivity
        (0.75, 1.0, 0.6)

    Paper:
        Shit et al., clDice - a novel topology-preserving loss function for tubular structure
        segmentation, CVPR 2021.
    """
    from skimage.morphology import skeletonize

    first, second = as_label_pair(labels, reference)
    refuse_black_white(first, second, class_index, ignore_index)
    if first.ndim not in (2, 3):
        raise ValueError(f"labels have shape {first.shape}, expected 2 or 3 axes")
    mask, truth = first == class_index, second == class_index
    if ignore_index is not None:
        counted = second != ignore_index
        mask, truth = mask & counted, truth & counted
    line, true_line = skeletonize(mask) > 0, skeletonize(truth) > 0
    if not line.any() or not true_line.any():
        value = 0.0 if line.any() or true_line.any() else float("nan")
        return CentrelineDice(value, value, value)
    precision = float(np.count_nonzero(line & truth) / np.count_nonzero(line))
    sensitivity = float(np.count_nonzero(true_line & mask) / np.count_nonzero(true_line))
    parts = precision + sensitivity
    dice = 2 * precision * sensitivity / parts if parts else 0.0
    return CentrelineDice(dice, precision, sensitivity)
