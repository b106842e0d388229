"""All, hard and semi-hard triplets, counted without being listed.

With p the distance of a positive pair and n that of a negative pair of one anchor, a triplet is
active where n < p + margin: only active ones have a loss, p - n + margin.

    "all"        n < p + margin
    "hard"       n <= p
    "semi-hard"  p < n < p + margin

These are the meanings of pytorch-metric-learning, "every triplet in the band".
`semi_hard_of_pairs` is FaceNet's: one negative a positive pair.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from fewshot.siamese.miners.base import MarginValue, register_miner
from fewshot.siamese.pair_masks import PairMasks

TripletSelection = Literal["all", "hard", "semi-hard"]

_FEW = 64  # positives an anchor up to which comparing each of them beats sorting
_CELLS = 1 << 16  # comparisons at once, or those of one positive an anchor


@dataclass(frozen=True)
class TripletWeights:
    """The chosen, active triplets of a batch.

    Attributes:
        weights: [anchor reference], the number of triplets that a positive pair is in, minus that
            of a negative pair, so that sum(weights * distances) = sum over triplets of p - n.
        triplets: their number, or the sum of their weights.
    """

    weights: Float[Tensor, "anchor reference"]
    triplets: Float[Tensor, ""]


@dataclass(frozen=True)
class Positives:
    """The positive pairs, row by row, padded to the longest row.

    Attributes:
        indices: [pair], of each in the flattened matrix.
        slots: [pair], of each in the flattened `distances`.
        distances: [anchor slot], -inf where a row has fewer.
    """

    indices: Tensor
    slots: Tensor
    distances: Tensor

    def put(self, values: Float[Tensor, "anchor slot"], matrix: Tensor) -> None:
        """Write the values of the pairs into a matrix [anchor reference]."""
        matrix.view(-1)[self.indices] = values.view(-1)[self.slots]


def list_positives(
    distances: Float[Tensor, "anchor reference"], pair_masks: PairMasks
) -> Positives:
    """Put the distances of the positive pairs into as few columns as possible."""
    indices = pair_masks.positives.reshape(-1).nonzero().squeeze(1)  # of two axes it takes longer
    rows = indices.div(max(1, distances.shape[1]), rounding_mode="floor")
    counts = torch.bincount(rows, minlength=len(distances))
    widest = int(counts.max()) if len(counts) else 0
    filled = torch.arange(widest, device=rows.device) < counts[:, None]
    slots = filled.view(-1).nonzero().squeeze(1)
    padded = distances.new_full((len(distances), widest), -torch.inf)
    padded.view(-1)[slots] = distances.reshape(-1)[indices]
    return Positives(indices, slots, padded)


@torch.no_grad()
def triplet_weights(
    distances: Float[Tensor, "anchor reference"],
    pair_masks: PairMasks,
    margin: float | Float[Tensor, ""],
    selection: TripletSelection = "all",
    negative_weights: Float[Tensor, "anchor reference"] | None = None,
) -> TripletWeights:
    """Count, for every pair, the active triplets that it is in.

    Memory is O(anchor reference), time that times the logarithm of the positives an anchor has.

    Args:
        distances: of anchors and references.
        pair_masks: which pairs are positive and which negative.
        margin: above 0.
        selection: see the head of this module.
        negative_weights: how much a negative counts, e.g. from `distance_weights`; None for 1 each.

    Raises:
        ValueError: another `selection`.

    >>> from fewshot.siamese.pair_masks import make_pair_masks
    >>> near = torch.tensor([[0.0, 1.0, 1.1], [1.0, 0.0, 3.0], [1.1, 3.0, 0.0]])
    >>> found = triplet_weights(near, make_pair_masks(torch.tensor([0, 0, 1])), 0.2)
    >>> found.weights[0].tolist(), found.triplets.item()
    ([0.0, 1.0, -1.0], 1.0)
    """
    if selection not in ("all", "hard", "semi-hard"):
        raise ValueError(f"selection is {selection!r}; expected 'all', 'hard' or 'semi-hard'")
    positives = list_positives(distances, pair_masks)
    share = as_numbers(pair_masks.negatives, distances.dtype)
    share = share if negative_weights is None else share.mul_(negative_weights)
    count = _compare if positives.distances.shape[1] <= _FEW else _search
    of_positive, of_negative = count(positives.distances, distances, share, margin, selection)
    weights = 0.0 - of_negative
    positives.put(of_positive, weights)
    return TripletWeights(weights, of_positive.sum())


def as_numbers(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """1 where the mask is set, else 0; several times faster than from booleans themselves."""
    return mask.view(torch.uint8).to(dtype)


def _compare(
    positive: Tensor,
    distances: Tensor,
    share: Tensor,
    margin: float | Tensor,
    selection: TripletSelection,
) -> tuple[Tensor, Tensor]:
    """Compare each positive of an anchor with all its negatives.

    Numbers are compared into numbers, since operations on booleans take several times as long.
    """
    of_positive, of_negative = torch.empty_like(positive), torch.zeros_like(distances)
    lowest = (
        distances if selection == "hard" else distances - margin
    )  # positives above it are active
    above = torch.le if selection == "hard" else torch.lt
    slots = max(1, _CELLS // max(1, distances.numel()))
    for start in range(0, positive.shape[1], slots):
        some = positive[:, start : start + slots, None]
        inside = distances.new_empty(*some.shape[:2], distances.shape[1])
        above(lowest[:, None], some, out=inside)
        if selection == "semi-hard":
            inside *= torch.gt(distances[:, None], some, out=torch.empty_like(inside))
        inside *= share[:, None]
        torch.sum(inside, dim=2, out=of_positive[:, start : start + slots])
        of_negative += inside.sum(dim=1) if slots > 1 else inside[:, 0]
    return of_positive, of_negative


def _search(
    positive: Tensor,
    distances: Tensor,
    share: Tensor,
    margin: float | Tensor,
    selection: TripletSelection,
) -> tuple[Tensor, Tensor]:
    """Find the active positives of each negative, which are neighbours in the sorted row.

    They are the places `first` to `end` - 1. Where such runs begin and end, summed up along the
    row, gives the number of negatives of each positive in turn.
    """
    ordered, order = positive.sort(dim=1)
    end = torch.full_like(distances, positive.shape[1], dtype=torch.int64)
    if selection == "hard":
        first = torch.searchsorted(ordered, distances)
    else:
        first = torch.searchsorted(ordered, distances - margin, right=True)
        if selection == "semi-hard":
            end = torch.maximum(torch.searchsorted(ordered, distances), first)
    changes = distances.new_zeros(len(distances), positive.shape[1] + 1)
    changes.scatter_add_(1, first, share).scatter_add_(1, end, -share)
    of_positive = torch.zeros_like(positive)
    of_positive.scatter_(1, order, changes.cumsum(dim=1)[:, :-1])
    return of_positive, (end - first) * share


@torch.no_grad()
def semi_hard_of_pairs(
    distances: Float[Tensor, "anchor reference"],
    pair_masks: PairMasks,
    margin: float | Float[Tensor, ""],
) -> TripletWeights:
    """Take one negative a positive pair: the nearest one that is farther, else the farthest.

    Returns:
        Weights of the triplets among them that are active.

    Paper: Schroff, Kalenichenko and Philbin, FaceNet, CVPR 2015.
    """
    positives = list_positives(distances, pair_masks)
    negatives = torch.where(pair_masks.negatives, distances, torch.inf)
    ordered, order = negatives.sort(dim=1)
    counts = pair_masks.negatives.count_nonzero(dim=1)[:, None]
    place = torch.searchsorted(ordered, positives.distances, right=True)
    place = torch.minimum(place, counts - 1).clamp(min=0)  # the farthest, if none is farther
    # A row without negatives finds infinity, which is never within the margin.
    active = ordered.gather(1, place) < positives.distances + margin
    weights, counted = torch.zeros_like(distances), active.to(distances.dtype)
    weights.scatter_add_(1, order.gather(1, place), -counted)
    positives.put(counted, weights)
    return TripletWeights(weights, counted.sum())


@register_miner("all", soft=True)
def _all(distances: Tensor, pair_masks: PairMasks, margin: MarginValue, dim: int) -> TripletWeights:
    return triplet_weights(distances, pair_masks, margin, "all")


@register_miner("hard")
def _hard(
    distances: Tensor, pair_masks: PairMasks, margin: float | Tensor, dim: int
) -> TripletWeights:
    return triplet_weights(distances, pair_masks, margin, "hard")


@register_miner("semi-hard")
def _semi_hard(
    distances: Tensor, pair_masks: PairMasks, margin: float | Tensor, dim: int
) -> TripletWeights:
    return triplet_weights(distances, pair_masks, margin, "semi-hard")


@register_miner("semi-hard of pairs", one_negative=True)
def _of_pairs(
    distances: Tensor, pair_masks: PairMasks, margin: float | Tensor, dim: int
) -> TripletWeights:
    return semi_hard_of_pairs(distances, pair_masks, margin)
