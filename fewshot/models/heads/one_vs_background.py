"""Joins the logits of heads that separate each way from its background."""

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor


def shown(
    masks: UInt8[Tensor, "batch way shot height width"],
) -> dict[str, Bool[Tensor, "batch way"]]:
    """Whether the support shows any "foreground" and "background" of each way.

    >>> shown(torch.tensor([0, 255], dtype=torch.uint8).view(1, 1, 1, 1, 2))
    {'foreground': tensor([[False]]), 'background': tensor([[True]])}
    """
    return {
        "foreground": (masks == 1).flatten(2).any(dim=2),
        "background": (masks == 0).flatten(2).any(dim=2),
    }


def join_ways(
    logits: Float[Tensor, "batch query way rows columns"],
    tensors: Mapping[str, Tensor],
    certain: float,
) -> Float[Tensor, "batch query label rows columns"]:
    """Put the ways beside a background whose logit is 0.

    Args:
        logits: of each way's foreground against its background.
        tensors: of a support, with those of `shown`.
        certain: a way of which the support shows nothing gets the logit -certain everywhere; one
            that is all that the support shows gets +certain.
    """
    foreground, background = (
        tensors[name][:, None, :, None, None] for name in ("foreground", "background")
    )
    classes = torch.where(background, logits, certain)
    classes = torch.where(foreground, classes, -certain)
    return torch.cat([torch.zeros_like(classes[:, :, :1]), classes], dim=2)
