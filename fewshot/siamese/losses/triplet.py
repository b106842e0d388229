"""Triplet losses: every anchor nearer to its positives than to its negatives."""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from fewshot.registry import MINERS
from fewshot.siamese.distances import euclidean_distances, indexed_euclidean_distances
from fewshot.siamese.losses.base import PairLoss, PairLossOptions, register_pair_loss
from fewshot.siamese.losses.contrastive import Distance
from fewshot.siamese.miners.base import AnchorMiner, Pick, TripletMiner
from fewshot.siamese.miners.hardest import nearest
from fewshot.siamese.miners.triplets import TripletWeights, list_positives
from fewshot.siamese.pair_masks import PairMasks


@dataclass(frozen=True)
class AdaptiveMargin:
    """Margin as a fraction of the gap between the mean negative and the mean positive distance.

    It grows with the separation of the classes, so that triplets stay active; at least
    `min_margin`.

    Attributes:
        fraction: of the gap.
        min_margin: smallest margin.

    Paper: Chen et al., Beyond triplet loss: a deep quadruplet network, CVPR 2017, section 3.3.
    """

    fraction: float = 1.0
    min_margin: float = 0.05

    def of(
        self, distances: Float[Tensor, "anchor reference"], pair_masks: PairMasks
    ) -> Float[Tensor, ""]:
        """Margin of a batch, without a gradient; `min_margin` where a kind is missing."""
        with torch.no_grad():
            means = [
                (distances * kind).sum() / kind.count_nonzero()  # 0 / 0 is NaN, then `min_margin`
                for kind in (pair_masks.negatives, pair_masks.positives)
            ]
            return (
                (self.fraction * (means[0] - means[1])).nan_to_num(0.0).clamp(min=self.min_margin)
            )


Margin = float | Literal["soft"] | AdaptiveMargin
"""A number; or "soft" for log(1 + exp(p - n)) in place of max(0, p - n + margin); or adaptive."""


def weighted_triplet_loss(
    distances: Float[Tensor, "anchor reference"],
    mined: TripletWeights,
    margin: float | Float[Tensor, ""],
) -> Float[Tensor, ""]:
    """Mean of p - n + margin over mined triplets, all of which are active.

    Args:
        distances: with a gradient.
        mined: from one of the miners, with the same margin.
        margin: above 0.
    """
    return _WeightedTriplets.apply(distances, mined.weights, mined.triplets, margin)


class _WeightedTriplets(torch.autograd.Function):
    """Linear in the distances, so that the weights are the gradient."""

    @staticmethod
    def forward(
        context: Any, distances: Tensor, weights: Tensor, triplets: Tensor, margin: float | Tensor
    ) -> Tensor:
        # Row sums first, then in double precision: thousands of distances cancel but for the gaps.
        gaps = (distances * weights).sum(dim=1).sum(dtype=torch.float64)
        count = triplets.clamp(min=1e-12)
        context.save_for_backward(weights, count)
        return (gaps.to(distances.dtype) + margin * triplets) / count

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        weights, count = context.saved_tensors
        return weights * (gradient / count), None, None, None


def soft_triplet_loss(
    distances: Float[Tensor, "anchor reference"], pair_masks: PairMasks
) -> Float[Tensor, ""]:
    """Mean of log(1 + exp(p - n)) over all triplets, in O(anchor reference) memory.

    Paper: Hermans et al., In defense of the triplet loss for person re-identification, 2017.
    """
    total = _SoftTriplets.apply(distances, pair_masks.positives, pair_masks.negatives)
    counts = pair_masks.positives.count_nonzero(dim=1) * pair_masks.negatives.count_nonzero(dim=1)
    return total / counts.sum().clamp(min=1)


class _SoftTriplets(torch.autograd.Function):
    """The gradient is summed up beside the value: keeping every triplet would cost n^3."""

    @staticmethod
    def forward(context: Any, distances: Tensor, positives: Tensor, negatives: Tensor) -> Tensor:
        listed = list_positives(distances, PairMasks(positives, negatives))
        gradient, of_positive = torch.zeros_like(distances), torch.zeros_like(listed.distances)
        total = distances.new_zeros((), dtype=torch.float64)
        for slot in range(listed.distances.shape[1]):
            gaps = (listed.distances[:, slot, None] - distances).masked_fill(~negatives, -torch.inf)
            total += functional.softplus(gaps).sum(dim=1).double().sum()
            slope = gaps.sigmoid()
            of_positive[:, slot] = slope.sum(dim=1)
            gradient -= slope
        listed.put(of_positive, gradient)
        context.save_for_backward(gradient)
        return total.to(distances.dtype)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return gradient * context.saved_tensors[0], None, None


def hardest_triplet_losses(
    positive: Float[Tensor, "anchor"],
    negative: Float[Tensor, "anchor"],
    valid: Bool[Tensor, "anchor"],
    margin: float | Float[Tensor, ""] | Literal["soft"],
) -> Float[Tensor, "anchor"]:
    """Loss of the hardest triplet of each anchor, 0 where the anchor has none.

    >>> valid = torch.tensor([True, True, False])
    >>> near, far = torch.tensor([1.0, 0.1, 9.0]), torch.tensor([0.8, 0.9, 0.0])
    >>> hardest_triplet_losses(near, far, valid, 0.3)
    tensor([0.5000, 0.0000, 0.0000])
    """
    gaps = positive - negative
    values = functional.softplus(gaps) if margin == "soft" else (gaps + margin).relu()
    return values * valid


