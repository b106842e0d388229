"""Match, then segment, for whole volumes: lay them over each other, then compare what lies close.

`MatchedVolumes` is a method of the protocols: one annotated volume, or a few annotated slices of
one, segment every slice of another, whose truth chooses nothing.
"""

from collections.abc import Iterator

import numpy as np
import torch

from episodes.protocols.base import Protocol
from episodes.protocols.whole_volumes import whole_volumes
from episodes.sampling.episode import Plan
from fewshot.evaluation.confusion_counts import Truth
from fewshot.evaluation.predictors import Model
from fewshot.inference.postprocessing.settings import RefineSettings
from fewshot.inference.volumes.local_matching import NearbySettings
from fewshot.inference.volumes.registered_volumes import LaidVolumes
from fewshot.inference.volumes.registration import RegistrationSettings
from fewshot.inference.volumes.segment_volume import segment_volume
from fewshot.inference.volumes.self_support import OwnLookSettings
from fewshot.models.network import FewShotNetwork


class MatchedVolumes(Model):
    """Segment whole volumes with an annotated volume, or a few annotated slices of one.

    Args:
        truth: where the support's masks come from, and which slices a volume has; masks are read of
            the slices that a plan names as support alone.
        network: in evaluation mode; one whose head works on features. Its head is not used.
        refine: cues that improve the answers; by default none.
        registration: how volumes are laid over each other.
        nearby: how positions are compared.
        own_look: what the query says of itself.
    """

    def __init__(
        self,
        truth: Truth,
        network: FewShotNetwork,
        refine: RefineSettings | None = None,
        registration: RegistrationSettings | None = None,
        nearby: NearbySettings | None = None,
        own_look: OwnLookSettings | None = None,
    ) -> None:
        super().__init__(truth, network, refine)
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
            masks = self._refined(plan.query, self.network.calibration(logits[wanted]))
        yield from masks
