"""The farthest or nearest partner of each anchor: batch-hard and easy-positive mining."""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from fewshot.siamese.miners.base import register_anchor_miner


@register_anchor_miner("batch-hard")
def farthest(
    distances: Float[Tensor, "anchor reference"], partners: Bool[Tensor, "anchor reference"]
) -> tuple[Int64[Tensor, "anchor"], Bool[Tensor, "anchor"]]:
    """Find each anchor's farthest partner, such as the hardest positive.

    Returns:
        Its place (any, where an anchor has no partner), and whether there is one.

    Paper: Hermans et al., In defense of the triplet loss for person re-identification, 2017.

    >>> partners = torch.tensor([[True, True, False]])
    >>> place, there = farthest(torch.tensor([[1.0, 2.0, 3.0]]), partners)
    >>> place.item(), there.item()
    (1, True)
    """
    value, place = distances.masked_fill(~partners, -torch.inf).max(dim=1)
    return place, value > -torch.inf


@register_anchor_miner("easy-positive")
def nearest(
    distances: Float[Tensor, "anchor reference"], partners: Bool[Tensor, "anchor reference"]
) -> tuple[Int64[Tensor, "anchor"], Bool[Tensor, "anchor"]]:
    """Find each anchor's nearest partner: the hardest negative, or the easiest positive.

    In a class of several appearances, easy positives keep one cluster for each.

    Returns:
        As `farthest`.

    Paper: Xuan, Stylianou and Pless, Improved embeddings with easy positive triplet mining,
    WACV 2020.
    """
    value, place = distances.masked_fill(~partners, torch.inf).min(dim=1)
    return place, value < torch.inf
