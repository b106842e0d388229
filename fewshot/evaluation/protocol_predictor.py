"""A predictor under a protocol: its cases become support sets and image stacks."""

import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np

from episodes.protocols.base import Protocol
from episodes.protocols.whole_volumes import whole_volumes
from episodes.sampling.episode import Plan
from fewshot.evaluation.catalog_stacks import CatalogStacks, Keys
from fewshot.evaluation.confusion_counts import GroundTruth
from fewshot.inference.inputs import ImageStack
from fewshot.inference.predictors.feature_predictor import Assignment, FeaturePredictor
from fewshot.inference.slice_features import wait_for

_LEARNED = 16  # support sets that are remembered


class ProtocolPredictor:
    """Segment the cases of a protocol with any `fewshot.inference.predictors.base.Predictor`.

    Args:
        truth: where the supports' masks come from, and which slices a volume has. Masks are read
            of the slices that a case names as support alone.
        predictor: what users and commands call as well.

    Attributes:
        seconds: of every selected slice of a case: the prediction, its encoding aside.
    """

    def __init__(self, truth: GroundTruth, predictor: Any) -> None:
        self.truth, self.predictor = truth, predictor
        self.seconds: list[float] = []
        self.stacks = CatalogStacks(truth)
        self._groups: dict[int, tuple[Keys, ...]] = {}
        self._learned: Callable[[Keys, str], Any] = lru_cache(_LEARNED)(self._learn)
        if isinstance(predictor, FeaturePredictor):
            predictor.measures_similarity = False

    def regroup_cases(self, protocol: Protocol) -> Protocol:
        """Join the cases of a volume, where the predictor segments whole volumes."""
        if not self.predictor.whole_volumes:
            return protocol
        if self._has_features:
            self.predictor.set_intermediates(partial(self._training_scans, protocol))
        subject = {sample.key: sample.subject for sample in self.truth.catalog.samples}
        named = {
            (case.run, case.plan.classes, subject[case.plan.support[0][0]], key): shots
            for case in protocol.cases
            for shots in case.plan.support
            for key in case.plan.query
        }
        joined = whole_volumes(protocol, self.truth.catalog)
        for run, plan in ((case.run, case.plan) for case in joined.cases):
            of = run, plan.classes, subject[plan.support[0][0]]
            self._groups[plan.index] = tuple(named[*of, key] for key in plan.query)
        return joined

    def __call__(self, plan: Plan) -> Iterator[np.ndarray]:
        """See `fewshot.evaluation.confusion_counts.CasePredictor`."""
        queries = self._queries(plan)
        self._encode(queries)  # is not the prediction's time, nor is what the support teaches
        support = self._learned(plan.support[0], plan.classes[0])
        assignment, done = self.assignment(plan), 0
        for image in queries:
            if self._has_features:
                self.predictor.prepare(image, support)
            options = {}
            if assignment is not None:
                options["assignment"] = assignment[done : done + len(image.chosen)]
                done += len(image.chosen)
            started = self._now()
            result = self.predictor.segment(image, support, **options)
            self.seconds.append((self._now() - started) / len(image.chosen))
            yield from result.labels == 1

    def share_cache(self, other: "ProtocolPredictor") -> None:
        """Use what another predictor of the same network and catalog computed."""
        self.stacks = other.stacks
        if self._has_features and other._has_features:
            self.predictor.share_cache(other.predictor)
            if self.predictor.learns_like(other.predictor):
                self._learned = other._learned

    def milliseconds(self) -> float | None:
        """Time of a query slice, the medians of encoding and predicting; None before the first."""
        if not self.seconds:
            return None
        encoding = self.predictor.features.seconds if self._has_features else []
        return 1000 * sum(statistics.median(each) for each in (encoding, self.seconds) if each)

    @property
    def _has_features(self) -> bool:
        return isinstance(self.predictor, FeaturePredictor)

    def _now(self) -> float:
        if self._has_features:
            wait_for(self.predictor.network.device)
        return time.perf_counter()

    def assignment(self, plan: Plan) -> Assignment | None:
        """Name the shots of each query as the protocol pairs them; None where that is of no use."""
        groups = self._groups.get(plan.index)
        if groups is None or not (self._has_features and self.predictor.takes_pairs):
            return None
        place = {key: number for number, key in enumerate(plan.support[0])}
        return [[tuple(place[key] for key in keys)] for keys in groups]

    def _encode(self, queries: Sequence[ImageStack]) -> None:
        if self._has_features:
            whole = self.predictor.whole_volumes
            for image in queries:
                for plane in range(len(image.pixels)) if whole else image.chosen:
                    self.predictor.features(image, plane)

    def _queries(self, plan: Plan) -> list[ImageStack]:
        if self.predictor.whole_volumes:
            return [self.stacks.scan(plan.query)]
        return [self.stacks.file(run) for run in self.stacks.runs(plan.query)]

    def _learn(self, keys: Keys, name: str) -> Any:
        """Learn the annotated slices of a case: those of one volume, or images of several files."""
        scans = self.predictor.whole_volumes
        runs = [keys] if scans else self.stacks.runs(keys)
        labels = partial(self.truth.support_mask, name=name)
        return self.predictor.learn(
            self.stacks.support_set(runs, labels, (name,), (1,), scans=scans)
        )

    def _training_scans(self, protocol: Protocol) -> list[ImageStack]:
        """Read the scans that a protocol trains on; none of which it drops a slice."""
        kept = Counter(self.stacks.keys_of(sample.key) for sample in protocol.train.samples)
        return [self.stacks.scan(scan) for scan, slices in kept.items() if slices == len(scan)]
