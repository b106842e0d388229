"""Annotated slices of a volume, and the query's own prototypes where registration puts the class.

What reaches the best scores on abdominal MRI (docs/results): the head's likeness to the annotated
slices (`MultiSlicePredictor`), the annotated class warped to the query by registration, and
prototypes of the query itself that both label (`fewshot.inference.volumes.self_support`).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from fewshot.inference.ensemble import fuse
from fewshot.inference.inputs import ImageStack
from fewshot.inference.postprocessing.settings import PostprocessSettings
from fewshot.inference.predictors.build import register_predictor
from fewshot.inference.predictors.feature_predictor import (
    AnnotatedSlices,
    Assignment,
    FeaturePredictor,
    annotated_slices,
)
from fewshot.inference.predictors.multi_slice import FUSION, nearest_and_all
from fewshot.inference.result import Segmentation
from fewshot.inference.support_set import SupportSet
from fewshot.inference.volumes.atlas_propagation import AnnotatedVolume, AtlasPropagation
from fewshot.inference.volumes.local_matching import LocalMatchingSettings, annotated_extent
from fewshot.inference.volumes.registered_volumes import RegisteredVolumes
from fewshot.inference.volumes.registration import RegistrationSettings, warp
from fewshot.inference.volumes.self_support import SelfSupportSettings, refine_with_self_support
from fewshot.models.network import FewShotNetwork


@dataclass(frozen=True)
class RegisteredSliceSettings:
    """How annotated slices, registration and the query's own prototypes label a volume.

    Attributes:
        postprocess: steps that follow.
        self_support: when the query's own prototypes are used, and with which weight.
        registration: how volumes are registered.
        local_matching: how slices between annotated ones are labelled.
        intermediates: how many unannotated volumes propagate the class; their mean is half of the
            atlas. Protocols give the training scans; elsewhere there are none.
        query_spans_class: whether the selected slices of a query reach from the first to the last
            that shows the class, as in the published protocols; half of a slice's place in the
            support is then its relative place among them. By default where some slices of a volume
            are selected.
    """

    postprocess: PostprocessSettings = field(default_factory=PostprocessSettings)
    self_support: SelfSupportSettings = field(default_factory=SelfSupportSettings)
    registration: RegistrationSettings = field(default_factory=RegistrationSettings)
    local_matching: LocalMatchingSettings = field(default_factory=LocalMatchingSettings)
    intermediates: int = 0
    query_spans_class: bool | None = None


@dataclass(frozen=True, eq=False)
class RegisteredSliceSupport:
    """Annotated slices of every class and volume.

    Attributes:
        shots: the support set.
        classes: of each class, each volume in which it is annotated: its slices, and its coverage.
    """

    shots: SupportSet
    classes: tuple[tuple[tuple[AnnotatedSlices, AnnotatedVolume], ...], ...]


@register_predictor("registered-slice")
class RegisteredSlicePredictor(FeaturePredictor[RegisteredSliceSettings]):
    """`MultiSlicePredictor`, with registration and the query's own prototypes, class by class."""

    Settings: ClassVar = RegisteredSliceSettings
    whole_volumes: ClassVar[bool] = True
    takes_pairs: ClassVar[bool] = True

    def __init__(
        self, network: FewShotNetwork, settings: RegisteredSliceSettings | None = None
    ) -> None:
        super().__init__(network, settings)
        chosen = self.settings
        self.registered = RegisteredVolumes(
            self.features, chosen.registration, chosen.local_matching
        )
        self.atlas = AtlasPropagation(self.registered, chosen.intermediates)

    def learn(self, support_set: SupportSet) -> RegisteredSliceSupport:
        """Learn each class from each volume in which it is annotated; see `Predictor`."""
        annotated_slices(support_set)  # refuses what has none
        ways = range(1, len(support_set.names) + 1)
        return RegisteredSliceSupport(
            support_set, tuple(self._learn_class(support_set.of_class(way)) for way in ways)
        )

    def _learn_class(
        self, shots: SupportSet
    ) -> tuple[tuple[AnnotatedSlices, AnnotatedVolume], ...]:
        found = []
        for number, annotated in enumerate(shots.annotated_planes()):
            if annotated:
                volume = shots.pictures[number]
                slices = AnnotatedSlices(shots, tuple((number, plane) for plane in annotated))
                coverage = self.registered.coverage(volume, shots.maps[number], annotated)
                found.append((slices, AnnotatedVolume(volume, annotated, coverage)))
        return tuple(found)

    def set_intermediates(self, volumes: Callable[[], Sequence[ImageStack]]) -> None:
        """Offer unannotated volumes; see `FeaturePredictor`."""
        if self.settings.intermediates:
            self.atlas.set_intermediates(volumes())

    def prepare(self, image: ImageStack, support: RegisteredSliceSupport) -> None:
        """Segment the intermediate volumes, once for all queries of a support."""
        for volumes in support.classes:
            for _, annotated in volumes:
                self.atlas.precompute(annotated, image)

    @torch.inference_mode()
    def segment(
        self,
        image: ImageStack,
        support: RegisteredSliceSupport,
        assignment: Assignment | None = None,
    ) -> Segmentation:
        """Segment the selected slices of a volume; see `MultiSlicePredictor`."""
        features = torch.stack([self.features(image, plane) for plane in image.chosen]).float()
        volumes = max(map(len, support.classes))
        logits = []
        for number in range(volumes):
            odds = [
                self._log_odds(image, features, *each[min(number, len(each) - 1)], assignment)
                for each in support.classes
            ]
            logits.append(torch.stack([torch.zeros_like(odds[0]), *odds], dim=1))
        return self._postprocessed(image, fuse(torch.stack(logits)), support.shots)

    def _log_odds(
        self,
        image: ImageStack,
        features: Float[Tensor, "slice channel rows columns"],
        slices: AnnotatedSlices,
        volume: AnnotatedVolume,
        assignment: Assignment | None,
    ) -> Float[Tensor, "slice rows columns"]:
        """Log-odds of one class in the selected slices, by one annotated volume."""
        groups = nearest_and_all(slices, len(image.chosen), assignment)
        known = self._supports(slices, groups)
        scored = (
            self._score([known[shots] for shots in each], image, plane, FUSION)
            for each, plane in zip(groups, image.chosen, strict=True)
        )
        found = torch.stack([inside - outside for s in scored for outside, inside in s.logits])
        return refine_with_self_support(
            *(self.network.head, features, found, self._warped_coverage(image, volume)),
            self.settings.self_support,
        )

    def _warped_coverage(self, query: ImageStack, support: AnnotatedVolume) -> Tensor:
        """Warp the annotated class to the selected slices, as far as its place is known."""
        wanted = list(query.chosen)
        correspondences = self.registered.correspondences(query, support.volume)[wanted]
        first, last = annotated_extent(support.annotated)
        spans = self.settings.query_spans_class
        if spans is None:
            spans = len(wanted) < len(query.pixels)
        if spans and math.isfinite(first):
            steps = torch.arange(len(correspondences)).to(correspondences)
            known = first + (steps + 0.5) / len(correspondences) * (last - first)
            correspondences[:, 0] = (correspondences[:, 0] + known[:, None, None]) / 2
        warped = warp(support.coverage, correspondences)
        propagated = self.atlas.propagate(support, query)
        return warped if propagated is None else (warped + propagated[wanted]) / 2

    def share_cache(self, other: FeaturePredictor[Any]) -> None:
        """Use what another predictor of the same network computed, registrations among it."""
        super().share_cache(other)
        if isinstance(other, RegisteredSlicePredictor):
            self.registered.share_cache(other.registered)
            self.atlas.share_cache(other.atlas)

    def learns_like(self, other: object) -> bool:
        """Whether what another predictor learned can be used by this one."""
        if not isinstance(other, RegisteredSlicePredictor):
            return False
        return other.registered.labels_like(self.registered)
