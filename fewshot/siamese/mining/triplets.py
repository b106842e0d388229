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

from fewshot.siamese.relation import Relation

Which = Literal["all", "hard", "semi-hard"]

_FEW = 12  # positives an anchor up to which comparing each of them beats sorting


@dataclass(frozen=True)
class TripletWeights:
    """The chosen, active triplets of a batch.

    Attributes:
        weights: [anchor reference], the number of triplets that a positive pair is in, minus that
            of a negative pair, so that sum(weights * distances) = sum over triplets of p - n.
        triplets: how many there are, or the sum of their shares.
    """

    weights: Float[Tensor, "anchor reference"]
    triplets: Float[Tensor, ""]


@dataclass(frozen=True)
class Positives:
    """The positive pairs, row by row, filled up to the longest row.

    Attributes:
        rows, columns, slots: [pair], where each pair stands in the matrix and in `distances`.
        distances: [anchor slot], -inf where a row has fewer.
    """

    rows: Tensor
    columns: Tensor
    slots: Tensor
    distances: Tensor


def list_positives(distances: Float[Tensor, "anchor reference"], relation: Relation) -> Positives:
    """Put the distances of the positive pairs into as few columns as possible."""
    rows, columns = relation.positives.nonzero(as_tuple=True)
    counts = torch.bincount(rows, minlength=len(distances))
    first = counts.cumsum(dim=0) - counts
    slots = torch.arange(len(rows), device=rows.device) - first[rows]
    widest = int(counts.max()) if len(counts) else 0
    found = distances.new_full((len(distances), widest), -torch.inf)
    found[rows, slots] = distances[rows, columns]
    return Positives(rows, columns, slots, found)


@torch.no_grad()
def triplet_weights(
    distances: Float[Tensor, "anchor reference"],
    relation: Relation,
    margin: float | Float[Tensor, ""],
    which: Which = "all",
    shares: Float[Tensor, "anchor reference"] | None = None,
) -> TripletWeights:
    """Count, for every pair, the active triplets that it is in.

    Memory is O(anchor reference), time that times the logarithm of the positives an anchor has.

    Args:
        distances: of anchors and references.
        relation: which pairs are positive and which negative.
        margin: above 0.
        which: see the head of this module.
        shares: how much a negative counts, e.g. from `distance_weights`; None for 1 each.

    Raises:
        ValueError: another `which`.

    >>> from fewshot.siamese.relation import relate
    >>> near = torch.tensor([[0.0, 1.0, 1.1], [1.0, 0.0, 3.0], [1.1, 3.0, 0.0]])
    >>> found = triplet_weights(near, relate(torch.tensor([0, 0, 1])), 0.2)
    >>> found.weights[0].tolist(), found.triplets.item()
    ([0.0, 1.0, -1.0], 1.0)
    """
    if which not in ("all", "hard", "semi-hard"):
        raise ValueError(f"which is {which!r}; expected 'all', 'hard' or 'semi-hard'")
    positives = list_positives(distances, relation)
    lowest = torch.where(relation.negatives, distances - margin, torch.inf)  # p above it is active
    plain = torch.where(relation.negatives, distances, torch.inf)
    if positives.distances.shape[1] <= _FEW:
        of_positive, of_negative = _compare(positives.distances, lowest, plain, which, shares)
    else:
        of_positive, of_negative = _search(positives.distances, lowest, plain, which, shares)
    weights = 0.0 - of_negative
    weights[positives.rows, positives.columns] = of_positive[positives.rows, positives.slots]
    return TripletWeights(weights, of_positive.sum())


def _compare(
    positive: Tensor, lowest: Tensor, plain: Tensor, which: Which, shares: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Compare each positive of an anchor with all its negatives."""
    of_positive, of_negative = torch.zeros_like(positive), torch.zeros_like(plain)
    for slot in range(positive.shape[1]):
        distance = positive[:, slot, None]
        inside = plain <= distance if which == "hard" else lowest < distance
        if which == "semi-hard":
            inside &= plain > distance
        # As floats, because summing booleans along rows takes several times as long.
        counted = inside.to(plain.dtype) if shares is None else inside * shares
        of_positive[:, slot] = counted.sum(dim=1)
        of_negative += counted
    return of_positive, of_negative


def _search(
    positive: Tensor, lowest: Tensor, plain: Tensor, which: Which, shares: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Find the active positives of each negative, which are neighbours in the sorted row.

    They are the places `first` to `end` - 1. Where such runs begin and end, summed up along the
    row, gives the number of negatives of each positive in turn.
    """
    ordered, order = positive.sort(dim=1)
    end = torch.full_like(plain, positive.shape[1], dtype=torch.int64)
    if which == "hard":
        first = torch.searchsorted(ordered, plain)
    else:
        first = torch.searchsorted(ordered, lowest, right=True)
        if which == "semi-hard":
            end = torch.maximum(torch.searchsorted(ordered, plain), first)
    share = torch.ones_like(plain) if shares is None else shares
    changes = plain.new_zeros(len(plain), positive.shape[1] + 1)
    changes.scatter_add_(1, first, share).scatter_add_(1, end, -share)
    of_positive = torch.zeros_like(positive)
    of_positive.scatter_(1, order, changes.cumsum(dim=1)[:, :-1])
    return of_positive, (end - first) * share


@torch.no_grad()
def semi_hard_of_pairs(
    distances: Float[Tensor, "anchor reference"],
    relation: Relation,
    margin: float | Float[Tensor, ""],
) -> TripletWeights:
    """Take one negative a positive pair: the nearest one that is farther, else the farthest.

    Returns:
        Weights of the triplets among them that are active.

    Paper: Schroff, Kalenichenko and Philbin, FaceNet, CVPR 2015.
    """
    positives = list_positives(distances, relation)
    negatives = torch.where(relation.negatives, distances, torch.inf)
    ordered, order = negatives.sort(dim=1)
    counts = relation.negatives.count_nonzero(dim=1)[:, None]
    place = torch.searchsorted(ordered, positives.distances, right=True)
    place = torch.minimum(place, counts - 1).clamp(min=0)  # the farthest, if none is farther
    # A row without negatives finds infinity, which is never within the margin.
    active = ordered.gather(1, place) < positives.distances + margin
    weights = torch.zeros_like(distances)
    weights.scatter_add_(1, order.gather(1, place), -active.to(weights.dtype))
    weights[positives.rows, positives.columns] = active[positives.rows, positives.slots].to(
        weights.dtype
    )
    return TripletWeights(weights, active.sum().to(weights.dtype))
