"""What every miner of triplets is, and how it is registered."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from fewshot.registry import MINERS
from fewshot.siamese.pair_masks import PairMasks

MarginValue = float | Tensor
"""A number, which a batch may decide."""
Pick = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""From distances and partners [anchor reference] to a place an anchor, and whether it has one."""
Weigh = Callable[[Tensor, PairMasks, MarginValue, int], Any]
"""From distances [anchor reference], pair masks, margin and length of an embedding to the
`fewshot.siamese.miners.triplets.TripletWeights` of the active triplets."""


@dataclass(frozen=True)
class AnchorMiner:
    """One triplet an anchor, active or not.

    Attributes:
        pick: chooses the positive; the negative is the nearest.
        soft: whether it needs no margin, which defines the active triplets.
    """

    pick: Pick
    soft: bool = True


@dataclass(frozen=True)
class TripletMiner:
    """Many triplets an anchor, those that are active.

    Attributes:
        weigh: weighs the pairs by the triplets that they are in.
        soft: as of `AnchorMiner`.
        one_negative: whether each positive pair has one negative, and is one triplet.
    """

    weigh: Weigh
    soft: bool = False
    one_negative: bool = False


def register_anchor_miner(name: str) -> Callable[[Pick], Pick]:
    """Return a decorator that makes the choice of a positive a miner of one triplet an anchor."""

    def add(pick: Pick) -> Pick:
        MINERS.add(name, AnchorMiner(pick), pick)
        return pick

    return add


def register_miner(
    name: str, *, soft: bool = False, one_negative: bool = False
) -> Callable[[Weigh], Weigh]:
    """Return a decorator that makes a function a miner of many triplets; see `TripletMiner`."""

    def add(weigh: Weigh) -> Weigh:
        MINERS.add(name, TripletMiner(weigh, soft, one_negative), weigh)
        return weigh

    return add
