"""The prototypical head of PANet: each pixel gets the label of the nearest prototype."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

from fewshot.models.heads.base import Formerly, Head, Support, register_head
from fewshot.models.prototypes import class_prototypes


@dataclass(frozen=True)
class PANetSettings:
    """How pixels are compared with prototypes.

    Attributes:
        distance: "cosine", or "euclidean" (squared).
        scale: what similarities are multiplied with to make logits; 20 in the paper.
    """

    distance: Literal["cosine", "euclidean"] = "cosine"
    scale: float = 20.0


@register_head("panet-euclidean", PANetSettings("euclidean"))
@register_head("panet", PANetSettings(), formerly=Formerly("prototypical", "PrototypicalSettings"))
class PANetHead(Head):
    """One prototype a class, one for the background, no weights of its own.

    A class of which the support shows no pixel gets the lowest possible similarity everywhere.

    Paper: Wang et al., PANet: few-shot image semantic segmentation with prototype alignment,
    ICCV 2019.
    """

    def __init__(self, settings: PANetSettings | None = None) -> None:
        super().__init__(settings or PANetSettings())

    def encode_support(
        self,
        support_features: Float[Tensor, "batch way shot channel rows columns"],
        support_masks: UInt8[Tensor, "batch way shot height width"],
    ) -> Support:
        """Make the prototypes; see `Head`."""
        prototypes, present = class_prototypes(support_features, support_masks)
        return Support({"prototypes": prototypes, "present": present})

    def logits(
        self, support: Support, query_features: Float[Tensor, "batch query channel rows columns"]
    ) -> Float[Tensor, "batch query label rows columns"]:
        """Compare every position with every prototype; see `Head`."""
        prototypes = support.tensors["prototypes"]
        present = support.tensors["present"][:, None, :, None, None]
        if self.settings.distance == "cosine":
            similarity = torch.einsum(
                "bqcrw,bpc->bqprw",
                functional.normalize(query_features, dim=2),
                functional.normalize(prototypes, dim=2),
            )
            lowest = -1.0
        else:
            similarity = -squared_distance(query_features, prototypes)
            lowest = -4.0  # of two vectors of unit length
        return self.settings.scale * torch.where(present, similarity, lowest)


def squared_distance(
    features: Float[Tensor, "batch query channel rows columns"],
    prototypes: Float[Tensor, "batch prototype channel"],
) -> Float[Tensor, "batch query prototype rows columns"]:
    """Squared Euclidean distance of every position to every prototype.

    Expanded as |f|² - 2 f·p + |p|², so that no difference map is ever stored; rounding can not
    make it negative.
    """
    cross = torch.einsum("bqcrw,bpc->bqprw", features, prototypes)
    own = features.square().sum(dim=2)[:, :, None]
    other = prototypes.square().sum(dim=2)[:, None, :, None, None]
    return (own - 2 * cross + other).clamp(min=0)
