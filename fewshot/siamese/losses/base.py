"""What every loss on embeddings is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from fewshot.registry import PAIR_LOSSES
from fewshot.siamese.pair_masks import PairMasks, make_pair_masks


class PairLoss(nn.Module):
    """A loss of the embeddings of a batch.

    Attributes:
        takes_references: whether embeddings from outside the batch can be compared with.
    """

    takes_references = True

    def forward(
        self,
        embeddings: Float[Tensor, "anchor dim"],
        labels: Int64[Tensor, "anchor"],
        references: Float[Tensor, "reference dim"] | None = None,
        reference_labels: Int64[Tensor, "reference"] | None = None,
        ignored_pairs: Bool[Tensor, "anchor reference"] | None = None,
    ) -> dict[str, Tensor]:
        """Return scalars: the "loss" to be minimised, and what else is worth a line in the log.

        Args:
            embeddings: of the anchors.
            labels: their classes, -1 unknown.
            references: what the anchors are compared with; None for the batch itself.
            reference_labels: the references' classes.
            ignored_pairs: pairs that are neither positive nor negative, such as an item and itself.
        """
        others = embeddings if references is None else references
        return self.compare(
            embeddings, others, make_pair_masks(labels, reference_labels, ignored_pairs)
        )

    def compare(
        self,
        embeddings: Float[Tensor, "anchor dim"],
        references: Float[Tensor, "reference dim"],
        pair_masks: PairMasks,
    ) -> dict[str, Tensor]:
        """Return the same scalars, from the masks of positive and negative pairs.

        Args:
            embeddings: of the anchors.
            references: what they are compared with, the same tensor for a batch with itself.
            pair_masks: which pairs are positive and negative.
        """
        raise NotImplementedError


class PairLossOptions(NamedTuple):
    """What a pair loss is built from, each with its usual value where none was given.

    Attributes:
        margin: a number, or a kind of margin by its name.
        scale: of similarities.
        mining: which triplets the loss uses.
        classes: how many are trained on.
        dim: length of the embeddings.
        seed: of learned class centres.
    """

    margin: float | str
    scale: float
    mining: str
    classes: int
    dim: int
    seed: int


@dataclass(frozen=True)
class PairLossEntry:
    """What the name of a pair loss stands for.

    Attributes:
        build: makes the loss.
        margin: the usual one; None where the loss has none.
        scale: the same.
        margins: names of margins that are no number.
        mines: whether it has a choice of mining.
    """

    build: Callable[[PairLossOptions], PairLoss]
    margin: float | None
    scale: float | None
    margins: tuple[str, ...]
    mines: bool


Build = TypeVar("Build", bound=Callable[[PairLossOptions], PairLoss])


def register_pair_loss(
    name: str,
    *,
    margin: float | None = None,
    scale: float | None = None,
    margins: tuple[str, ...] = (),
    mines: bool = False,
) -> Callable[[Build], Build]:
    """Return a decorator that names a function which builds a loss; see `PairLossEntry`."""

    def add(build: Build) -> Build:
        PAIR_LOSSES.add(name, PairLossEntry(build, margin, scale, margins, mines), build)
        return build

    return add


def log_one_plus_sum(
    values: Float[Tensor, "row column"], chosen: Bool[Tensor, "row column"]
) -> Float[Tensor, "row"]:
    """log(1 + sum of exp(values) over the chosen ones); 0 where none is.

    >>> log_one_plus_sum(torch.zeros(1, 2), torch.tensor([[True, False]]))
    tensor([0.6931])
    """
    zero = values.new_zeros(len(values), 1)
    return torch.logsumexp(torch.cat([zero, values.masked_fill(~chosen, -torch.inf)], dim=1), dim=1)


def mean_or_zero(
    values: Float[Tensor, "*any"], graph: Float[Tensor, "*other"]
) -> Float[Tensor, ""]:
    """Mean of what there is; without any, a 0 that hangs on the same graph as `graph`."""
    return values.mean() if values.numel() else graph.sum() * 0.0


def mean_of_active(values: Float[Tensor, "*any"]) -> Float[Tensor, ""]:
    """Mean over the values above 0; 0 where there is none.

    >>> mean_of_active(torch.tensor([0.0, 1.0, 3.0]))
    tensor(2.)
    """
    return values.sum() / values.detach().count_nonzero().clamp(min=1)
