"""One class of a volume from an annotated volume that was registered with it."""

import torch
from jaxtyping import Float
from torch import Tensor

from fewshot.inference.volumes.local_matching import LocalMatchingSettings, local_matching_logits
from fewshot.inference.volumes.registration import warp
from fewshot.inference.volumes.self_support import SelfSupportSettings, refine_with_self_support
from fewshot.models.heads.alpnet import ALPNetHead

IN_PLACE = SelfSupportSettings(atlas_weight=0.0)
"""`local_matching_logits` looks in place by itself."""


def segment_volume(
    query: Float[Tensor, "depth channel rows columns"],
    support: Float[Tensor, "support_depth channel rows columns"],
    coverage: Float[Tensor, "support_depth rows columns"],
    correspondences: Float[Tensor, "depth 3 rows columns"],
    local_matching: LocalMatchingSettings | None = None,
    self_support: SelfSupportSettings | None = None,
) -> Float[Tensor, "depth label rows columns"]:
    """Segment one class of a volume from an annotated one.

    Args:
        query, support: features of whole volumes.
        coverage: which share of every entry of the support the class covers; of a few annotated
            slices, `local_matching.interpolate_annotation` makes the rest.
        correspondences: from `fewshot.inference.volumes.registration.register`.
        local_matching: how positions are compared.
        self_support: what the query says of itself, by local prototypes as well.

    Returns:
        Logits of background and class.
    """
    local_matching = local_matching or LocalMatchingSettings()
    warped = warp(coverage, correspondences)
    search_region = warped > 1 - local_matching.purity
    found = local_matching_logits(
        query, support, coverage, correspondences, search_region, local_matching
    )
    found = refine_with_self_support(ALPNetHead(), query, found, warped, self_support or IN_PLACE)
    return torch.stack([torch.zeros_like(found), found], dim=1)