class TripletLoss(PairLoss):
    """A triplet loss with a choice of miner.

    Besides the loss it returns "active", the fraction of its triplets with a loss above 0.

    Args:
        mining: name of a miner of `fewshot.registry.MINERS`. Batch-hard and easy-positive take one
            triplet an anchor, all others average over all their active ones.
        margin: see `Margin`; soft with miners that do without one: batch-hard, easy-positive, all.
        fallback: the mining from `fall_back` on, e.g. when embeddings collapse.
        distance: of embeddings; a module if it is learned.

    Raises:
        UnknownPartError: there is no such miner.
        ValueError: the margin does not fit it.
    """

    stage: Tensor

    def __init__(
        self,
        mining: str = "batch-hard",
        margin: Margin = 0.2,
        fallback: str = "all",
        distance: Distance = euclidean_distances,
    ) -> None:
        super().__init__()
        if margin == "soft" and not (MINERS[mining].soft and MINERS[fallback].soft):
            fitting = [name for name, miner in MINERS.parts().items() if miner.soft]
            raise ValueError(
                f"a soft margin does not fit {mining!r} with the fallback {fallback!r}, which need "
                f"to define active triplets; take one of {', '.join(fitting)}"
            )
        if isinstance(margin, float | int) and margin <= 0:
            raise ValueError(f"margin is {margin}; expected above 0")
        self.minings = (mining, fallback)
        self._miners: tuple[AnchorMiner | TripletMiner, ...] = (MINERS[mining], MINERS[fallback])
        self.margin, self.distance = margin, distance
        # A buffer, so that it is saved with a run and every process gets it from the first.
        self.register_buffer("stage", torch.zeros((), dtype=torch.int64))

    @property
    def mining(self) -> str:
        """The mining in use."""
        return self.minings[int(self.stage)]

    def fall_back(self) -> None:
        """Go over to the other mining, for good."""
        self.stage.fill_(1)

    def compare(
        self,
        embeddings: Float[Tensor, "anchor dim"],
        references: Float[Tensor, "reference dim"],
        pair_masks: PairMasks,
    ) -> dict[str, Tensor]:
        """Return the loss and the share of active triplets."""
        miner = self._miners[int(self.stage)]
        if isinstance(miner, AnchorMiner):
            return self._of_anchors(embeddings, references, pair_masks, miner.pick)
        distances = self.distance(embeddings, references)
        counts = pair_masks.positives.count_nonzero(dim=1) * pair_masks.negatives.count_nonzero(
            dim=1
        )
        if self.margin == "soft":
            loss = soft_triplet_loss(distances, pair_masks)
            return {"loss": loss, "active": (counts.sum() > 0).to(loss.dtype)}
        margin = self._margin(distances, pair_masks)
        mined = miner.weigh(distances, pair_masks, margin, embeddings.shape[1])
        if miner.one_negative:
            counts = pair_masks.positives.count_nonzero(dim=1) * pair_masks.negatives.any(dim=1)
        active = mined.triplets / counts.sum().clamp(min=1)
        return {"loss": weighted_triplet_loss(distances, mined, margin), "active": active}

    def _of_anchors(
        self, first: Tensor, second: Tensor, pair_masks: PairMasks, pick: Pick
    ) -> dict[str, Tensor]:
        """Mine without a gradient; then only the distances found are computed with one."""
        with torch.no_grad():
            distances = self.distance(first, second)
            positive, with_positive = pick(distances, pair_masks.positives)
            negative, with_negative = nearest(distances, pair_masks.negatives)
            there = with_positive & with_negative
        near, far = self._found(first, second, torch.stack([positive, negative]))
        margin = self._margin(distances, pair_masks)
        values = hardest_triplet_losses(near, far, there, margin)
        active = values.detach().count_nonzero()
        share = active / there.count_nonzero().clamp(min=1)
        return {"loss": values.sum() / active.clamp(min=1), "active": share}

    def _found(self, first: Tensor, second: Tensor, columns: Tensor) -> Tensor:
        """Distances [found anchor] of each anchor to the references found for it."""
        if self.distance is not euclidean_distances:
            return self.distance(first, second).gather(1, columns.T).T
        return indexed_euclidean_distances(first, second, columns)

    def _margin(self, distances: Tensor, pair_masks: PairMasks) -> Any:
        if isinstance(self.margin, AdaptiveMargin):
            return self.margin.of(distances, pair_masks)
        return self.margin


@register_pair_loss("triplet", margin=0.2, margins=("soft", "adaptive"), mines=True)
def _build(given: PairLossOptions) -> TripletLoss:
    margin: Any = AdaptiveMargin() if given.margin == "adaptive" else given.margin
    return TripletLoss(given.mining, margin)
