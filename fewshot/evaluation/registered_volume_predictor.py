"""Match, then segment, for whole volumes: lay them over each other, then compare what lies close.

`RegisteredVolumePredictor` is a method of the protocols: one annotated volume, or a few
annotated slices of one, segment every slice of another, whose truth chooses nothing.
"""

from collections.abc import Iterator

import numpy as np
import torch

from episodes.protocols.base import Protocol
from episodes.protocols.whole_volumes import whole_volumes
from episodes.sampling.episode import Plan
from fewshot.evaluation.confusion_counts import GroundTruth
from fewshot.evaluation.predictors import SlicePredictor
from fewshot.inference.postprocessing.settings import PostprocessSettings
from fewshot.inference.volumes.local_matching import LocalMatchingSettings
from fewshot.inference.volumes.registered_volumes import RegisteredVolumes
from fewshot.inference.volumes.registration import RegistrationSettings
from fewshot.inference.volumes.segment_volume import segment_volume
from fewshot.inference.volumes.self_support import SelfSupportSettings
from fewshot.models.network import FewShotNetwork


class RegisteredVolumePredictor(SlicePredictor):
    """Segment whole volumes with an annotated volume, or a few annotated slices of one.

    Args:
        truth: where the support's masks come from, and which slices a volume has; masks are read of
            the slices that a plan names as support alone.
        network: in evaluation mode; one whose head works on features. Its head is not used.
        postprocess: cues that improve the answers; by default none.
        registration: how volumes are laid over each other.
        local_matching: how positions are compared.
        self_support: what the query says of itself.
    """

    def __init__(
        self,
        truth: GroundTruth,
        network: FewShotNetwork,
        postprocess: PostprocessSettings | None = None,
        registration: RegistrationSettings | None = None,
        local_matching: LocalMatchingSettings | None = None,
        self_support: SelfSupportSettings | None = None,
    ) -> None:
        super().__init__(truth, network, postprocess)
        self.registered = RegisteredVolumes(
            truth.catalog, self.features, self._mask, registration, local_matching
        )
        self.self_support = self_support

    def regroup_cases(self, protocol: Protocol) -> Protocol:
        """Join the cases of one run, class, support and query volume; see `RegroupsCases`."""
        return whole_volumes(protocol, self.truth.catalog)

    @torch.inference_mode()
    def __call__(self, plan: Plan) -> Iterator[np.ndarray]:
        """See `CasePredictor`."""
        query, scan = self.registered.scan(plan.query[0]), self.registered.scan(plan.support[0][0])
        features, support = self.registered.features(query), self.registered.features(scan)
        with self._timed("answer", len(plan.query)):  # features are not the answer's time
            coverage = self.registered.coverage(plan.support[0], scan, plan.classes[0])
            correspondences = self.registered.correspondences(query, scan)
            logits = segment_volume(
                *(
                    features,
                    support,
                    coverage,
                    correspondences,
                    self.registered.local_matching,
                    self.self_support,
                )
            )
            wanted = [query.index(key) for key in plan.query]
            masks = self._refined(plan.query, self.network.calibration(logits[wanted]))
        yield from masks
