"""Soft Dice loss."""

from jaxtyping import Float, Integer
from torch import Tensor

from fewshot.ignored import DEFAULT
from fewshot.losses.inputs import Reduction, prepare
from fewshot.losses.overlap import mean_over_classes, penalise_absent, soft_overlap
from fewshot.losses.reductions import reduce_images
from fewshot.registry import register_loss


@register_loss("dice")
def dice_loss(
    logits: Float[Tensor, "batch class *space"],
    target: Integer[Tensor, "batch *space"],
    *,
    ignore_index: int = DEFAULT,
    reduction: Reduction = "mean",
    include_background: bool = True,
) -> Float[Tensor, "*result"]:
    """Return 1 minus the soft Dice overlap, averaged over classes.

    `1 - 2 sum(p t) / (sum(p) + sum(t))` for a class that the image has; for a class that it has
    not, the mean probability of the class over the known pixels. No smoothing term is needed.

    Args:
        logits: `[batch class *space]`, any floating dtype; computed in float32 or float64.
        target: `[batch *space]`, labels `0..class-1` or `ignore_index`.
        ignore_index: the label of pixels that do not count, as if they were cropped away.
        reduction: "none" gives one value an image, "sum" their sum, "mean" their mean over the
            images that have a known pixel.
        include_background: False leaves class 0 out of the average.

    Returns:
        `[batch]` for "none", else a scalar; in 0..1 an image, 0 if all its pixels are ignored.

    Raises:
        TypeError: logits not floating or target not integer.
        ValueError: shapes, labels or settings out of range.

    Example:
        Probability 1/2 everywhere, three pixels of class 0 and one of class 1:
        class 0 has 1 - 3 / (2 + 3) = 0.4, class 1 has 1 - 1 / (2 + 1) = 2/3.

        >>> import torch
        >>> dice_loss(torch.zeros(1, 2, 4), torch.tensor([[0, 0, 0, 1]]))
        tensor(0.5333)

    Paper:
        Milletari et al. (2016) V-Net: Fully Convolutional Neural Networks for Volumetric Medical
        Image Segmentation. 3DV. (The denominator there has squares; this one has none, as usual.)
    """
    overlap = soft_overlap(prepare(logits, target, ignore_index, reduction))
    size = overlap.predicted + overlap.actual
    # Rounding may make the difference of sums slightly negative where a prediction is perfect.
    error = (size - 2.0 * overlap.intersection).clamp_min(0.0)
    values = penalise_absent(error, size, overlap)
    return reduce_images(mean_over_classes(values, include_background), overlap.known, reduction)
