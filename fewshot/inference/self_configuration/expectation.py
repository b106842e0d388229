"""The Dice that an answer is expected to have, from the answer alone."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from torch import Tensor

from fewshot.inference.self_configuration.evidence import labels_of
from fewshot.metrics.overlap import confusion_matrix, dice

_CONSTANT, _AGREEMENT, _OVERLAP = -0.258, 0.531, 0.573
"""Ridge regression of the true Dice on both numbers, on the development tasks of
tools/fit_self_configuration.py; leaving one task out, it errs by 15 points on average."""


def expected_dice(
    parts: Mapping[str, Float[Tensor, "way rows columns"]],
    mixed: Float[Tensor, "way rows columns"],
    weights: Mapping[str, float],
) -> float:
    """Estimate the Dice of an answer, the mean of its classes.

    It is linear in the two numbers of `overlap_and_agreement`.

    Args:
        parts: log odds by candidate.
        mixed: log odds of the mixture.
        weights: of the candidates.

    Returns:
        0 to 1; 0 where nothing is found.
    """
    overlap, agreement = overlap_and_agreement(parts, mixed, weights)
    if not overlap:
        return 0.0
    value = _CONSTANT + _OVERLAP * overlap + _AGREEMENT * agreement
    return min(1.0, max(0.0, value))


def overlap_and_agreement(
    parts: Mapping[str, Float[Tensor, "way rows columns"]],
    mixed: Float[Tensor, "way rows columns"],
    weights: Mapping[str, float],
) -> tuple[float, float]:
    """Measure an answer, the mean of the classes that it has; both are 0 where it has none.

    *Overlap* is the Dice of the answer with its own probabilities: the Dice to expect were they
    right. *Agreement* is the mean Dice of the candidates' own answers with the mixture's, by their
    weights.

    Args:
        parts, mixed, weights: see `expected_dice`.
    """
    answer = labels_of(mixed)
    found = np.unique(answer[answer > 0].numpy())
    if not len(found):
        return 0.0, 0.0
    overlap = 0.0
    for label in found.tolist():
        inside, chance = (answer == label).float(), mixed[label - 1].sigmoid()
        overlap += float(2 * (chance * inside).sum() / (chance.sum() + inside.sum()))
    agreement = sum(
        weight * float(_dice(labels_of(parts[name]), answer, len(mixed))[found].sum())
        for name, weight in weights.items()
    ) / sum(weights.values())
    return overlap / len(found), agreement / len(found)


def _dice(labels: Tensor, reference: Tensor, way: int) -> np.ndarray:
    """Dice of every label, the background's first."""
    return dice(confusion_matrix(labels.numpy(), reference.numpy(), way + 1, None))
