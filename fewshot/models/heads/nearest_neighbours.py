"""Nearest neighbours: every position of the support is kept, and the most similar ones decide."""

from dataclasses import dataclass
from functools import partial

import torch
from einops import rearrange
from jaxtyping import Bool, Float, UInt8
from torch import Tensor
from torch.nn import functional

from fewshot.models.heads.alpnet import compare, thin_out
from fewshot.models.heads.base import Head, Support, register_head
from fewshot.models.prototypes import grid_weights


@dataclass(frozen=True)
class NearestNeighboursSettings:
    """Which positions are kept, and how many of them decide.

    Attributes:
        neighbours: how many of a label's most similar positions are averaged.
        inside: share of a position's pixels that must be of a class for it to represent the class;
            where a class fills no position so far, those that it fills most.
        outside: share of a position's pixels of any class up to which it represents background.
        most: largest number of positions kept a label; of more, evenly spaced ones are taken.
        scale: what cosines are multiplied with to make logits.
    """

    neighbours: int = 3
    inside: float = 0.5
    outside: float = 0.1
    most: int = 8192
    scale: float = 20.0


@register_head("nearest-neighbours", NearestNeighboursSettings())
class NearestNeighboursHead(Head):
    """The mean cosine of each label's k most similar support positions, a label one score.

    Each label has k votes, however large its area, so that classes are balanced. A label without
    any position in the support scores -scale.

    Source: k-nearest-neighbour classification by cosine similarity, as Caron et al., Emerging
    properties in self-supervised vision transformers, ICCV 2021, evaluate features; here of
    positions, and k of each label instead of k of all.
    """

    def __init__(self, settings: NearestNeighboursSettings | None = None) -> None:
        super().__init__(settings or NearestNeighboursSettings())

    def encode_support(
        self,
        support_features: Float[Tensor, "batch way shot channel rows columns"],
        support_masks: UInt8[Tensor, "batch way shot height width"],
    ) -> Support:
        """Collect the positions of every label; see `Head`."""
        rows, columns = support_features.shape[-2:]
        unit = functional.normalize(support_features, dim=3)
        points = rearrange(unit, "b way shot c r w -> b way (shot r w) c")
        inside = grid_weights(support_masks == 1, rows, columns)
        outside = grid_weights(support_masks == 0, rows, columns)
        known = inside + outside
        share = inside / known.clamp(min=torch.finfo(known.dtype).tiny)
        enough = known > 0.5 * known.new_tensor(support_masks[0, 0, 0].numel() / (rows * columns))
        tensors: dict[str, Tensor] = {}
        background = (share <= self.settings.outside) & enough
        self._keep(tensors, 0, points.flatten(1, 2), background.flatten(1))
        for way in range(share.shape[1]):
            filled = share[:, way].where(enough[:, way], 0).flatten(1)
            best = filled.amax(dim=1, keepdim=True).clamp(max=self.settings.inside)
            self._keep(tensors, way + 1, points[:, way], (filled >= best) & (filled > 0))
        return Support(tensors)

    def _keep(
        self,
        tensors: dict[str, Tensor],
        label: int,
        points: Float[Tensor, "batch point channel"],
        chosen: Bool[Tensor, "batch point"],
    ) -> None:
        kept, valid = thin_out(points, chosen, self.settings.most)
        if not kept.shape[1]:  # of no episode anything: one place that does not count
            kept, valid = points[:, :1], torch.zeros_like(chosen[:, :1])
        tensors[f"positions_{label}"], tensors[f"valid_{label}"] = kept, valid

    def logits(
        self, support: Support, query_features: Float[Tensor, "batch query channel rows columns"]
    ) -> Float[Tensor, "batch query label rows columns"]:
        """Compare every position with every kept one; see `Head`."""
        unit = functional.normalize(query_features, dim=2)
        scores = [
            compare(
                unit,
                support.tensors[f"positions_{label}"],
                partial(
                    nearest_mean,
                    valid=support.tensors[f"valid_{label}"],
                    neighbours=self.settings.neighbours,
                ),
            )
            for label in range(len(support.tensors) // 2)
        ]
        return self.settings.scale * torch.stack(scores, dim=2)


def nearest_mean(
    similarity: Float[Tensor, "batch query rows columns position"],
    valid: Bool[Tensor, "batch position"],
    neighbours: int,
) -> Float[Tensor, "batch query rows columns"]:
    """Average the highest similarities over the valid positions.

    Args:
        similarity: cosines.
        valid: which positions count.
        neighbours: how many are averaged; all valid ones, where these are fewer.

    Returns:
        -1 where an episode has no valid position.
    """
    if not valid.all():
        similarity = torch.where(valid[:, None, None, None], similarity, -torch.inf)
    best = similarity.topk(min(neighbours, similarity.shape[-1]), dim=-1).values
    counted = best.isfinite()
    total = torch.where(counted, best, 0).sum(dim=-1)
    count = counted.sum(dim=-1)
    return torch.where(count > 0, total / count.clamp(min=1), -1.0)
