"""Distance-weighted sampling: negatives of all distances alike, not mostly the usual one."""

import torch
from jaxtyping import Float
from torch import Tensor

from fewshot.siamese.miners.base import register_miner
from fewshot.siamese.miners.triplets import TripletWeights, triplet_weights
from fewshot.siamese.pair_masks import PairMasks


@torch.no_grad()
def distance_weights(
    distances: Float[Tensor, "anchor reference"],
    pair_masks: PairMasks,
    dim: int,
    min_distance: float = 0.5,
    max_distance: float = 1.4,
) -> Float[Tensor, "anchor reference"]:
    """Probability with which each negative is drawn for an anchor.

    On a sphere in many dimensions nearly all distances are sqrt(2). Drawing by the inverse of their
    density q(d) ~ d^(dim - 2) (1 - d^2 / 4)^((dim - 3) / 2) evens them out. As `negative_weights`
    of `triplet_weights` they give the expectation of the published random draw.

    Args:
        distances: Euclidean, of embeddings of unit length.
        pair_masks: which pairs are negative.
        dim: length of the embeddings.
        min_distance: smaller distances count as this one, so that noise is not preferred.
        max_distance: negatives at least this far away are never drawn.

    Returns:
        Probabilities that sum to 1 for an anchor, or to 0 where no negative is nearer than
        `max_distance`.

    Paper: Wu et al., Sampling matters in deep embedding learning, ICCV 2017.
    """
    inside = distances.clamp(min=min_distance)
    # The density is 0 at 2, where the logarithm would be infinite.
    rest = (1.0 - 0.25 * inside.square()).clamp(min=1e-8)
    logarithms = (2.0 - dim) * inside.log() - 0.5 * (dim - 3.0) * rest.log()
    allowed = pair_masks.negatives & (distances < max_distance)
    shares = logarithms.masked_fill(~allowed, -torch.inf).softmax(dim=1)
    return torch.where(allowed, shares, 0.0)  # a row without any is NaN in the softmax


@register_miner("distance-weighted", one_negative=True)
def _mine(
    distances: Tensor, pair_masks: PairMasks, margin: float | Tensor, dim: int
) -> TripletWeights:
    shares = distance_weights(distances, pair_masks, dim)
    return triplet_weights(distances, pair_masks, margin, "all", shares)
