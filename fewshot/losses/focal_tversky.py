"""Focal Tversky loss: a root of the Tversky loss, which lifts classes that are nearly right."""

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from fewshot.ignored import DEFAULT
from fewshot.losses.inputs import Reduction, prepare
from fewshot.losses.overlap import mean_over_classes, soft_overlap
from fewshot.losses.reductions import reduce_images
from fewshot.losses.tversky import check_prices, tversky_of_classes
from fewshot.registry import register_loss


@register_loss("focal_tversky")
def focal_tversky_loss(
    logits: Float[Tensor, "batch class *space"],
    target: Integer[Tensor, "batch *space"],
    *,
    ignore_index: int = DEFAULT,
    reduction: Reduction = "mean",
    alpha: float = 0.3,
    beta: float = 0.7,
    gamma: float = 4.0 / 3.0,
    include_background: bool = True,
) -> Float[Tensor, "*result"]:
    """Return the Tversky loss of each class to the power of 1/gamma, averaged over classes.

    Args:
        logits: `[batch class *space]`, any floating dtype; computed in float32 or float64.
        target: `[batch *space]`, labels `0..class-1` or `ignore_index`.
        ignore_index: the label of pixels that do not count, as if they were cropped away.
        reduction: "none" gives one value an image, "sum" their sum, "mean" their mean over the
            images that have a known pixel.
        alpha: price of false positives, >= 0.
        beta: price of false negatives, > 0.
        gamma: > 0, the paper has 1..3; 1 is `tversky_loss`.
        include_background: False leaves class 0 out of the average.

    Returns:
        `[batch]` for "none", else a scalar; in 0..1 an image, 0 if all its pixels are ignored.

    Raises:
        TypeError: logits not floating or target not integer.
        ValueError: shapes, labels or settings out of range.

    Example:
        Probability 1/2 everywhere and as many pixels of class 0 as of class 1: the Tversky loss of
        both is 1/2, and its square root 0.7071.

        >>> focal_tversky_loss(torch.zeros(1, 2, 4), torch.tensor([[0, 0, 1, 1]]), gamma=2.0)
        tensor(0.7071)

    Paper:
        Abraham and Khan (2019) A Novel Focal Tversky Loss Function with Improved Attention U-Net
        for Lesion Segmentation. ISBI.
    """
    check_prices(alpha, beta)
    if not 0.0 < gamma < float("inf"):
        raise ValueError(f"gamma is {gamma}, expected a finite number > 0 (1 is the Tversky loss)")
    overlap = soft_overlap(prepare(logits, target, ignore_index, reduction))
    values = root(tversky_of_classes(overlap, alpha, beta), 1.0 / gamma)
    return reduce_images(mean_over_classes(values, include_background), overlap.known, reduction)


def root(values: Float[Tensor, "*shape"], power: float) -> Float[Tensor, "*shape"]:
    """Return values^power with a slope that is finite at 0.

    Args:
        values: `[*shape]`, >= 0.
        power: > 0.

    Returns:
        `[*shape]`; a straight line through 0 below the machine epsilon.

    Example:
        >>> root(torch.tensor([0.0, 0.25]), 0.5)
        tensor([0.0000, 0.5000])
    """
    # A root is infinitely steep at 0, and a perfect class would get the gradient inf * 0 = NaN.
    # Below the rounding error of the values themselves a straight line takes over.
    smallest = torch.finfo(values.dtype).eps
    return torch.where(
        values > smallest,
        values.clamp_min(smallest).pow(power),
        values * smallest ** (power - 1.0),
    )
