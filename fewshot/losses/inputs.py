"""What every loss does first: check its inputs and bring them to one form."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from fewshot.ignored import black_white, is_black_white

Reduction = Literal["mean", "sum", "none"]

IGNORED = -1
"""The label of ignored pixels inside the losses, whatever `ignore_index` the caller uses."""


@dataclass(frozen=True)
class Pixels:
    """Checked inputs with their pixels in one row.

    Attributes:
        logits: `[batch class pixel]`, float32 or float64; 0 where the pixel is ignored, so that
            not even a NaN gets through.
        labels: `[batch pixel]` int64 in `0..class-1`, `IGNORED` where the pixel is ignored.
        known: `[batch pixel]` bool, or None if no pixel is ignored.
        space: the sizes of the spatial axes before they became one row.
    """

    logits: Tensor
    labels: Tensor
    known: Tensor | None
    space: torch.Size

    def known_counts(self) -> Tensor:
        """Return how many pixels each image has that are not ignored, `[batch]` int64."""
        if self.known is None:
            batch, pixels = self.labels.shape
            return torch.full((batch,), pixels, device=self.labels.device)
        return self.known.sum(-1)

    @cached_property
    def class_counts(self) -> Tensor:
        """How many known pixels of the batch each class has, `[class]` int64."""
        classes = self.logits.shape[1]
        if self.known is None:
            return self.labels.flatten().bincount(minlength=classes)
        # The label -1 of ignored pixels falls into the first bin, which is dropped.
        return (self.labels + 1).flatten().bincount(minlength=classes + 1)[1:]

    def one_hot(self) -> Tensor:
        """Return `[batch class pixel]` in the dtype of the logits, all 0 where ignored."""
        # Comparing floats straight into floats takes a quarter of the time of scatter or where.
        classes = torch.arange(self.logits.shape[1], device=self.logits.device)
        return torch.eq(
            self.labels.to(self.logits.dtype).unsqueeze(1),
            classes.to(self.logits.dtype).view(-1, 1),
            out=self.logits.new_empty(self.logits.shape),
        )


def prepare(
    logits: Float[Tensor, "batch class *space"],
    target: Integer[Tensor, "batch *space"],
    ignore_index: int,
    reduction: str,
) -> Pixels:
    """Check the arguments that all losses share and return them in one form.

    Args:
        logits: `[batch class *space]`, any floating dtype, at least 2 classes.
        target: `[batch *space]`, any integer dtype, `0..class-1` or `ignore_index`.
        ignore_index: the label of pixels that do not count.
        reduction: "mean", "sum" or "none".

    Returns:
        The pixels; logits in float32, or in float64 if they were float64.

    Raises:
        TypeError: the logits are not floating or the target is not integer.
        ValueError: shapes, labels or `reduction` are not as described above, or the target is a
            mask of 0 and 255.

    Example:
        >>> pixels = prepare(torch.zeros(1, 2, 3), torch.tensor([[0, 1, 255]]), 255, "mean")
        >>> pixels.labels, pixels.known_counts()
        (tensor([[ 0,  1, -1]]), tensor([2]))
    """
    _check_types(logits, target, reduction)
    _check_shapes(logits, target)
    # The wider dtype comes first: uint8 compared with -100 would wrap and meet label 156.
    labels = target.detach().flatten(1).long()
    flat = logits.flatten(2).to(torch.promote_types(logits.dtype, torch.float32))
    low, high = _range(labels)
    if low >= 0 and high < logits.shape[1] and not low <= ignore_index <= high:
        return Pixels(flat, labels, None, target.shape[1:])
    known = labels != ignore_index
    low, high = _range(labels.where(known, 0))
    if high == low == 0 and is_black_white(ignore_index, False, int(known.sum()), known.numel()):
        raise black_white("target")
    _check_labels(low, high, logits.shape[1], ignore_index)
    labels = labels.where(known, IGNORED)
    return Pixels(flat.masked_fill(~known.unsqueeze(1), 0.0), labels, known, target.shape[1:])


def _range(labels: Tensor) -> list[int]:
    # Both numbers in one transfer, so that a GPU waits once.
    ends: list[int] = torch.stack(torch.aminmax(labels)).tolist()
    return ends


def _check_labels(low: int, high: int, classes: int, ignore_index: int) -> None:
    if low < 0 or high >= classes:
        raise ValueError(
            f"target holds the label {low if low < 0 else high}, but logits with {classes} classes "
            f"allow 0..{classes - 1} and ignore_index={ignore_index}; give unknown pixels the "
            "label ignore_index, or the logits one channel for every class"
        )


def _check_types(logits: Tensor, target: Tensor, reduction: str) -> None:
    if not logits.is_floating_point():
        raise TypeError(
            f"logits are {logits.dtype}, a floating dtype was expected; these are raw scores "
            "before softmax, not labels"
        )
    if target.is_floating_point() or target.is_complex() or target.dtype == torch.bool:
        raise TypeError(
            f"target is {target.dtype}, an integer dtype was expected; convert labels or a mask "
            "with .long(); probabilities are no labels, and give some by (target > 0.5).long()"
        )
    if reduction not in get_args(Reduction):
        raise ValueError(f"reduction is {reduction!r}, expected one of {get_args(Reduction)}")


def _check_shapes(logits: Tensor, target: Tensor) -> None:
    shapes = f"logits {list(logits.shape)} and target {list(target.shape)}"
    if logits.ndim < 3 or logits.shape[:1] + logits.shape[2:] != target.shape:
        raise ValueError(
            f"{shapes} do not match: expected [batch class *space] and [batch *space]; remove a "
            "channel axis of the target with target.squeeze(1), turn a one-hot target into labels "
            "with target.argmax(1)"
        )
    if logits.shape[1] < 2:
        raise ValueError(
            f"{shapes}: one class alone has probability 1 everywhere, at least 2 are needed; for "
            "one foreground logit put the background before it: "
            "torch.cat([torch.zeros_like(logits), logits], 1)"
        )
    if target.numel() == 0:
        raise ValueError(f"{shapes} hold no pixel; leave empty batches out")


def class_weights_like(class_weights: Sequence[float] | Tensor | None, logits: Tensor) -> Tensor:
    """Check one weight a class and return it with the dtype and device of the logits.

    Args:
        class_weights: `[class]`, finite and >= 0; None for equal weights.
        logits: `[batch class ...]`.

    Returns:
        `[class]`.

    Raises:
        ValueError: wrong number of weights, or a weight that is negative or not finite.

    Example:
        >>> class_weights_like([1, 3], torch.zeros(1, 2, 5))
        tensor([1., 3.])
    """
    classes = logits.shape[1]
    if class_weights is None:
        return logits.new_ones(classes)
    weights = torch.as_tensor(class_weights, dtype=logits.dtype, device=logits.device).detach()
    if weights.shape != (classes,):
        raise ValueError(
            f"class_weights have the shape {list(weights.shape)}, expected [{classes}]: one weight "
            "for each channel of the logits, background included"
        )
    if not bool((weights.isfinite() & (weights >= 0)).all()):
        raise ValueError(
            f"class_weights are {weights.tolist()}, expected finite numbers >= 0; give a class "
            "that shall not count the weight 0"
        )
    return weights
