"""Match, then segment, for whole volumes: lay them over each other, then compare what lies close.

`MatchedVolumes` is a method of the protocols: one annotated volume, or a few annotated slices of
one, segment every slice of another, whose truth chooses nothing. `segment_volume` is the same for
features and masks.
"""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from episodes.episode import Plan
from episodes.protocols.contract import Protocol
from episodes.protocols.whole_volumes import whole_volumes
from fewshot.counting import Truth
from fewshot.heads.local import LocalHead
from fewshot.protocol_model import Model
from fewshot.refine.settings import RefineSettings
from fewshot.segmenter import Segmenter
from fewshot.siamese.laid_volumes import LaidVolumes
from fewshot.siamese.nearby import NearbySettings, score_nearby
from fewshot.siamese.own_look import OwnLookSettings, look_again
from fewshot.siamese.registration import RegistrationSettings, carry

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
            slices, `fewshot.siamese.nearby.complete` makes the rest.
        places: from `fewshot.siamese.registration.register`.
        nearby: how positions are compared.
        own_look: what the query says of itself, by local prototypes as well.

    Returns:
        Logits of background and class.
    """
    nearby = nearby or NearbySettings()
    carried = carry(shares, places)
    sought = carried > 1 - nearby.purity
    found = score_nearby(query, support, shares, places, sought, nearby)
    found = look_again(LocalHead(), query, found, carried, own_look or IN_PLACE)
    return torch.stack([torch.zeros_like(found), found], dim=1)


class MatchedVolumes(Model):
    """Segment whole volumes with an annotated volume, or a few annotated slices of one.

    Args:
        truth: where the support's masks come from, and which slices a volume has; masks are read of
            the slices that a plan names as support alone.
        segmenter: in evaluation mode; one whose head works on features. Its head is not used.
        refine: cues that improve the answers; by default none.
        registration: how volumes are laid over each other.
        nearby: how positions are compared.
        own_look: what the query says of itself.
    """

    def __init__(
        self,
        truth: Truth,
        segmenter: Segmenter,
        refine: RefineSettings | None = None,
        registration: RegistrationSettings | None = None,
        nearby: NearbySettings | None = None,
        own_look: OwnLookSettings | None = None,
    ) -> None:
        super().__init__(truth, segmenter, refine)
        self.laid = LaidVolumes(truth.catalog, self.features, self._mask, registration, nearby)
        self.own_look = own_look

    def arrange(self, protocol: Protocol) -> Protocol:
        """Join the cases of one run, class, support and query volume; see `Arranging`."""
        return whole_volumes(protocol, self.truth.catalog)

    @torch.inference_mode()
    def __call__(self, plan: Plan) -> Iterator[np.ndarray]:
        """See `Method`."""
        query, scan = self.laid.scan(plan.query[0]), self.laid.scan(plan.support[0][0])
        features, support = self.laid.features(query), self.laid.features(scan)
        with self._timed("answer", len(plan.query)):  # features are not the answer's time
            shares = self.laid.shares(plan.support[0], scan, plan.classes[0])
            places = self.laid.places(query, scan)
            logits = segment_volume(
                *(features, support, shares, places, self.laid.nearby, self.own_look)
            )
            wanted = [query.index(key) for key in plan.query]
            masks = self._refined(plan.query, self.segmenter.calibration(logits[wanted]))
        yield from masks
