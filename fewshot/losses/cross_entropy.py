"""Cross-entropy with label smoothing and class weights."""

from collections.abc import Sequence

import torch.nn.functional as F
from jaxtyping import Float, Integer
from torch import Tensor

from fewshot.ignored import DEFAULT
from fewshot.losses.inputs import IGNORED, Pixels, Reduction, class_weights_like, prepare
from fewshot.losses.reductions import reduce_pixels
from fewshot.registry import register_loss


@register_loss("cross_entropy")
def cross_entropy_loss(
    logits: Float[Tensor, "batch class *space"],
    target: Integer[Tensor, "batch *space"],
    *,
    ignore_index: int = DEFAULT,
    reduction: Reduction = "mean",
    label_smoothing: float = 0.0,
    class_weights: Sequence[float] | Float[Tensor, "class"] | None = None,
) -> Float[Tensor, "*result"]:
    """Return the negative log-probability of the actual class of each pixel.

    `-w[y] log p[y]`; with smoothing s over K classes,
    `-(1 - s) w[y] log p[y] - s / K sum_c w[c] log p[c]`.

    Args:
        logits: `[batch class *space]`, any floating dtype; computed in float32 or float64.
        target: `[batch *space]`, labels `0..class-1` or `ignore_index`.
        ignore_index: the label of pixels that do not count, as if they were cropped away.
        reduction: "none" gives one value a pixel (0 where ignored), "sum" their sum, "mean" the
            sum divided by the weights `w[y]` of the known pixels.
        label_smoothing: part of the target that is spread over all classes, 0..1.
        class_weights: `[class]`, finite and >= 0; None for 1 each.

    Returns:
        `[batch *space]` for "none", else a scalar; 0 if all pixels are ignored.

    Raises:
        TypeError: logits not floating or target not integer.
        ValueError: shapes, labels or settings out of range.

    Example:
        Probabilities 3/4 and 1/4, actual classes 0 and 1: (log 4/3 + log 4) / 2 = log(16/3) / 2.

        >>> import torch
        >>> logits = torch.tensor([[[3.0, 3.0], [1.0, 1.0]]]).log()
        >>> cross_entropy_loss(logits, torch.tensor([[0, 1]]))
        tensor(0.8370)

    Paper:
        Szegedy et al. (2016) Rethinking the Inception Architecture for Computer Vision, section 7
        (label smoothing). CVPR.
    """
    if not 0.0 <= label_smoothing <= 1.0:
        raise ValueError(f"label_smoothing is {label_smoothing}, expected a number in 0..1")
    pixels = prepare(logits, target, ignore_index, reduction)
    weights = None if class_weights is None else class_weights_like(class_weights, pixels.logits)
    return weighted_cross_entropy(pixels, weights, label_smoothing, reduction)


def weighted_cross_entropy(
    pixels: Pixels, weights: Tensor | None, label_smoothing: float, reduction: Reduction
) -> Tensor:
    """Return the cross-entropy of checked inputs; the arguments are those of `cross_entropy_loss`.

    Example:
        >>> import torch
        >>> pixels = prepare(torch.zeros(1, 2, 3), torch.zeros(1, 3, dtype=torch.long), 255, "mean")
        >>> weighted_cross_entropy(pixels, None, 0.0, "sum")  # 3 log 2
        tensor(2.0794)
    """
    values = F.cross_entropy(
        pixels.logits,
        pixels.labels,
        weight=weights,
        ignore_index=IGNORED,
        reduction="none" if reduction == "none" else "sum",
        label_smoothing=label_smoothing,
    )
    return reduce_pixels(values, weights, pixels, reduction)
