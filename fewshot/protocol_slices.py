"""The annotated slices of one volume, used together instead of each for its part of the query.

The published protocols annotate three slices of a support volume and cut the query volume into
three parts, each of which is segmented with one of them alone. Nothing forbids to look at the
other two: they are annotated as well, and show the same subject.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from episodes.episode import Plan
from episodes.protocols.contract import Case, Protocol
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
        """Join the cases of one run, class, support subject and query subject; see `Arranging`."""
        groups: dict[tuple[str, ...], list[Plan]] = defaultdict(list)
        for case in protocol.cases:
            plan = case.plan
            subjects = {self.truth.sample(key).subject for key in plan.support[0]}
            groups[case.run, plan.classes[0], *sorted(subjects), plan.query_subjects[0]] += [plan]
        cases = [
            Case(run, self._joined(number, plans))
            for number, ((run, *_), plans) in enumerate(groups.items())
        ]
        return replace(protocol, cases=tuple(cases))

    def _joined(self, number: int, plans: Sequence[Plan]) -> Plan:
        """Make one plan, and remember which support each of its queries had."""
        pairs = [(key, plan.support[0]) for plan in plans for key in plan.query]
        pairs.sort(key=lambda pair: self._place(pair[0]))
        self._own[number] = tuple(own for _, own in pairs)
        shots = dict.fromkeys(key for plan in plans for key in plan.support[0])
        return Plan(
            *(number, plans[0].classes, (tuple(shots),), tuple(key for key, _ in pairs)),
            (plans[0].query_subjects[0],) * len(pairs),
        )

    def _place(self, key: str) -> tuple[str, int]:
        image = self.truth.sample(key).image
        return str(image.path), image.plane or 0

    def supports(self, plan: Plan) -> Sequence[Sequence[Support]]:
        """Give the two supports of each query; see `Model`."""
        name, everything = plan.classes[0], plan.support[0]
        wanted = {*self._own[plan.index], everything}
        condensed = {keys: self._condense(keys, name) for keys in wanted}
        return [[condensed[own], condensed[everything]] for own in self._own[plan.index]]
