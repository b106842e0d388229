"""Segment each slice with the annotated ones: the head alone, in the square of the settings."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch

from fewshot.inference.inputs import ImageStack
from fewshot.inference.postprocessing.settings import PostprocessSettings
from fewshot.inference.predictors.build import register_predictor
from fewshot.inference.predictors.feature_predictor import (
    AnnotatedSlices,
    Assignment,
    FeaturePredictor,
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


@register_predictor("slice")
class SlicePredictor(FeaturePredictor[SliceSettings]):
    """Segment each slice by itself; consecutive slices are postprocessed as a stack."""

    Settings: ClassVar = SliceSettings

    @torch.inference_mode()
    def learn(self, support_set: SupportSet) -> AnnotatedSlices:
        """Make the prototypes of the annotated planes; see `Predictor`."""
        learned = annotated_slices(support_set)
        for shots in self._every_group(learned):
            learned.supports[shots] = self._encode_support(learned, shots)
        return learned

    @torch.inference_mode()
    def segment(
        self, image: ImageStack, support: AnnotatedSlices, assignment: Assignment | None = None
    ) -> Segmentation:
        """Segment the selected planes; see `Predictor`.

        Args:
            image, support: as in `Predictor`.
            assignment: the supports of each selected plane; by default all.
        """
        groups = assignment or [self._every_group(support)] * len(image.chosen)
        return self._segment(image, support, groups, self.settings.ensemble or "probabilities")

    def _every_group(self, learned: AnnotatedSlices) -> Sequence[tuple[int, ...]]:
        if self.settings.ensemble is None:
            return [learned.all]
        return [(shot,) for shot in learned.all]


class AssignedSlicePredictor(SlicePredictor):
    """A `SlicePredictor` of many annotated slices, few of which are the supports of a query."""

    def learn(self, support_set: SupportSet) -> AnnotatedSlices:
        """List the annotated planes; prototypes are made of those that are assigned to a query."""
        return annotated_slices(support_set)
