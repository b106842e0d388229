"""Weighted sums of losses."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Integer
from torch import Tensor, nn

from fewshot.ignored import DEFAULT
from fewshot.losses.inputs import Reduction

Loss = Callable[..., Tensor]
"""`loss(logits, target, *, ignore_index, reduction)`; settings are bound with functools.partial."""


def weighted_sum_loss(
    logits: Float[Tensor, "batch class *space"],
    target: Integer[Tensor, "batch *space"],
    *,
    terms: Sequence[tuple[float, Loss]],
    ignore_index: int = DEFAULT,
    reduction: Reduction = "mean",
) -> Float[Tensor, "*result"]:
    """Return the sum of weight times loss.

    Args:
        logits: `[batch class *space]`, any floating dtype.
        target: `[batch *space]`, labels `0..class-1` or `ignore_index`.
        terms: pairs of a finite weight >= 0 and a loss of this package; settings, and the
            distances of `boundary_loss`, are bound with `functools.partial`.
        ignore_index: the label of pixels that do not count.
        reduction: each loss is reduced so before the sum. "none" needs losses that all have one
            value a pixel, or all one value an image.

    Returns:
        What the losses return.

    Raises:
        TypeError: logits not floating or target not integer.
        ValueError: no terms, a weight out of range, or shapes that differ with "none".

    Example:
        Probability 1/2 everywhere: 2 times cross-entropy log 2, plus Dice loss 1/2.

        >>> from fewshot.losses import cross_entropy_loss, dice_loss
        >>> logits, target = torch.zeros(1, 2, 4), torch.tensor([[0, 0, 1, 1]])
        >>> terms = [(2.0, cross_entropy_loss), (1.0, dice_loss)]
        >>> weighted_sum_loss(logits, target, terms=terms)
        tensor(1.8863)
    """
    weights = _checked_weights(terms)
    values = [
        loss(logits, target, ignore_index=ignore_index, reduction=reduction) for _, loss in terms
    ]
    shapes = [list(value.shape) for value in values]
    if any(shape != shapes[0] for shape in shapes):
        raise ValueError(
            f"the terms have the shapes {shapes} with reduction={reduction!r}, expected one shape; "
            "add pixel losses to pixel losses and region losses to region losses, or reduce by "
            "'mean' or 'sum'"
        )
    return torch.stack([weight * value for weight, value in zip(weights, values, strict=True)]).sum(
        0
    )


class WeightedSum(nn.Module):
    """Weighted sum of losses whose weights are saved with a checkpoint and may be scheduled.

    Args:
        terms: pairs of a finite weight >= 0 and a loss of this package.

    Attributes:
        weights: `[term]` float32 buffer; assign to its elements to change the weights.

    Raises:
        ValueError: no terms or a weight out of range.

    Example:
        >>> from fewshot.losses import cross_entropy_loss, dice_loss
        >>> loss = WeightedSum([(2.0, cross_entropy_loss), (1.0, dice_loss)])
        >>> loss.weights[0] = 0.0
        >>> loss(torch.zeros(1, 2, 4), torch.tensor([[0, 0, 1, 1]]))
        tensor(0.5000)
    """

    weights: Tensor

    def __init__(self, terms: Sequence[tuple[float, Loss]]) -> None:
        super().__init__()
        self.register_buffer("weights", torch.tensor(_checked_weights(terms)))
        self.losses = tuple(loss for _, loss in terms)

    def forward(
        self,
        logits: Float[Tensor, "batch class *space"],
        target: Integer[Tensor, "batch *space"],
        *,
        ignore_index: int = DEFAULT,
        reduction: Reduction = "mean",
    ) -> Float[Tensor, "*result"]:
        """Return the sum; arguments, result and errors are those of `weighted_sum_loss`."""
        terms = list(zip(self.weights.tolist(), self.losses, strict=True))
        return weighted_sum_loss(
            logits, target, terms=terms, ignore_index=ignore_index, reduction=reduction
        )


def _checked_weights(terms: Sequence[tuple[float, Loss]]) -> list[float]:
    weights = [float(weight) for weight, _ in terms]
    if not weights or not all(0.0 <= weight < float("inf") for weight in weights):
        raise ValueError(
            f"the weights of terms are {weights}, expected at least one pair (weight, loss) with "
            "a finite weight >= 0"
        )
    return weights
