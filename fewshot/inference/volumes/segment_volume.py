"""One class of a volume from an annotated volume that was registered with it."""

import torch
from jaxtyping import Float
from torch import Tensor

from fewshot.inference.volumes.local_matching import NearbySettings, score_nearby
from fewshot.inference.volumes.registration import carry
from fewshot.inference.volumes.self_support import OwnLookSettings, look_again
from fewshot.models.heads.alpnet import ALPNetHead

IN_PLACE = OwnLookSettings(place=0.0)
"""`score_nearby` looks in place by itself."""


def segment_volume(
    query: Float[Tensor, "depth channel rows columns"],
    support: Float[Tensor, "support_depth channel rows columns"],
    shares: Float[Tensor, "support_depth rows columns"],
    places: Float[Tensor, "depth 3 rows columns"],
    nearby: NearbySettings | None = None,
    own_look: OwnLookSettings | None = None,
) -> Float[Tensor, "depth label rows columns"]:
    """Segment one class of a volume from an annotated one.

    Args:
        query, support: features of whole volumes.
        shares: which share of every entry of the support the class covers; of a few annotated
            slices, `fewshot.inference.volumes.local_matching.complete` makes the rest.
        places: from `fewshot.inference.volumes.registration.register`.
        nearby: how positions are compared.
        own_look: what the query says of itself, by local prototypes as well.

    Returns:
        Logits of background and class.
    """
    nearby = nearby or NearbySettings()
    carried = carry(shares, places)
    sought = carried > 1 - nearby.purity
    found = score_nearby(query, support, shares, places, sought, nearby)
    found = look_again(ALPNetHead(), query, found, carried, own_look or IN_PLACE)
    return torch.stack([torch.zeros_like(found), found], dim=1)
