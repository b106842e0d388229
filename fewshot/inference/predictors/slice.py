"""Segment each slice with the annotated ones: the head alone, in the square of the settings."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch

from fewshot.inference.inputs import ImageStack
from fewshot.inference.postprocessing.settings import PostprocessSettings
from fewshot.inference.predictors.build import register_predictor
from fewshot.inference.predictors.feature_predictor import (
    AnnotatedSlices,
    Assignment,
    Chosen,
    FeaturePredictor,
    ShotGroup,
    annotated_slices,
)
from fewshot.inference.result import Segmentation
from fewshot.inference.settings import Ensemble
from fewshot.inference.support_set import SupportSet


@dataclass(frozen=True)
class SliceSettings:
    """How slices are segmented one by one.

    Attributes:
        postprocess: steps that follow the head.
        ensemble: how the predictions of single shots become one, see `fewshot.inference.ensemble`;
            by default all shots together make one set of prototypes.
    """

    postprocess: PostprocessSettings = field(default_factory=PostprocessSettings)
    ensemble: Ensemble | None = None


class SliceBySlicePredictor(FeaturePredictor[Chosen]):
    """Segment each slice by the head alone, with groups of annotated slices as its supports."""

    @torch.inference_mode()
    def learn(self, support_set: SupportSet) -> AnnotatedSlices:
        """Make the prototypes of annotated planes; see `Predictor`."""
        learned = annotated_slices(support_set)
        for shots in self._learned_groups(learned):
            learned.supports[shots] = self._encode_support(learned, shots)
        return learned

    @torch.inference_mode()
    def segment(
        self, image: ImageStack, support: AnnotatedSlices, assignment: Assignment | None = None
    ) -> Segmentation:
        """Segment the selected planes; see `Predictor`.

        Args:
            image, support: as in `Predictor`.
            assignment: the annotated planes of each selected one; by default as the class tells.
        """
        groups = self._groups(support, len(image.chosen), assignment)
        return self._segment(image, support, groups, self._fusion)

    def _learned_groups(self, learned: AnnotatedSlices) -> Iterable[ShotGroup]:
        raise NotImplementedError

    def _groups(
        self, learned: AnnotatedSlices, depth: int, assignment: Assignment | None
    ) -> Assignment:
        raise NotImplementedError

    @property
    def _fusion(self) -> Ensemble:
        raise NotImplementedError


@register_predictor("slice")
class SlicePredictor(SliceBySlicePredictor[SliceSettings]):
    """Segment each slice with all annotated ones; postprocess consecutive slices as a stack."""

    Settings: ClassVar = SliceSettings

    def _learned_groups(self, learned: AnnotatedSlices) -> Sequence[ShotGroup]:
        if self.settings.ensemble is None:
            return [learned.all]
        return [(shot,) for shot in learned.all]

    def _groups(
        self, learned: AnnotatedSlices, depth: int, assignment: Assignment | None
    ) -> Assignment:
        return assignment or [self._learned_groups(learned)] * depth

    @property
    def _fusion(self) -> Ensemble:
        return self.settings.ensemble or "probabilities"


class AssignedSlicePredictor(SlicePredictor):
    """A `SlicePredictor` of many annotated slices, few of which are the supports of a query."""

    def _learned_groups(self, learned: AnnotatedSlices) -> Sequence[ShotGroup]:
        return ()  # prototypes are made of those that are assigned to a query
