"""Losses for segmentation: pure functions of raw logits and integer labels, one signature for all.

    loss(logits, target, *, ignore_index=255, reduction="mean") -> Tensor

`logits` are `[batch class *space]`, `target` is `[batch *space]`, 2-D or 3-D. Sums are taken in
float32, or in float64 for float64 logits. Pixel losses reduce from one value a pixel, region
losses from one value an image. docs/losses.md describes when to use which loss.
"""

from fewshot.losses.balanced_cross_entropy import balanced_cross_entropy_loss
from fewshot.losses.boundary import boundary_loss, signed_distances
from fewshot.losses.cl_dice import cl_dice_loss
from fewshot.losses.cross_entropy import cross_entropy_loss
from fewshot.losses.dice import dice_loss
from fewshot.losses.focal import focal_loss
from fewshot.losses.focal_tversky import focal_tversky_loss
from fewshot.losses.generalised_dice import generalised_dice_loss
from fewshot.losses.lovasz import lovasz_loss
from fewshot.losses.tversky import tversky_loss
from fewshot.losses.weighted_sum import WeightedSum, weighted_sum_loss

__all__ = [
    "WeightedSum",
    "balanced_cross_entropy_loss",
    "boundary_loss",
    "cl_dice_loss",
    "cross_entropy_loss",
    "dice_loss",
    "focal_loss",
    "focal_tversky_loss",
    "generalised_dice_loss",
    "lovasz_loss",
    "signed_distances",
    "tversky_loss",
    "weighted_sum_loss",
]
