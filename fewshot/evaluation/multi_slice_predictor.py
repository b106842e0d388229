"""The annotated slices of one volume, used together instead of each for its part of the query.

The published protocols annotate three slices of a support volume and cut the query volume into
three parts, each of which is segmented with one of them alone. Nothing forbids to look at the
other two: they are annotated as well, and show the same subject.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from episodes.protocols.base import Protocol
from episodes.protocols.whole_volumes import whole_volumes
from episodes.sampling.episode import Plan
from fewshot.evaluation.confusion_counts import GroundTruth
from fewshot.evaluation.predictors import SlicePredictor
from fewshot.inference.postprocessing.settings import PostprocessSettings
from fewshot.inference.volumes.atlas_propagation import AtlasPropagation
from fewshot.inference.volumes.local_matching import annotated_extent
from fewshot.inference.volumes.registered_volumes import Keys, RegisteredVolumes
from fewshot.inference.volumes.registration import warp
from fewshot.inference.volumes.self_support import SelfSupportSettings, refine_with_self_support
from fewshot.models.heads import Support
from fewshot.models.network import FewShotNetwork


class MultiSlicePredictor(SlicePredictor):
    """Segment each query with the support its case names and with those of all cases together.

    The log-odds of the two answers are averaged: half the say has the slice that lies where the
    query lies, half has everything that is annotated. As the cases of a volume are answered
    together, refinement sees all of its slices.

    Args:
        truth: where the supports' masks come from.
        network: in evaluation mode; one whose head works on features.
        postprocess: cues that improve the answers; by default none.
    """

    def __init__(
        self,
        truth: GroundTruth,
        network: FewShotNetwork,
        postprocess: PostprocessSettings | None = None,
    ) -> None:
        super().__init__(truth, network, postprocess, "logits")
        self._own: dict[int, tuple[tuple[str, ...], ...]] = {}

    def regroup_cases(self, protocol: Protocol) -> Protocol:
        """Join the cases of one run, class, support and query volume; see `RegroupsCases`."""
        subject = {sample.key: sample.subject for sample in self.truth.catalog.samples}
        own = {
            (case.run, case.plan.classes, subject[case.plan.support[0][0]], key): shots
            for case in protocol.cases
            for shots in case.plan.support
            for key in case.plan.query
        }
        joined = whole_volumes(protocol, self.truth.catalog)
        for run, plan in ((case.run, case.plan) for case in joined.cases):
            of = run, plan.classes, subject[plan.support[0][0]]
            self._own[plan.index] = tuple(own[*of, key] for key in plan.query)
        return joined

    def supports(self, plan: Plan) -> Sequence[Sequence[Support]]:
        """Give the two supports of each query; see `SlicePredictor`."""
        name, everything = plan.classes[0], plan.support[0]
        wanted = {*self._own[plan.index], everything}
        condensed = {keys: self._condense(keys, name) for keys in wanted}
        return [[condensed[own], condensed[everything]] for own in self._own[plan.index]]


class RegisteredSlicePredictor(MultiSlicePredictor):
    """`MultiSlicePredictor`, and what the query looks like where registration puts the class.

    Volumes are laid over each other, annotated or not, and the query learns its own prototypes
    (`fewshot.inference.volumes.self_support`). The published protocols tell from which slice to
    which the query
    shows the class: half the say on a slice's place has the registration, half has that.

    Args:
        truth: where the supports' masks come from, and which slices a volume has.
        network: in evaluation mode; one whose head works on features.
        postprocess: cues that improve the answers; by default none.
        self_support: what the query says of itself.
        intermediates: how many training scans propagate the class; their mean is half of the
            atlas. A scan of which the protocol drops a slice is left out.
    """

    def __init__(
        self,
        truth: GroundTruth,
        network: FewShotNetwork,
        postprocess: PostprocessSettings | None = None,
        self_support: SelfSupportSettings | None = None,
        intermediates: int = 0,
    ) -> None:
        super().__init__(truth, network, postprocess)
        self.registered = RegisteredVolumes(truth.catalog, self.features, self._mask)
        self.self_support = self_support
        self.intermediates = AtlasPropagation(self.registered, intermediates)

    def regroup_cases(self, protocol: Protocol) -> Protocol:
        """Join cases, and see which scans are trained on; see `RegroupsCases`."""
        self.intermediates.set_intermediates(protocol)
        return super().regroup_cases(protocol)

    def share_cache(self, other: SlicePredictor) -> None:
        """Use what another method remembers, laid volumes among it; see `SlicePredictor`."""
        super().share_cache(other)
        if isinstance(other, RegisteredSlicePredictor):
            self.registered = other.registered
            self.intermediates = other.intermediates.with_count(self.intermediates.count)

    @torch.inference_mode()
    def __call__(self, plan: Plan) -> Iterator[np.ndarray]:
        """See `CasePredictor`."""
        query, scan = self.registered.scan(plan.query[0]), self.registered.scan(plan.support[0][0])
        self.registered.features(query)  # is not the answer's time, nor is what the support teaches
        self.registered.coverage(plan.support[0], scan, plan.classes[0])
        self.intermediates.precompute(plan.support[0], scan, plan.classes[0], query)
        with self._timed("answer", len(plan.query)):
            features = self.registered.features(plan.query)
            samples = [self.truth.sample(key) for key in plan.query]
            scored = map(self._score, self.supports(plan), samples)
            found = torch.stack([inside - outside for s in scored for outside, inside in s.logits])
            warped = self._warped_coverage(plan, query, scan)
            odds = refine_with_self_support(
                self.network.head, features, found, warped, self.self_support
            )
            masks = self._refined(plan.query, torch.stack([torch.zeros_like(odds), odds], dim=1))
        yield from masks

    def _warped_coverage(self, plan: Plan, query: Keys, scan: Keys) -> Tensor:
        """Take the annotated class to the query's slices, as far as its place is known."""
        annotated, name = plan.support[0], plan.classes[0]
        wanted = [query.index(key) for key in plan.query]
        correspondences = self.registered.correspondences(query, scan)[wanted]
        low, high = annotated_extent([scan.index(key) for key in annotated])
        if math.isfinite(low):
            relative = (torch.arange(len(correspondences)).to(correspondences) + 0.5) / len(
                correspondences
            )
            known = low + relative * (high - low)
            correspondences[:, 0] = (correspondences[:, 0] + known[:, None, None]) / 2
        warped = warp(self.registered.coverage(annotated, scan, name), correspondences)
        propagated = self.intermediates.propagate(annotated, scan, name, query)
        return warped if propagated is None else (warped + propagated[wanted]) / 2
