"""Contrastive loss: positives together, negatives at least a margin apart."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from fewshot.siamese.distances import euclidean_distances
from fewshot.siamese.losses.base import (
    PairLoss,
    PairLossOptions,
    mean_of_active,
    register_pair_loss,
)
from fewshot.siamese.pair_masks import PairMasks

Distance = Callable[[Tensor, Tensor], Tensor]


def contrastive_loss(
    distances: Float[Tensor, "anchor reference"],
    pair_masks: PairMasks,
    margin: float = 1.0,
    *,
    squared: bool = True,
) -> Float[Tensor, ""]:
    """d^2 / 2 of positives plus max(0, margin - d)^2 / 2 of negatives.

    Each kind is averaged over its pairs with a loss, so that the many negatives, most of them far
    enough apart, do not drown the positives.

    Args:
        distances: at least 0.
        pair_masks: which pairs are positive and negative.
        margin: how far apart negatives have to be; embeddings of unit length are at most 2 apart.
        squared: False takes d and max(0, margin - d) themselves.

    Returns:
        The sum of both averages; a kind that is not there counts 0.

    Paper: Hadsell, Chopra and LeCun, Dimensionality reduction by learning an invariant mapping,
    CVPR 2006.

    >>> two = PairMasks(torch.tensor([[True, False]]), torch.tensor([[False, True]]))
    >>> contrastive_loss(torch.tensor([[0.6, 0.2]]), two)
    tensor(0.5000)
    """
    if margin <= 0:
        raise ValueError(f"margin is {margin}; expected above 0")
    positive = distances[pair_masks.positives]
    negative = torch.where(pair_masks.negatives, margin - distances, 0.0).relu()
    if squared:
        positive, negative = 0.5 * positive.square(), 0.5 * negative.square()
    return mean_of_active(positive) + mean_of_active(negative)


class ContrastiveLoss(PairLoss):
    """`contrastive_loss` of a batch.

    Args:
        margin: as above.
        squared: as above.
        distance: of embeddings; a module if it is learned.
    """

    def __init__(
        self, margin: float = 1.0, squared: bool = True, distance: Distance = euclidean_distances
    ) -> None:
        super().__init__()
        self.margin, self.squared, self.distance = margin, squared, distance

    def compare(
        self,
        embeddings: Float[Tensor, "anchor dim"],
        references: Float[Tensor, "reference dim"],
        pair_masks: PairMasks,
    ) -> dict[str, Tensor]:
        """Return the loss."""
        distances = self.distance(embeddings, references)
        return {"loss": contrastive_loss(distances, pair_masks, self.margin, squared=self.squared)}


@register_pair_loss("contrastive", margin=1.0)
def _build(given: PairLossOptions) -> ContrastiveLoss:
    return ContrastiveLoss(float(given.margin))
