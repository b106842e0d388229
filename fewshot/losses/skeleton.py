"""Soft skeletons by repeated erosion, differentiable, in 2-D and 3-D."""

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd.function import once_differentiable


def soft_skeleton(
    probabilities: Float[Tensor, "batch class *space"],
    iterations: int,
    known: Bool[Tensor, "batch 1 *space"] | None = None,
) -> Float[Tensor, "batch class *space"]:
    """Return how much each pixel belongs to the centre line of its object.

    A pixel is on the centre line if an opening removes it, at one of the erosions 0..iterations.
    Erosion takes the minimum over a pixel and its direct neighbours, dilation the maximum over the
    block around it; pixels outside the image and pixels not known take part in neither.

    Args:
        probabilities: `[batch class height width]` or `[batch class depth height width]`, 0..1.
        iterations: number of erosions, >= 0; at least the largest radius of the objects in pixels.
        known: `[batch 1 *space]`, False for pixels that take no part; None for all.

    Returns:
        `[batch class *space]`, 0..1, 0 where not known.

    Example:
        The first opening restores the bar of 3 x 5; its erosion, a line of 3, is opened to nothing.

        >>> bar = torch.zeros(1, 1, 5, 7)
        >>> bar[..., 1:4, 1:6] = 1
        >>> soft_skeleton(bar, 1)[0, 0].int()
        tensor([[0, 0, 0, 0, 0, 0, 0],
                [0, 0, 0, 0, 0, 0, 0],
                [0, 0, 1, 1, 1, 0, 0],
                [0, 0, 0, 0, 0, 0, 0],
                [0, 0, 0, 0, 0, 0, 0]], dtype=torch.int32)

    Paper:
        Shit et al. (2021) clDice, algorithm 1. CVPR.
    """
    axes = range(2, probabilities.ndim)
    eroded = _erode(probabilities, known)
    skeleton = (probabilities - _dilate(eroded, axes, known)).relu()
    for _ in range(iterations):
        # The erosion inside this opening is the next image of the loop: computed once, used twice.
        image, eroded = eroded, _erode(eroded, known)
        removed = (image - _dilate(eroded, axes, known)).relu()
        skeleton = skeleton + removed * (1.0 - skeleton)
    return skeleton if known is None else skeleton * known


def _erode(image: Tensor, known: Tensor | None) -> Tensor:
    # The maximum of 1 - p is the minimum of p; negation keeps all digits.
    negative = -image if known is None else -image.masked_fill(~known, 1.0)
    return -_Maximum.apply(negative, tuple(range(2, image.ndim)))


def _dilate(image: Tensor, axes: range, known: Tensor | None) -> Tensor:
    image = image if known is None else image.masked_fill(~known, 0.0)
    for axis in axes:
        image = _Maximum.apply(image, (axis,))
    return image


class _Maximum(torch.autograd.Function):
    """Maximum over a pixel and its two direct neighbours along each of the given axes.

    Max pooling does the same 10 to 40 times slower on a CPU, forward and backward together about
    5 times. Where several pixels hold the maximum they share the gradient equally.
    """

    @staticmethod
    def forward(ctx: Any, image: Tensor, axes: tuple[int, ...]) -> Tensor:
        highest = image.clone(memory_format=torch.contiguous_format)
        for here, there in _neighbours(axes):
            torch.maximum(highest[here], image[there], out=highest[here])
        ctx.save_for_backward(image, highest)
        ctx.axes = axes
        return highest

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        image, highest = ctx.saved_tensors
        pairs = _neighbours(ctx.axes)
        own = (image == highest).to(gradient.dtype)
        matches = [(image[there] == highest[here]).to(gradient.dtype) for here, there in pairs]
        holders = own.clone()
        for (here, _), match in zip(pairs, matches, strict=True):
            holders[here] += match
        share = gradient / holders
        out = own.mul_(share)
        for (here, there), match in zip(pairs, matches, strict=True):
            out[there] += match.mul_(share[here])
        return out, None


Window = tuple[slice, ...]


def _neighbours(axes: tuple[int, ...]) -> list[tuple[Window, Window]]:
    """Return pairs of windows, each showing pixels and their neighbours on one side."""
    pairs = []
    for axis in axes:
        before: Window = (*[slice(None)] * axis, slice(None, -1))
        after: Window = (*[slice(None)] * axis, slice(1, None))
        pairs += [(before, after), (after, before)]
    return pairs
