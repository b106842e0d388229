"""Multi-similarity loss: pairs weighted by their own and by their neighbours' similarities."""

from jaxtyping import Float
from torch import Tensor

from fewshot.siamese.distances import cosine_similarities
from fewshot.siamese.losses.base import (
    PairLoss,
    PairLossOptions,
    log_one_plus_sum,
    register_pair_loss,
)
from fewshot.siamese.miners.multi_similarity import relatively_hard
from fewshot.siamese.pair_masks import PairMasks


def multi_similarity_loss(
    similarities: Float[Tensor, "anchor reference"],
    pair_masks: PairMasks,
    alpha: float = 2.0,
    beta: float = 50.0,
    base: float = 0.5,
) -> Float[Tensor, ""]:
    """log(1 + sum_p exp(-alpha (s - base))) / alpha + log(1 + sum_n exp(beta (s - base))) / beta.

    The mean over all anchors; those without a pair count 0.

    Args:
        similarities: cosines.
        pair_masks: the pairs that count, e.g. those from `relatively_hard`.
        alpha, beta: sharpness for positives and negatives.
        base: similarity that positives shall be above and negatives below.

    Paper: Wang et al., Multi-similarity loss with general pair weighting, CVPR 2019.
    """
    positive = log_one_plus_sum(alpha * (base - similarities), pair_masks.positives) / alpha
    negative = log_one_plus_sum(beta * (similarities - base), pair_masks.negatives) / beta
    return (positive + negative).mean()


class MultiSimilarityLoss(PairLoss):
    """`multi_similarity_loss` of the relatively hard pairs of a batch.

    Args:
        epsilon: slack of the mining; None takes all pairs.
        alpha, beta, base: as above.
    """

    def __init__(
        self,
        epsilon: float | None = 0.1,
        alpha: float = 2.0,
        beta: float = 50.0,
        base: float = 0.5,
    ) -> None:
        super().__init__()
        self.epsilon, self.alpha, self.beta, self.base = epsilon, alpha, beta, base

    def compare(
        self,
        embeddings: Float[Tensor, "anchor dim"],
        references: Float[Tensor, "reference dim"],
        pair_masks: PairMasks,
    ) -> dict[str, Tensor]:
        """Return the loss."""
        similarities = cosine_similarities(embeddings, references)
        if self.epsilon is not None:
            pair_masks = relatively_hard(similarities, pair_masks, self.epsilon)
        loss = multi_similarity_loss(similarities, pair_masks, self.alpha, self.beta, self.base)
        return {"loss": loss}


@register_pair_loss("multi-similarity")
def _build(given: PairLossOptions) -> MultiSimilarityLoss:
    return MultiSimilarityLoss()
