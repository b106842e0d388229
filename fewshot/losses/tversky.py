"""Tversky loss: Dice with a price for each kind of error."""

from jaxtyping import Float, Integer
from torch import Tensor

from fewshot.ignored import DEFAULT
from fewshot.losses.inputs import Reduction, prepare
from fewshot.losses.overlap import Overlap, mean_over_classes, penalise_absent, soft_overlap
from fewshot.losses.reductions import reduce_images
from fewshot.registry import register_loss


@register_loss("tversky")
def tversky_loss(
    logits: Float[Tensor, "batch class *space"],
    target: Integer[Tensor, "batch *space"],
    *,
    ignore_index: int = DEFAULT,
    reduction: Reduction = "mean",
    alpha: float = 0.3,
    beta: float = 0.7,
    include_background: bool = True,
) -> Float[Tensor, "*result"]:
    """Return 1 minus the soft Tversky index, averaged over classes.

    `(alpha FP + beta FN) / (TP + alpha FP + beta FN)` for a class that the image has; for a class
    that it has not, the mean probability of the class over the known pixels. alpha = beta = 1/2 is
    `dice_loss`, alpha = beta = 1 the soft Jaccard loss.

    Args:
        logits: `[batch class *space]`, any floating dtype; computed in float32 or float64.
        target: `[batch *space]`, labels `0..class-1` or `ignore_index`.
        ignore_index: the label of pixels that do not count, as if they were cropped away.
        reduction: "none" gives one value an image, "sum" their sum, "mean" their mean over the
            images that have a known pixel.
        alpha: price of false positives, >= 0.
        beta: price of false negatives, > 0; above alpha it favours recall.
        include_background: False leaves class 0 out of the average.

    Returns:
        `[batch]` for "none", else a scalar; in 0..1 an image, 0 if all its pixels are ignored.

    Raises:
        TypeError: logits not floating or target not integer.
        ValueError: shapes, labels or settings out of range.

    Example:
        Probability 1/2 everywhere, three pixels of class 0 and one of class 1. Class 0: TP 1.5,
        FP 0.5, FN 1.5, so 1.2 / 2.7; class 1: TP 0.5, FP 1.5, FN 0.5, so 0.8 / 1.3.

        >>> import torch
        >>> tversky_loss(torch.zeros(1, 2, 4), torch.tensor([[0, 0, 0, 1]]))
        tensor(0.5299)

    Paper:
        Salehi et al. (2017) Tversky Loss Function for Image Segmentation Using 3D Fully
        Convolutional Deep Networks. MLMI.
    """
    check_prices(alpha, beta)
    overlap = soft_overlap(prepare(logits, target, ignore_index, reduction))
    values = tversky_of_classes(overlap, alpha, beta)
    return reduce_images(mean_over_classes(values, include_background), overlap.known, reduction)


def check_prices(alpha: float, beta: float) -> None:
    """Raise a ValueError unless alpha >= 0, beta > 0 and both are finite.

    Example:
        >>> check_prices(0.3, 0.7)
    """
    if not 0.0 <= alpha < float("inf") or not 0.0 < beta < float("inf"):
        raise ValueError(
            f"alpha is {alpha} and beta {beta}, expected finite alpha >= 0 and beta > 0; without "
            "a price for misses the loss is undefined where nothing is predicted"
        )


def tversky_of_classes(overlap: Overlap, alpha: float, beta: float) -> Float[Tensor, "batch class"]:
    """Return the Tversky loss of each class of each image.

    Example:
        >>> import torch
        >>> half = prepare(torch.zeros(1, 2, 4), torch.tensor([[0, 0, 0, 1]]), 255, "mean")
        >>> tversky_of_classes(soft_overlap(half), 1.0, 1.0)  # 2 / 3.5 and 2 / 2.5
        tensor([[0.5714, 0.8000]])
    """
    # Rounding may make a difference of sums slightly negative where a prediction is perfect.
    false_positives = (overlap.predicted - overlap.intersection).clamp_min(0.0)
    misses = (overlap.actual - overlap.intersection).clamp_min(0.0)
    error = alpha * false_positives + beta * misses
    return penalise_absent(error, overlap.intersection + error, overlap)
