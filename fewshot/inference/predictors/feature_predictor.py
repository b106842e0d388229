"""What predictors share that work on remembered features of slices."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Generic, TypeVar

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from episodes.errors import DataError, ModelError, shorten
from fewshot.inference.inputs import ImageStack
from fewshot.inference.postprocessing.flip_tta import mirrored
from fewshot.inference.postprocessing.pipeline import SliceLogits, postprocess
from fewshot.inference.postprocessing.settings import PostprocessSettings
from fewshot.inference.preprocess import inside_of, letterbox_of, only_selected
from fewshot.inference.query_similarity import SimilarityTracker, grid_masks
from fewshot.inference.result import Segmentation
from fewshot.inference.segment_stack import prior_of, score, segmentation_of
from fewshot.inference.settings import Ensemble
from fewshot.inference.slice_features import SliceFeatures
from fewshot.inference.support_set import SupportSet
from fewshot.models.heads.base import Support
from fewshot.models.network import FewShotNetwork, reference_shots

ShotGroup = tuple[int, ...]
"""Positions of annotated planes among all annotated planes of a support set, from 0."""
Assignment = Sequence[Sequence[ShotGroup]]
"""For each selected plane of a query, the groups of shots each of which is one support of it."""
Chosen = TypeVar("Chosen")


@dataclass(frozen=True, eq=False)
class AnnotatedSlices:
    """The annotated planes of a support set, one after the other.

    Attributes:
        shots: the support set.
        planes: picture and plane of each annotated plane.
        supports: prototypes of groups of annotated planes, as far as they were made.
    """

    shots: SupportSet
    planes: tuple[tuple[int, int], ...]
    supports: dict[ShotGroup, Support] = field(default_factory=dict, repr=False)

    @property
    def all(self) -> ShotGroup:
        """All annotated planes."""
        return tuple(range(len(self.planes)))


def annotated_slices(support_set: SupportSet) -> AnnotatedSlices:
    """List the annotated planes of a support set.

    Raises:
        DataError: there is none.
    """
    planes = tuple(
        (number, plane)
        for number, annotated in enumerate(support_set.annotated_planes())
        for plane in annotated
    )
    if not planes:
        raise DataError(
            f"no plane of {shorten(picture.name for picture in support_set.pictures)} is "
            "annotated; mark the structure in one at least"
        )
    return AnnotatedSlices(support_set, planes)


class FeaturePredictor(Generic[Chosen]):
    """A network whose features are remembered, for all classes, queries and methods.

    Unlike `Segmenter`, which makes the square as large as thin structures need, it compares images
    in the square of the network's settings, as protocols do.

    Args:
        network: is put into evaluation mode; one whose head works on features.
        settings: by default those of `Settings`.

    Raises:
        ModelError: the head adapts the network to every support set.

    Attributes:
        features: of the planes that were seen.
        measures_similarity: whether results tell how similar query and support are, which takes
            time.
    """

    Settings: ClassVar[type[Any]]
    whole_volumes: ClassVar[bool] = False
    needs_network: ClassVar[bool] = True
    takes_pairs: ClassVar[bool] = False
    """Whether `segment` takes the annotated slices that a protocol pairs with each slice."""

    def __init__(self, network: FewShotNetwork, settings: Chosen | None = None) -> None:
        if network.head.network is not None:
            raise ModelError(
                f"{type(self).__name__} compares features, and {type(network.head).__name__} "
                "adapts the network to every support set; choose the predictor end-to-end"
            )
        self.network = network.eval()
        self.settings: Chosen = self.Settings() if settings is None else settings
        self.features = SliceFeatures(network)
        self.measures_similarity = True

    @property
    def _steps(self) -> PostprocessSettings:
        return self.settings.postprocess  # type: ignore[attr-defined]

    def set_intermediates(self, volumes: Callable[[], Sequence[ImageStack]]) -> None:
        """Offer unannotated volumes; taken by predictors that propagate classes through them.

        Args:
            volumes: reads them.
        """

    def prepare(self, image: ImageStack, support: Any) -> None:
        """Compute what is not the time of one query, because other queries share it."""

    def share_cache(self, other: "FeaturePredictor[Any]") -> None:
        """Use what another predictor of the same network computed."""
        self.features.share_cache(other.features)

    def learns_like(self, other: object) -> bool:
        """Whether what another predictor learned can be used by this one."""
        return type(other) is type(self) and other.settings == self.settings

    def _segment(
        self, image: ImageStack, support: AnnotatedSlices, groups: Assignment, fusion: Ensemble
    ) -> Segmentation:
        """Segment each selected plane with its own supports; runs of planes are one stack."""
        known = self._supports(support, groups)
        chosen, similarity = image.chosen, self._tracker(image)
        frame = letterbox_of(image, self.network.settings.size)

        def probabilities() -> Iterator[Tensor]:
            for run in _runs(chosen):
                supports = [[known[shots] for shots in groups[place]] for place in run]
                scored = (
                    self._tracked(similarity, each, self._score(each, image, chosen[place], fusion))
                    for place, each in zip(run, supports, strict=True)
                )
                distinct = {id(one): one for each in supports for one in each}
                prior = prior_of(list(distinct.values()), self._steps)
                yield from postprocess(scored, frame, self._steps, prior)

        return segmentation_of(
            *(only_selected(image), probabilities(), support.shots.names, support.shots.values),
            similarity=similarity.value,
        )

    def _supports(self, learned: AnnotatedSlices, groups: Assignment) -> dict[ShotGroup, Support]:
        """Return the support of every group of shots."""
        return {
            shots: learned.supports.get(shots) or self._encode_support(learned, shots)
            for shots in dict.fromkeys(shots for each in groups for shots in each)
        }

    def _encode_support(self, learned: AnnotatedSlices, shots: ShotGroup) -> Support:
        planes = [learned.planes[shot] for shot in shots]
        masks = torch.stack([self._masks(learned, *plane) for plane in planes], dim=1)
        support = self._of_features(learned, shots, masks, mirror=False)
        if self._steps.flip == "both":
            other = self._of_features(learned, shots, mirrored(masks), mirror=True)
            support = replace(support, mirrored=other)
        return support

    def _of_features(
        self, learned: AnnotatedSlices, shots: ShotGroup, masks: Tensor, mirror: bool
    ) -> Support:
        pictures, planes = learned.shots.pictures, [learned.planes[shot] for shot in shots]
        features = torch.stack(
            [self.features(pictures[picture], plane, mirror) for picture, plane in planes]
        )
        shared = features[None, None].expand(1, len(masks), *features.shape)
        support = self.network.head.encode_support(shared, masks.to(self.network.device)[None])
        small = grid_masks(masks, *features.shape[-2:])
        return replace(support, shots={"features": features, "masks": small})

    def _masks(
        self, learned: AnnotatedSlices, picture: int, plane: int
    ) -> UInt8[Tensor, "way size size"]:
        labels, image = learned.shots.maps[picture][plane], learned.shots.pictures[picture]
        ways = range(1, len(learned.shots.names) + 1)
        return torch.stack([self.features.mask(image, labels, way) for way in ways])

    def _score(
        self,
        supports: Sequence[Support],
        image: ImageStack,
        plane: int,
        fusion: Ensemble = "probabilities",
    ) -> SliceLogits:
        def look(support: Support, mirror: bool) -> tuple[Tensor, Tensor]:
            features = self.features(image, plane, mirror)[None]
            return self.network.head.logits(support, features[None])[0], features

        return score(
            *(look, self.features.image(image, plane), supports, self._steps),
            *(self.network.calibration, fusion),
        )

    def _tracker(self, image: ImageStack) -> SimilarityTracker:
        frame = letterbox_of(image, self.network.settings.size)
        return SimilarityTracker(self.network.head, len(image.chosen), inside_of(frame))

    def _tracked(
        self, similarity: SimilarityTracker, supports: Sequence[Support], scored: SliceLogits
    ) -> SliceLogits:
        """Pass a plane on; its similarity to the support is measured where that is due."""
        if self.measures_similarity and similarity.due() and scored.features is not None:
            similarity.update(supports, scored.features[0], scored.logits[0])
        return scored

    def _postprocessed(
        self,
        image: ImageStack,
        logits: Float[Tensor, "slice label rows columns"],
        shots: SupportSet,
    ) -> Segmentation:
        """Postprocess the logits of the selected slices as one stack."""
        similarity, references = self._tracker(image), []
        if self.measures_similarity:
            learned = annotated_slices(shots)
            few = tuple(reference_shots(len(learned.planes)))
            references = [self._encode_support(learned, few)]
        scored = (
            self._tracked(
                similarity,
                references,
                SliceLogits(
                    each[None], self.features.image(image, plane), self.features(image, plane)[None]
                ),
            )
            for each, plane in zip(logits, image.chosen, strict=True)
        )
        frame = letterbox_of(image, self.network.settings.size)
        return segmentation_of(
            *(only_selected(image), postprocess(scored, frame, self._steps)),
            *(shots.names, shots.values),
            similarity=similarity.value,
        )


def _runs(planes: Sequence[int]) -> Iterator[list[int]]:
    """Cut a list of planes where one does not follow the other; gives their places in the list."""
    run: list[int] = []
    for place, plane in enumerate(planes):
        if run and plane != planes[run[-1]] + 1:
            yield run
            run = []
        run.append(place)
    if run:
        yield run
