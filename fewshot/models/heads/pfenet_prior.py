"""The prior mask of PFENet: the largest similarity of the query to any pixel of the class."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor
from torch.nn import functional

from fewshot.models.heads.alpnet import compare, thin_out
from fewshot.models.heads.base import Formerly, Head, Support, register_head
from fewshot.models.prototypes import grid_weights


@dataclass(frozen=True)
class PFENetPriorSettings:
    """How the prior becomes logits.

    Attributes:
        threshold: prior, from 0 to 1, above which a pixel is foreground.
        scale: what the prior's distance to the threshold is multiplied with to make logits.
        most: largest number of support positions kept a class; of more, evenly spaced ones are
            taken.
    """

    threshold: float = 0.7
    scale: float = 20.0
    most: int = 1024


@register_head("pfenet-prior", PFENetPriorSettings(), formerly=Formerly("prior", "PriorSettings"))
class PFENetPriorHead(Head):
    """Training-free: the likeness to the most similar support pixel, relative to the query.

    The background has the logit 0, each way scale · (prior - threshold). Since the prior is
    stretched to [0, 1] within each query, something is found in every query, whether or not the
    class is there. A way without any pixel in the support gets -scale. The background of the
    support plays no part.

    Paper: Tian et al., Prior guided feature enrichment network for few-shot segmentation, TPAMI
    2020, section 3.2. There, the priors of several shots are averaged; here, the best of all
    shots' pixels counts, so that further shots do not blur it.
    """

    def __init__(self, settings: PFENetPriorSettings | None = None) -> None:
        super().__init__(settings or PFENetPriorSettings())

    def encode_support(
        self,
        support_features: Float[Tensor, "batch way shot channel rows columns"],
        support_masks: UInt8[Tensor, "batch way shot height width"],
    ) -> Support:
        """Collect the support's foreground positions; see `Head`."""
        batch, way = support_features.shape[:2]
        inside = masked_positions(support_masks, *support_features.shape[-2:])
        points = support_features.permute(0, 1, 2, 4, 5, 3).flatten(2, 4).flatten(0, 1)
        kept, valid = thin_out(points, inside.flatten(0, 1), self.settings.most)
        return Support(
            {
                "positions": functional.normalize(kept, dim=2).unflatten(0, (batch, way)),
                "valid": valid.unflatten(0, (batch, way)),
            }
        )

    def logits(
        self, support: Support, query_features: Float[Tensor, "batch query channel rows columns"]
    ) -> Float[Tensor, "batch query label rows columns"]:
        """Turn each way's prior into logits; see `Head`."""
        settings, known = self.settings, support.tensors
        logits = [torch.zeros_like(query_features[:, :, 0])]
        for positions, valid in zip(
            known["positions"].unbind(1), known["valid"].unbind(1), strict=True
        ):
            prior = prior_mask(query_features, positions, valid)
            present = valid.any(dim=1)[:, None, None, None]
            logits.append(settings.scale * torch.where(present, prior - settings.threshold, -1.0))
        return torch.stack(logits, dim=2)


def masked_positions(
    masks: UInt8[Tensor, "batch way shot height width"], rows: int, columns: int
) -> Bool[Tensor, "batch way position"]:
    """Positions of all shots' grids that show the class of a way.

    A position does if more than half of what it stands for is foreground. A way that is too thin
    for any such position has those of its largest share.
    """
    inside = grid_weights(masks == 1, rows, columns).flatten(2)
    half = masks.shape[-2] * masks.shape[-1] / (rows * columns) / 2
    largest = inside.amax(dim=2, keepdim=True)
    return (inside > half) | ((largest > 0) & (largest <= half) & (inside == largest))


def prior_mask(
    query_features: Float[Tensor, "batch query channel rows columns"],
    positions: Float[Tensor, "batch position channel"],
    valid: Bool[Tensor, "batch position"],
) -> Float[Tensor, "batch query rows columns"]:
    """Cosine of each query position with the most similar support position, stretched to [0, 1].

    Args:
        query_features: of any length.
        positions: features of the support's foreground, of any length.
        valid: which of them count.

    Returns:
        (best - min) / (max - min + 1e-7) with the extremes of each query; 0 where no position is
        valid, or where all of a query's are equally similar.

    Paper: Tian et al., PFENet, TPAMI 2020, equations 3 to 5.
    """
    if positions.shape[1] == 0:
        return query_features[:, :, 0] * 0.0
    allowed = valid[:, None, None, None]
    best = compare(
        functional.normalize(query_features, dim=2),
        functional.normalize(positions, dim=2),
        lambda similarity: torch.where(allowed, similarity, -1.0).amax(dim=-1),
    )
    lowest, highest = (f(best, dim=(-2, -1), keepdim=True) for f in (torch.amin, torch.amax))
    return (best - lowest) / (highest - lowest + 1e-7)
