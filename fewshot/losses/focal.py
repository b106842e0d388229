"""Focal loss over softmax probabilities."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Integer
from torch import Tensor

from fewshot.ignored import DEFAULT
from fewshot.losses.inputs import IGNORED, Reduction, class_weights_like, prepare
from fewshot.losses.reductions import reduce_pixels
from fewshot.registry import register_loss


@register_loss("focal")
def focal_loss(
    logits: Float[Tensor, "batch class *space"],
    target: Integer[Tensor, "batch *space"],
    *,
    ignore_index: int = DEFAULT,
    reduction: Reduction = "mean",
    gamma: float = 2.0,
    class_weights: Sequence[float] | Float[Tensor, "class"] | None = None,
) -> Float[Tensor, "*result"]:
    """Return cross-entropy in which pixels that are already right count less.

    `-w[y] (1 - p[y])^gamma log p[y]`; gamma 0 is `cross_entropy_loss`, normaliser included.

    Args:
        logits: `[batch class *space]`, any floating dtype; computed in float32 or float64.
        target: `[batch *space]`, labels `0..class-1` or `ignore_index`.
        ignore_index: the label of pixels that do not count, as if they were cropped away.
        reduction: "none" gives one value a pixel (0 where ignored), "sum" their sum, "mean" the
            sum divided by the weights `w[y]` of the known pixels.
        gamma: how much less, >= 0.
        class_weights: `[class]`, finite and >= 0 (the paper's alpha); None for 1 each.

    Returns:
        `[batch *space]` for "none", else a scalar; 0 if all pixels are ignored.

    Raises:
        TypeError: logits not floating or target not integer.
        ValueError: shapes, labels or settings out of range.

    Example:
        Probabilities 3/4 and 1/4, actual classes 0 and 1: (log(4/3) / 16 + 9 log(4) / 16) / 2.

        >>> logits = torch.tensor([[[3.0, 3.0], [1.0, 1.0]]]).log()
        >>> focal_loss(logits, torch.tensor([[0, 1]]))
        tensor(0.3989)

    Paper:
        Lin et al. (2017) Focal Loss for Dense Object Detection. ICCV.
    """
    if not 0.0 <= gamma < float("inf"):
        raise ValueError(f"gamma is {gamma}, expected a finite number >= 0 (0 is cross-entropy)")
    pixels = prepare(logits, target, ignore_index, reduction)
    weights = None if class_weights is None else class_weights_like(class_weights, pixels.logits)
    values = F.cross_entropy(pixels.logits, pixels.labels, ignore_index=IGNORED, reduction="none")
    if gamma != 0:
        # 1 - p as -expm1(log p) does not cancel near p = 1. At p = 1 itself the derivative of
        # x^gamma is infinite for gamma < 1 and would meet a factor 0; the clamp ends it there.
        rest = -torch.expm1(-values)
        values = rest.clamp_min(torch.finfo(rest.dtype).tiny).pow(gamma) * values
    if weights is not None:
        # Values are 0 where the pixel is ignored, so any weight will do there.
        values = values * weights[pixels.labels.clamp_min(0)]
    return reduce_pixels(values, weights, pixels, reduction)
