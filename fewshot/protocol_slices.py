"""The annotated slices of one volume, used together instead of each for its part of the query.

The published protocols annotate three slices of a support volume and cut the query volume into
three parts, each of which is segmented with one of them alone. Nothing forbids to look at the
other two: they are annotated as well, and show the same subject.
"""

from collections.abc import Sequence

from episodes.episode import Plan
from episodes.protocols.contract import Protocol
from episodes.protocols.whole_volumes import whole_volumes
from fewshot.counting import Truth
from fewshot.heads import Support
from fewshot.protocol_model import Model
from fewshot.refine.settings import RefineSettings
from fewshot.segmenter import Segmenter


class SharedSlices(Model):
    """Segment each query with the support its case names and with those of all cases together.

    The log-odds of the two answers are averaged: half the say has the slice that lies where the
    query lies, half has everything that is annotated. As the cases of a volume are answered
    together, refinement sees all of its slices.

    Args:
        truth: where the supports' masks come from.
        segmenter: in evaluation mode; one whose head works on features.
        refine: cues that improve the answers; by default none.
    """

    def __init__(
        self, truth: Truth, segmenter: Segmenter, refine: RefineSettings | None = None
    ) -> None:
        super().__init__(truth, segmenter, refine, "logits")
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
