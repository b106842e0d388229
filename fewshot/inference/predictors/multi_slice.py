"""The annotated slices of one volume, used together instead of each for its part of the query.

The published protocols annotate three slices of a support volume and cut the query volume into
three parts, each of which is segmented with one of them alone. The other two are annotated as well,
and show the same subject.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar

from fewshot.inference.postprocessing.settings import PostprocessSettings
from fewshot.inference.predictors.build import register_predictor
from fewshot.inference.predictors.feature_predictor import AnnotatedSlices, Assignment, ShotGroup
from fewshot.inference.predictors.slice import SliceBySlicePredictor
from fewshot.inference.settings import Ensemble

FUSION: Ensemble = "logits"
"""How the predictions by the nearest slice and by all become one."""


@dataclass(frozen=True)
class MultiSliceSettings:
    """How slices are segmented with the one that lies where they lie, and with all.

    Attributes:
        postprocess: steps that follow the head.
    """

    postprocess: PostprocessSettings = field(default_factory=PostprocessSettings)


@register_predictor("multi-slice")
class MultiSlicePredictor(SliceBySlicePredictor[MultiSliceSettings]):
    """Segment each slice with the annotated slice of its part of the volume and with all together.

    The log-probabilities of both predictions are averaged. As all slices of a volume are segmented
    together, postprocessing is three-dimensional.
    """

    Settings: ClassVar = MultiSliceSettings
    whole_volumes: ClassVar[bool] = True
    takes_pairs: ClassVar[bool] = True

    def _learned_groups(self, learned: AnnotatedSlices) -> Iterable[ShotGroup]:
        return {learned.all, *((shot,) for shot in learned.all)}

    def _groups(
        self, learned: AnnotatedSlices, depth: int, assignment: Assignment | None
    ) -> Assignment:
        return nearest_and_all(learned, depth, assignment)

    @property
    def _fusion(self) -> Ensemble:
        return FUSION


def nearest_and_all(
    support: AnnotatedSlices, depth: int, assignment: Assignment | None = None
) -> Assignment:
    """Give each slice two supports: the annotated slices of its part, and all of them."""
    parts = assignment or equal_parts(support, depth)
    return [[*groups, support.all] for groups in parts]


def equal_parts(support: AnnotatedSlices, depth: int) -> Assignment:
    """Cut a volume into as many equal parts as each support volume has annotated slices.

    Returns:
        For each slice of the query one group: the slice of its part, of each support volume.
    """
    pictures = dict.fromkeys(picture for picture, _ in support.planes)
    shots = [
        [shot for shot in support.all if support.planes[shot][0] == picture] for picture in pictures
    ]
    return [[tuple(each[len(each) * place // depth] for each in shots)] for place in range(depth)]
