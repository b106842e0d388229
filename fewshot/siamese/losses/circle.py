"""Circle loss: every similarity is pulled the more, the further it is from its best value."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from fewshot.siamese.distances import cosine_similarities
from fewshot.siamese.losses.base import PairLoss, PairLossOptions, mean_or_zero, register_pair_loss
from fewshot.siamese.pair_masks import PairMasks


def circle_loss(
    similarities: Float[Tensor, "anchor reference"],
    pair_masks: PairMasks,
    margin: float = 0.4,
    scale: float = 80.0,
) -> Float[Tensor, ""]:
    """log(1 + sum_n exp(g a_n (s - m)) sum_p exp(-g a_p (s - 1 + m))), mean over anchors.

    a_n = max(0, s + m) and a_p = max(0, 1 + m - s) carry no gradient. Anchors lacking positives or
    negatives are left out.

    Args:
        similarities: cosines.
        pair_masks: which pairs are positive and negative.
        margin: m; relaxes both aims.
        scale: g.

    Paper: Sun et al., Circle loss: a unified perspective of pair similarity optimization,
    CVPR 2020.
    """
    anchors = pair_masks.positives.any(dim=1) & pair_masks.negatives.any(dim=1)
    found = similarities[anchors]
    of_positive = (1.0 + margin - found.detach()).relu()
    of_negative = (found.detach() + margin).relu()
    positive = -scale * of_positive * (found - 1.0 + margin)
    negative = scale * of_negative * (found - margin)
    positive = positive.masked_fill(~pair_masks.positives[anchors], -torch.inf)
    negative = negative.masked_fill(~pair_masks.negatives[anchors], -torch.inf)
    each = functional.softplus(positive.logsumexp(dim=1) + negative.logsumexp(dim=1))
    return mean_or_zero(each, similarities)


class CircleLoss(PairLoss):
    """`circle_loss` of a batch.

    Args:
        margin: as above.
        scale: as above.
    """

    def __init__(self, margin: float = 0.4, scale: float = 80.0) -> None:
        super().__init__()
        self.margin, self.scale = margin, scale

    def compare(
        self,
        embeddings: Float[Tensor, "anchor dim"],
        references: Float[Tensor, "reference dim"],
        pair_masks: PairMasks,
    ) -> dict[str, Tensor]:
        """Return the loss."""
        similarities = cosine_similarities(embeddings, references)
        return {"loss": circle_loss(similarities, pair_masks, self.margin, self.scale)}


@register_pair_loss("circle", margin=0.4, scale=80.0)
def _build(given: PairLossOptions) -> CircleLoss:
    return CircleLoss(float(given.margin), given.scale)
