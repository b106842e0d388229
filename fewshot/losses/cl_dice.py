"""Centre-line Dice loss for tubes and other thin structures."""

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from fewshot.ignored import DEFAULT
from fewshot.losses.inputs import Pixels, Reduction, prepare
from fewshot.losses.overlap import Overlap, mean_over_classes, penalise_absent
from fewshot.losses.reductions import reduce_images
from fewshot.losses.skeleton import soft_skeleton
from fewshot.registry import register_loss


@register_loss("cl_dice")
def cl_dice_loss(
    logits: Float[Tensor, "batch class *space"],
    target: Integer[Tensor, "batch *space"],
    *,
    ignore_index: int = DEFAULT,
    reduction: Reduction = "mean",
    iterations: int = 3,
    smooth: float = 1.0,
    include_background: bool = False,
) -> Float[Tensor, "*result"]:
    """Return 1 minus the Dice of centre lines, averaged over classes.

    `1 - 2 P S / (P + S)`: P is the part of the predicted centre line that lies in the actual
    object, S the part of the actual centre line that lies in the predicted object. For a class
    that the image has not, the mean probability of the class over the known pixels. Where the
    actual centre line is empty, because the object fills the image, the object itself stands in.

    Args:
        logits: `[batch class height width]` or `[batch class depth height width]`, any floating
            dtype; computed in float32 or float64.
        target: `[batch *space]`, labels `0..class-1` or `ignore_index`.
        ignore_index: the label of pixels that do not count: centre lines are found as if the image
            ended there, which is the same as cropping them away where what remains is a rectangle.
        reduction: "none" gives one value an image, "sum" their sum, "mean" their mean over the
            images that have a known pixel.
        iterations: number of erosions, >= 0; at least the largest radius of the objects in pixels.
        smooth: pixels added to both sides of both parts, > 0.
        include_background: True counts class 0 too; its centre line rarely means something.

    Returns:
        `[batch]` for "none", else a scalar; in 0..1 an image, 0 if all its pixels are ignored.

    Raises:
        TypeError: logits not floating or target not integer.
        ValueError: shapes, labels or settings out of range.

    Example:
        A line of 5 pixels, all predicted with probability 1/2, the rest with 0. Its centre line is
        the line: P = (5/2 + 1) / (5/2 + 1) = 1, S = (5/2 + 1) / (5 + 1) = 7/12,
        so 1 - 2 (7/12) / (19/12) = 5/19.

        >>> target = torch.zeros(1, 3, 7, dtype=torch.long)
        >>> target[0, 1, 1:6] = 1
        >>> logits = torch.stack([torch.zeros(1, 3, 7), (target - 1) * 99.0], 1)
        >>> cl_dice_loss(logits, target)
        tensor(0.2632)

    Paper:
        Shit et al. (2021) clDice - a Novel Topology-Preserving Loss Function for Tubular Structure
        Segmentation. CVPR.
    """
    _check_settings(logits, iterations, smooth)
    pixels = prepare(logits, target, ignore_index, reduction)
    overlap, precision, sensitivity = _parts(pixels, iterations, smooth)
    total = precision + sensitivity
    values = penalise_absent(total - 2.0 * precision * sensitivity, total, overlap)
    return reduce_images(mean_over_classes(values, include_background), overlap.known, reduction)


def _parts(pixels: Pixels, iterations: int, smooth: float) -> tuple[Overlap, Tensor, Tensor]:
    probabilities = pixels.logits.softmax(1)
    known = None
    if pixels.known is not None:
        probabilities = probabilities * pixels.known.unsqueeze(1)
        known = pixels.known.view(-1, 1, *pixels.space)
    actual = pixels.one_hot()
    shape = (*actual.shape[:2], *pixels.space)
    predicted_line = soft_skeleton(probabilities.view(shape), iterations, known).flatten(2)
    line = soft_skeleton(actual.view(shape), iterations, known).flatten(2)
    line = torch.where(line.any(-1, keepdim=True), line, actual)
    precision = ((predicted_line * actual).sum(-1) + smooth) / (predicted_line.sum(-1) + smooth)
    sensitivity = ((line * probabilities).sum(-1) + smooth) / (line.sum(-1) + smooth)
    overlap = Overlap(
        (probabilities * actual).sum(-1),
        probabilities.sum(-1),
        actual.sum(-1),
        pixels.known_counts(),
    )
    return overlap, precision, sensitivity


def _check_settings(logits: Tensor, iterations: int, smooth: float) -> None:
    if logits.ndim not in (4, 5):
        raise ValueError(
            f"logits have the shape {list(logits.shape)}, expected [batch class height width] or "
            "[batch class depth height width]; centre lines need 2 or 3 spatial axes"
        )
    if iterations < 0:
        raise ValueError(f"iterations is {iterations}, expected a whole number >= 0")
    if not 0.0 < smooth < float("inf"):
        raise ValueError(
            f"smooth is {smooth}, expected a finite number of pixels > 0: an even prediction has "
            "no centre line, and its part would be 0 / 0"
        )
