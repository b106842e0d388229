"""Local prototypes (ALPNet): a class is many small patches, not one average."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from einops import rearrange
from jaxtyping import Bool, Float, UInt8
from torch import Tensor
from torch.nn import functional

from fewshot.models.heads.base import Formerly, Head, Support, register_head
from fewshot.models.prototypes import class_prototypes, grid_weights

_AT_ONCE = 2**18  # cosines; 1 MB


@dataclass(frozen=True)
class ALPNetSettings:
    """How patches become prototypes.

    Attributes:
        window: side of a patch, in entries of the feature grid.
        purity: share of a patch that must be of one label for it to become a prototype.
        scale: what cosines are multiplied with to make logits; 20 in the paper.
        most: largest number of patches kept a label; of more, evenly spaced ones are taken.
    """

    window: int = 2
    purity: float = 0.95
    scale: float = 20.0
    most: int = 1024


@register_head("alpnet", ALPNetSettings(), formerly=Formerly("local", "LocalSettings"))
class ALPNetHead(Head):
    """Patches of the support as prototypes; the best-fitting ones decide, softly.

    A label's score at a position is the mean of its prototypes' similarities d = scale · cosine,
    weighted with their softmax: sum_i softmax(d)_i · d_i. Each class has its global prototype
    beside the local ones; the background has local ones alone, or its global one where no patch
    is pure. A label without any pixel in the support scores -scale.

    Paper: Ouyang et al., Self-supervision with superpixels: training few-shot medical image
    segmentation without annotation, ECCV 2020.
    """

    def __init__(self, settings: ALPNetSettings | None = None) -> None:
        super().__init__(settings or ALPNetSettings())

    def encode_support(
        self,
        support_features: Float[Tensor, "batch way shot channel rows columns"],
        support_masks: UInt8[Tensor, "batch way shot height width"],
    ) -> Support:
        """Collect the patches; see `Head`."""
        whole, present = class_prototypes(support_features, support_masks)
        window = self.settings.window
        rows, columns = support_features.shape[-2:]
        patches = rearrange(
            functional.avg_pool2d(support_features.flatten(0, 2), window),
            "(b way shot) c r w -> b way (shot r w) c",
            way=support_features.shape[1],
            b=support_features.shape[0],
        )
        cell = support_masks.shape[-2] * support_masks.shape[-1] / (rows * columns)
        inside = self._pure(grid_weights(support_masks == 1, rows, columns) / cell)
        outside = self._pure(grid_weights(support_masks == 0, rows, columns) / cell)
        tensors: dict[str, Tensor] = {}
        everywhere = patches.flatten(1, 2)[:, None]
        sets = [(everywhere, outside.flatten(1, 2)[:, None])] + [
            (patches[:, [way]], inside[:, [way]]) for way in range(inside.shape[1])
        ]
        for label, (vectors, pure) in enumerate(sets):
            kept, valid = thin_out(vectors[:, 0], pure[:, 0], self.settings.most)
            # The background's average is blurred by everything; it stands in only when alone.
            use_whole = present[:, label] & ((label > 0) | ~valid.any(dim=1))
            kept = torch.cat([whole[:, [label]], kept], dim=1)
            tensors[f"prototypes_{label}"] = functional.normalize(kept, dim=2)
            tensors[f"valid_{label}"] = torch.cat([use_whole[:, None], valid], dim=1)
        return Support(tensors)

    def logits(
        self, support: Support, query_features: Float[Tensor, "batch query channel rows columns"]
    ) -> Float[Tensor, "batch query label rows columns"]:
        """Compare every position with every prototype; see `Head`."""
        unit = functional.normalize(query_features, dim=2)
        labels = len(support.tensors) // 2
        scores = [
            compare(
                unit,
                support.tensors[f"prototypes_{label}"],
                partial(
                    soft_similarity,
                    valid=support.tensors[f"valid_{label}"],
                    scale=self.settings.scale,
                ),
            )
            for label in range(labels)
        ]
        return torch.stack(scores, dim=2)

    def _pure(
        self, weights: Float[Tensor, "batch way shot rows columns"]
    ) -> Bool[Tensor, "batch way patch"]:
        share = functional.avg_pool2d(weights.flatten(0, 2)[:, None], self.settings.window)
        return (share > self.settings.purity).reshape(*weights.shape[:2], -1)


def compare(
    unit: Float[Tensor, "batch query channel rows columns"],
    prototypes: Float[Tensor, "batch prototype channel"],
    score: Callable[[Float[Tensor, "batch query some columns prototype"]], Tensor],
) -> Float[Tensor, "batch query rows columns"]:
    """Score every position by its cosines with all prototypes, both of unit length.

    A few rows at a time, prototypes last: the cosines stay in the processor's cache, which takes a
    third of the time of all rows at once.

    Args:
        unit: features of queries.
        prototypes: what they are compared with.
        score: from cosines to a score of each position.
    """

    def scored(part: Tensor) -> Tensor:
        return score(torch.einsum("bqcrw,bpc->bqrwp", part, prototypes))

    if torch.compiler.is_compiling():  # the graph is for any number of prototypes
        return scored(unit)
    rows = max(1, _AT_ONCE // (unit.shape[-1] * prototypes.shape[1]))
    return torch.cat([scored(part) for part in unit.split(rows, dim=3)], dim=2)


def soft_similarity(
    similarity: Float[Tensor, "batch query rows columns prototype"],
    valid: Bool[Tensor, "batch prototype"],
    scale: float,
) -> Float[Tensor, "batch query rows columns"]:
    """Average d = scale · similarity over the prototypes, weighted with its softmax.

    Args:
        similarity: cosines.
        valid: which prototypes count.
        scale: the larger, the more the best prototype decides.

    Returns:
        sum_i softmax(d)_i · d_i; -scale where an episode has no prototype.
    """
    scaled = scale * similarity
    # A finite floor: with no prototype at all the weights must not become 0 / 0.
    weights = torch.where(valid[:, None, None, None], scaled, -1e4).softmax(dim=-1)
    score = (weights * scaled).sum(dim=-1)
    return torch.where(valid.any(dim=1)[:, None, None, None], score, -scale)


def thin_out(
    vectors: Float[Tensor, "batch patch channel"], chosen: Bool[Tensor, "batch patch"], most: int
) -> tuple[Float[Tensor, "batch kept channel"], Bool[Tensor, "batch kept"]]:
    """Keep the chosen vectors, evenly thinned to `most`, padded to the longest of the batch."""
    kept = []
    for row in chosen:
        index = row.nonzero()[:, 0]
        if len(index) > most:
            index = index[torch.linspace(0, len(index) - 1, most, device=index.device).long()]
        kept.append(index)
    longest = max(len(index) for index in kept)
    order = torch.zeros(len(kept), longest, dtype=torch.long, device=vectors.device)
    valid = torch.zeros(len(kept), longest, dtype=torch.bool, device=vectors.device)
    for number, index in enumerate(kept):
        order[number, : len(index)] = index
        valid[number, : len(index)] = True
    return torch.take_along_dim(vectors, order[..., None], dim=1), valid
