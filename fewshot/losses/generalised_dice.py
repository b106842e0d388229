"""Generalised Dice loss: one ratio for all classes, rare classes weighted up."""

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from fewshot.ignored import DEFAULT
from fewshot.losses.inputs import Reduction, prepare
from fewshot.losses.overlap import soft_overlap
from fewshot.losses.reductions import reduce_images
from fewshot.registry import register_loss


@register_loss("generalised_dice")
def generalised_dice_loss(
    logits: Float[Tensor, "batch class *space"],
    target: Integer[Tensor, "batch *space"],
    *,
    ignore_index: int = DEFAULT,
    reduction: Reduction = "mean",
    power: float = 2.0,
    include_background: bool = True,
) -> Float[Tensor, "*result"]:
    """Return 1 minus the generalised Dice overlap.

    `1 - 2 sum_c w[c] sum(p t) / sum_c w[c] (sum(p) + sum(t))` with `w[c] = sum(t)^-power`; a class
    that the image has not weighs as much as the rarest one that it has, so that its false
    positives cost. If no class of the sum is present, the loss is the mean over the known pixels
    of their probability, summed over those classes.

    Args:
        logits: `[batch class *space]`, any floating dtype; computed in float32 or float64.
        target: `[batch *space]`, labels `0..class-1` or `ignore_index`.
        ignore_index: the label of pixels that do not count, as if they were cropped away.
        reduction: "none" gives one value an image, "sum" their sum, "mean" their mean over the
            images that have a known pixel.
        power: >= 0; 2 is the paper's, 1 weighs less, 0 gives every pixel the same weight.
        include_background: False leaves class 0 out of both sums.

    Returns:
        `[batch]` for "none", else a scalar; in 0..1 an image, 0 if all its pixels are ignored.

    Raises:
        TypeError: logits not floating or target not integer.
        ValueError: shapes, labels or settings out of range.

    Example:
        Probability 1/2 everywhere, three pixels of class 0 (weight 1/9) and one of class 1
        (weight 1): 1 - 2 (1.5 / 9 + 0.5) / (5 / 9 + 3) = 0.625.

        >>> generalised_dice_loss(torch.zeros(1, 2, 4), torch.tensor([[0, 0, 0, 1]]))
        tensor(0.6250)

    Paper:
        Sudre et al. (2017) Generalised Dice Overlap as a Deep Learning Loss Function for Highly
        Unbalanced Segmentations. DLMIA.
    """
    if not 0.0 <= power < float("inf"):
        raise ValueError(f"power is {power}, expected a finite number >= 0 (2 is the paper's)")
    overlap = soft_overlap(prepare(logits, target, ignore_index, reduction))
    first = 0 if include_background else 1
    intersection, predicted, actual = (counts[:, first:] for counts in overlap[:3])
    weights = _relative_weights(actual, power)
    size = (weights * (predicted + actual)).sum(1)
    error = (size - 2.0 * (weights * intersection).sum(1)).clamp_min(0.0)
    present = (actual > 0).any(1)
    false_alarm = predicted.sum(1) / overlap.known.clamp_min(1)
    values = torch.where(present, error / torch.where(present, size, 1.0), false_alarm)
    return reduce_images(values, overlap.known, reduction)


def _relative_weights(
    actual: Float[Tensor, "batch class"], power: float
) -> Float[Tensor, "batch class"]:
    # (rarest / count)^power has the ratios of count^-power without its underflow.
    counts = torch.where(actual > 0, actual, float("inf"))
    rarest = counts.amin(1, keepdim=True)
    return torch.where(actual > 0, (rarest / actual.clamp_min(1.0)).pow(power), 1.0)
