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
from fewshot.evaluation.confusion_counts import Truth
from fewshot.evaluation.predictors import Model
from fewshot.inference.postprocessing.settings import RefineSettings
from fewshot.inference.volumes.atlas_propagation import Relays
from fewshot.inference.volumes.local_matching import extent
from fewshot.inference.volumes.registered_volumes import Keys, LaidVolumes
from fewshot.inference.volumes.registration import carry
from fewshot.inference.volumes.self_support import OwnLookSettings, look_again
from fewshot.models.heads import Support
from fewshot.models.network import FewShotNetwork


class SharedSlices(Model):
    """Segment each query with the support its case names and with those of all cases together.

    The log-odds of the two answers are averaged: half the say has the slice that lies where the
    query lies, half has everything that is annotated. As the cases of a volume are answered
    together, refinement sees all of its slices.

    Args:
        truth: where the supports' masks come from.
        network: in evaluation mode; one whose head works on features.
        refine: cues that improve the answers; by default none.
    """

    def __init__(
        self, truth: Truth, network: FewShotNetwork, refine: RefineSettings | None = None
    ) -> None:
        super().__init__(truth, network, refine, "logits")
        self._own: dict[int, tuple[tuple[str, ...], ...]] = {}

    def arrange(self, protocol: Protocol) -> Protocol:
        """Join the cases of one run, class, support and query volume; see `Arranging`."""
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
        """Give the two supports of each query; see `Model`."""
        name, everything = plan.classes[0], plan.support[0]
        wanted = {*self._own[plan.index], everything}
        condensed = {keys: self._condense(keys, name) for keys in wanted}
        return [[condensed[own], condensed[everything]] for own in self._own[plan.index]]


class PlacedSlices(SharedSlices):
    """`SharedSlices`, and what the query looks like where registration puts the class.

    Volumes are laid over each other, annotated or not, and the query learns its own prototypes
    (`fewshot.inference.volumes.self_support`). The published protocols tell from which slice to
    which the query
    shows the class: half the say on a slice's place has the registration, half has that.

    Args:
        truth: where the supports' masks come from, and which slices a volume has.
        network: in evaluation mode; one whose head works on features.
        refine: cues that improve the answers; by default none.
        own_look: what the query says of itself.
        relays: how many training scans pass the class on; half the say on its place is theirs. A
            scan of which the protocol drops a slice passes nothing on.
    """

    def __init__(
        self,
        truth: Truth,
        network: FewShotNetwork,
        refine: RefineSettings | None = None,
        own_look: OwnLookSettings | None = None,
        relays: int = 0,
    ) -> None:
        super().__init__(truth, network, refine)
        self.laid = LaidVolumes(truth.catalog, self.features, self._mask)
        self.own_look = own_look
        self.relays = Relays(self.laid, relays)

    def arrange(self, protocol: Protocol) -> Protocol:
        """Join cases, and see which scans are trained on; see `Arranging`."""
        self.relays.choose(protocol)
        return super().arrange(protocol)

    def borrow(self, other: Model) -> None:
        """Use what another method remembers, laid volumes among it; see `Model`."""
        super().borrow(other)
        if isinstance(other, PlacedSlices):
            self.laid = other.laid
            self.relays = other.relays.again(self.relays.count)

    @torch.inference_mode()
    def __call__(self, plan: Plan) -> Iterator[np.ndarray]:
        """See `Method`."""
        query, scan = self.laid.scan(plan.query[0]), self.laid.scan(plan.support[0][0])
        self.laid.features(query)  # is not the answer's time, nor is what the support teaches
        self.laid.shares(plan.support[0], scan, plan.classes[0])
        self.relays.learn(plan.support[0], scan, plan.classes[0], query)
        with self._timed("answer", len(plan.query)):
            features = self.laid.features(plan.query)
            samples = [self.truth.sample(key) for key in plan.query]
            scored = map(self._score, self.supports(plan), samples)
            found = torch.stack([inside - outside for s in scored for outside, inside in s.logits])
            carried = self._carried(plan, query, scan)
            odds = look_again(self.network.head, features, found, carried, self.own_look)
            masks = self._refined(plan.query, torch.stack([torch.zeros_like(odds), odds], dim=1))
        yield from masks

    def _carried(self, plan: Plan, query: Keys, scan: Keys) -> Tensor:
        """Take the annotated class to the query's slices, as far as its place is known."""
        annotated, name = plan.support[0], plan.classes[0]
        wanted = [query.index(key) for key in plan.query]
        places = self.laid.places(query, scan)[wanted]
        low, high = extent([scan.index(key) for key in annotated])
        if math.isfinite(low):
            relative = (torch.arange(len(places)).to(places) + 0.5) / len(places)
            known = low + relative * (high - low)
            places[:, 0] = (places[:, 0] + known[:, None, None]) / 2
        carried = carry(self.laid.shares(annotated, scan, name), places)
        relayed = self.relays.carried(annotated, scan, name, query)
        return carried if relayed is None else (carried + relayed[wanted]) / 2
