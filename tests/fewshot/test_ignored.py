"""Masks of 0 and 255 that are taken for labels are refused by every score and loss."""

import numpy as np
import pytest
import torch

from fewshot import losses
from fewshot.metrics import boundary, calibration, overlap, ranking, skeleton, surface

MASK = np.zeros((12, 14), np.uint8)
MASK[3:8, 4:9] = 255
LABELS = (MASK > 0).astype(np.uint8)
CHANCES = np.stack([1 - LABELS * 0.8, LABELS * 0.8])
SCORES = {
    "confusion_matrix": lambda mask, **to: overlap.confusion_matrix(LABELS, mask, 2, **to),
    "of int64": lambda mask, **to: overlap.confusion_matrix(
        LABELS.astype(int), mask.astype(int), 2, **to
    ),
    "surface": lambda mask, **to: surface.surface_distances(LABELS, mask, **to),
    "boundary": lambda mask, **to: boundary.boundary_iou(LABELS, mask, **to),
    "cl_dice": lambda mask, **to: skeleton.cl_dice(LABELS, mask, **to),
    "roc_auc": lambda mask, **to: ranking.roc_auc(CHANCES[1], mask, **to),
    "precision": lambda mask, **to: ranking.average_precision(CHANCES[1], mask, **to),
    "score_counts": lambda mask, **to: ranking.score_counts(CHANCES[1], mask, **to),
    "calibration": lambda mask, **to: calibration.calibration_counts(CHANCES, mask, **to),
}


@pytest.mark.parametrize("score", SCORES.values(), ids=list(SCORES))
def test_a_reference_of_0_and_255_is_refused(score):
    with pytest.raises(ValueError, match=r"reference holds 0 and 255 alone.*reference > 0"):
        score(MASK)
    score(LABELS)
    score(MASK, ignore_index=255)  # told: unknown pixels, and no class
    score(np.full_like(MASK, 255))  # nothing is known: undefined, and no mistake
    score(np.where(np.arange(14) < 5, MASK, LABELS))  # 1 is labelled, too


@pytest.mark.parametrize("name", ["surface_distances", "boundary_iou", "cl_dice"])
def test_predicted_masks_of_0_and_255_are_refused(name):
    score = {"s": surface, "b": boundary, "c": skeleton}[name[0]].__dict__[name]
    with pytest.raises(ValueError, match="labels holds 0 and 255 alone"):
        score(MASK, LABELS, ignore_index=255)
    with pytest.raises(ValueError, match=r"labels holds 255, expected 0\.\.1 .*mask > 0"):
        overlap.confusion_matrix(MASK, LABELS, 2)


LOSSES = [name for name in losses.__all__ if name.endswith("_loss")]


@pytest.mark.parametrize("name", LOSSES)
def test_targets_of_0_and_255_are_refused(name):
    loss, given = getattr(losses, name), {}
    if name == "weighted_sum_loss":
        given["terms"] = [(1.0, losses.dice_loss)]
    if name == "boundary_loss":
        given["distances"] = torch.zeros(1, 2, 12, 14)
    logits, target = torch.zeros(1, 2, 12, 14), torch.from_numpy(MASK)[None].long()
    with pytest.raises(ValueError, match=r"target holds 0 and 255 alone.*ignore_index=255"):
        loss(logits, target, **given)
    loss(logits, target, ignore_index=255, **given)
    loss(logits, torch.full_like(target, 255), **given)
    loss(logits, (target > 0).long(), **given)
    for odd in (target > 0, target / 255):
        with pytest.raises(TypeError, match=r"\.long\(\); probabilities are no labels"):
            loss(logits, odd, **given)
