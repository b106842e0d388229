"""Softmax over similarities: supervised contrastive loss and NT-Xent."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from fewshot.siamese.distances import cosine_similarities
from fewshot.siamese.losses.base import PairLoss, PairLossOptions, mean_or_zero, register_pair_loss
from fewshot.siamese.pair_masks import PairMasks

Against = Literal["all", "negatives"]


def supervised_contrastive_loss(
    similarities: Float[Tensor, "anchor reference"],
    pair_masks: PairMasks,
    temperature: float = 0.1,
    against: Against = "all",
) -> Float[Tensor, ""]:
    """Mean over anchors with positives of the mean over their positives of -log softmax.

    Args:
        similarities: cosines.
        pair_masks: which pairs are positive and negative.
        temperature: divides the similarities.
        against: what a positive stands against in the softmax: "all" other items, further
            positives included (supervised contrastive), or itself and the "negatives" (NT-Xent;
            with one positive an anchor both are the same).

    Returns:
        0 without positive pairs; also where a lone positive has nothing against it.

    Papers: Khosla et al., Supervised contrastive learning, NeurIPS 2020, equation 2; Chen et al.,
    A simple framework for contrastive learning of visual representations, ICML 2020.

    >>> both = PairMasks(torch.tensor([[True, False]]), torch.tensor([[False, True]]))
    >>> supervised_contrastive_loss(torch.zeros(1, 2), both)
    tensor(0.6931)
    """
    if temperature <= 0:
        raise ValueError(f"temperature is {temperature}; expected above 0")
    anchors = pair_masks.positives.any(dim=1)
    scores = similarities[anchors] / temperature
    positives, negatives = pair_masks.positives[anchors], pair_masks.negatives[anchors]
    if against == "all":
        shown = scores.masked_fill(~(positives | negatives), -torch.inf)
        logarithms = scores - shown.logsumexp(dim=1, keepdim=True)
    else:
        lowest = torch.finfo(scores.dtype).min  # finite: -inf against -inf would be NaN
        rest = scores.masked_fill(~negatives, lowest).logsumexp(dim=1, keepdim=True)
        logarithms = scores - torch.logaddexp(scores, rest)
    each = torch.where(positives, logarithms, 0.0).sum(dim=1) / positives.sum(dim=1)
    return mean_or_zero(-each, similarities)


class SupervisedContrastiveLoss(PairLoss):
    """`supervised_contrastive_loss` of a batch.

    Args:
        temperature: as above.
        against: as above.
    """

    def __init__(self, temperature: float = 0.1, against: Against = "all") -> None:
        super().__init__()
        if against not in ("all", "negatives"):
            raise ValueError(f"against is {against!r}; expected 'all' or 'negatives'")
        self.temperature, self.against = temperature, against

    def compare(
        self,
        embeddings: Float[Tensor, "anchor dim"],
        references: Float[Tensor, "reference dim"],
        pair_masks: PairMasks,
    ) -> dict[str, Tensor]:
        """Return the loss."""
        similarities = cosine_similarities(embeddings, references)
        return {
            "loss": supervised_contrastive_loss(
                similarities, pair_masks, self.temperature, self.against
            )
        }


@register_pair_loss("supervised-contrastive", scale=10.0)
def _build(given: PairLossOptions) -> SupervisedContrastiveLoss:
    return SupervisedContrastiveLoss(1 / given.scale)


@register_pair_loss("nt-xent", scale=10.0)
def _build_nt_xent(given: PairLossOptions) -> SupervisedContrastiveLoss:
    return SupervisedContrastiveLoss(1 / given.scale, "negatives")
