"""Prototype alignment: the predicted query must be able to segment the support in turn."""

import torch
from einops import rearrange, repeat
from jaxtyping import Float, UInt8
from torch import Tensor

from episodes.io.pixels import IGNORE
from fewshot.losses.episode_loss import EpisodeLoss
from fewshot.models.heads.base import Head


def alignment_loss(
    head: Head,
    support_features: Float[Tensor, "batch way shot channel rows columns"],
    support_masks: UInt8[Tensor, "batch way shot height width"],
    query_features: Float[Tensor, "batch query channel rows columns"],
    logits: Float[Tensor, "batch query label rows columns"],
    loss: EpisodeLoss | None = None,
) -> Float[Tensor, ""]:
    """Swap the roles: condense the query under its own prediction, segment the support.

    Each way is a task of its own: its predicted pixels are the foreground, the predicted
    background the background, and the other ways' pixels count nowhere. A way of which nothing was
    predicted costs 0.

    Args:
        head: any head.
        support_features, support_masks, query_features: as in `Head`.
        logits: the head's scores for the query.
        loss: between the scores and the masks of the support; by default cross-entropy.

    Paper: Wang et al., PANet, ICCV 2019, section 3.5.
    """
    way = support_features.shape[1]
    predicted = logits.detach().argmax(dim=2)
    masks = torch.stack([_swapped_mask(predicted, label) for label in range(1, way + 1)], dim=1)
    there = (masks == 1).flatten(2).any(dim=2).flatten()
    if not there.any():
        return query_features.sum() * 0.0
    tasks = repeat(query_features, "b q c r w -> (b way) 1 q c r w", way=way)
    support = head.encode_support(
        tasks[there], rearrange(masks, "b way q r w -> (b way) 1 q r w")[there]
    )
    scores = head.logits(
        support, rearrange(support_features, "b way s c r w -> (b way) s c r w")[there]
    )
    target = rearrange(support_masks, "b way s h w -> (b way) s h w")[there]
    value = (loss or EpisodeLoss())(scores, target, class_weights=head.class_weights)
    return value * there.float().mean()


def _swapped_mask(predicted: Tensor, label: int) -> Tensor:
    mask = torch.full_like(predicted, IGNORE, dtype=torch.uint8)
    mask[predicted == 0] = 0
    mask[predicted == label] = 1
    return mask
