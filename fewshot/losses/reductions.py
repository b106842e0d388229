"""How values of pixels and of images become the value of a loss."""

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from fewshot.losses.inputs import Pixels


def reduce_pixels(
    values: Float[Tensor, "batch pixel"] | Float[Tensor, ""],
    class_weights: Float[Tensor, "class"] | None,
    pixels: Pixels,
    reduction: str,
) -> Float[Tensor, "*result"]:
    """Reduce one value a pixel.

    Args:
        values: `[batch pixel]`, 0 where the pixel is ignored, weights already multiplied in; or
            their sum, which the fused kernels of torch give at once.
        class_weights: `[class]`, the weights that were multiplied in; None for 1 each.
        pixels: the pixels that the values belong to.
        reduction: "none" gives `[batch *space]`, "sum" the sum, "mean" the sum divided by the sum
            of the weights of the known pixels (0 if there is none).

    Returns:
        `[batch *space]` or a scalar.

    Example:
        >>> from fewshot.losses.inputs import prepare
        >>> pixels = prepare(torch.zeros(1, 2, 3), torch.tensor([[0, 1, 255]]), 255, "mean")
        >>> reduce_pixels(torch.tensor([[1.0, 3.0, 0.0]]), None, pixels, "mean")
        tensor(2.)
    """
    if reduction == "none":
        return values.view(values.shape[0], *pixels.space)
    if reduction == "sum":
        return values.sum()
    if class_weights is None:
        return values.sum() / pixels.known_counts().sum().clamp_min(1)
    total = (pixels.class_counts * class_weights).sum()
    return values.sum() / total.clamp_min(torch.finfo(total.dtype).tiny)


def reduce_images(
    values: Float[Tensor, "batch"],
    known_counts: Integer[Tensor, "batch"],
    reduction: str,
) -> Float[Tensor, "*result"]:
    """Reduce one value an image.

    Args:
        values: `[batch]`, 0 for an image whose pixels are all ignored.
        known_counts: `[batch]`, the number of pixels of each image that are not ignored.
        reduction: "none" gives `[batch]`, "sum" the sum, "mean" the mean over the images that have
            a known pixel (0 if there is none).

    Returns:
        `[batch]` or a scalar.

    Example:
        >>> reduce_images(torch.tensor([0.5, 0.0]), torch.tensor([9, 0]), "mean")
        tensor(0.5000)
    """
    if reduction == "none":
        return values
    if reduction == "sum":
        return values.sum()
    return values.sum() / (known_counts > 0).sum().clamp_min(1)
