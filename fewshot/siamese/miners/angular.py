"""Angular mining: triplets with a large angle at the negative."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from fewshot.siamese.miners.base import register_miner
from fewshot.siamese.miners.triplets import TripletWeights, list_positives
from fewshot.siamese.pair_masks import PairMasks


@torch.no_grad()
def angular_weights(
    distances: Float[Tensor, "item item"],
    pair_masks: PairMasks,
    degrees: float = 20.0,
    margin: float | Float[Tensor, ""] = math.inf,
) -> TripletWeights:
    """Count, for every pair, the triplets with atan(p / 2 d(n, midpoint of the pair)) > degrees.

    The distance to the midpoint m follows from the sides of the triangle (Apollonius):
    d(n, m)^2 = (d(n, a)^2 + d(n, p)^2) / 2 - d(a, p)^2 / 4. Memory is O(item^2).

    Args:
        distances: Euclidean, of a batch with itself.
        pair_masks: of the same batch.
        degrees: smallest angle, 0 to 90.
        margin: only triplets that are active in a triplet loss with this margin.

    Paper: Wang et al., Deep metric learning with angular loss, ICCV 2017.
    """
    if not 0 < degrees < 90:
        raise ValueError(f"degrees is {degrees}; expected between 0 and 90")
    positives = list_positives(distances, pair_masks)
    partner = positives.indices.new_zeros(positives.distances.shape)
    partner.view(-1)[positives.slots] = positives.indices % max(1, distances.shape[1])
    tangent = 2.0 * math.tan(math.radians(degrees))
    squared = distances.square()
    of_positive, of_negative = torch.zeros_like(positives.distances), torch.zeros_like(distances)
    for slot in range(partner.shape[1]):
        side = positives.distances[:, slot, None]
        there = side >= 0  # the rows that have so many positives
        side = side.clamp(min=0)
        middle = (0.5 * (squared + squared[partner[:, slot]]) - 0.25 * side.square()).clamp(min=0)
        inside = pair_masks.negatives & there & (side > tangent * middle.sqrt())
        inside &= distances < side + margin
        counted = inside.to(distances.dtype)
        of_positive[:, slot] = counted.sum(dim=1)
        of_negative += counted
    weights = 0.0 - of_negative
    positives.put(of_positive, weights)
    return TripletWeights(weights, of_positive.sum())


@register_miner("angular")
def _mine(
    distances: Tensor, pair_masks: PairMasks, margin: float | Tensor, dim: int
) -> TripletWeights:
    return angular_weights(distances, pair_masks, margin=margin)
