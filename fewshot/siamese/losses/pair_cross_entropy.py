"""Binary cross-entropy on the question whether a pair is of one class."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from fewshot.siamese.losses.base import PairLoss
from fewshot.siamese.pair_masks import PairMasks


def pair_cross_entropy_loss(
    logits: Float[Tensor, "anchor reference"], pair_masks: PairMasks
) -> Float[Tensor, ""]:
    """Mean over the kinds that are there (positive, negative) of the mean over their pairs.

    Args:
        logits: that a pair is of one class.
        pair_masks: which pairs are positive and negative.

    Returns:
        log 2 for logits of 0; 0 without pairs.

    Paper: Koch, Zemel and Salakhutdinov, ICML deep learning workshop 2015; balanced here, because
    a batch of c classes has some c - 1 times as many negatives as positives.

    >>> both = PairMasks(torch.tensor([[True, False]]), torch.tensor([[False, True]]))
    >>> pair_cross_entropy_loss(torch.zeros(1, 2), both)
    tensor(0.6931)
    """
    positive = functional.softplus(-logits[pair_masks.positives])
    negative = functional.softplus(logits[pair_masks.negatives])
    kinds = [values.mean() for values in (positive, negative) if values.numel()]
    return torch.stack(kinds).mean() if kinds else logits.sum() * 0.0


class PairCrossEntropy(PairLoss):
    """`pair_cross_entropy_loss` of a batch.

    Args:
        head: makes logits [anchor reference] of two sets of embeddings, e.g. `WeightedL1`.
    """

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def compare(
        self,
        embeddings: Float[Tensor, "anchor dim"],
        references: Float[Tensor, "reference dim"],
        pair_masks: PairMasks,
    ) -> dict[str, Tensor]:
        """Return the loss."""
        return {"loss": pair_cross_entropy_loss(self.head(embeddings, references), pair_masks)}
