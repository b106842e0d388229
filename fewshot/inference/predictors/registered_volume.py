"""Match, then segment, for whole volumes: register them, then compare what lies close.

One annotated volume, or a few annotated slices of one, segments every slice of another, whose
truth chooses nothing.
"""

import warnings
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
import torch

from episodes.errors import DataError
from episodes.io.pixels import IGNORE
from fewshot.inference.ensemble import fuse
from fewshot.inference.inputs import ImageStack
from fewshot.inference.postprocessing.settings import PostprocessSettings
from fewshot.inference.predictors.build import register_predictor
from fewshot.inference.predictors.feature_predictor import FeaturePredictor
from fewshot.inference.result import Segmentation
from fewshot.inference.support_set import SupportSet
from fewshot.inference.volumes.atlas_propagation import AnnotatedVolume
from fewshot.inference.volumes.local_matching import LocalMatchingSettings
from fewshot.inference.volumes.registered_volumes import RegisteredVolumes
from fewshot.inference.volumes.registration import RegistrationSettings
from fewshot.inference.volumes.segment_volume import IN_PLACE, segment_volume
from fewshot.inference.volumes.self_support import SelfSupportSettings
from fewshot.models.network import FewShotNetwork

_FEW = 4  # marked slices; nobody would annotate a whole volume of so thin a structure alone


@dataclass(frozen=True)
class RegisteredVolumeSettings:
    """How an annotated volume labels another one.

    Attributes:
        postprocess: steps that follow.
        registration: how volumes are registered.
        local_matching: how positions are compared.
        self_support: when the query's own prototypes are used, and with which weight.
        annotated: whether all slices of an annotated volume are, or only those that show a class,
            which then reaches half a gap beyond the outer ones. Slices whose labels are unknown
            (255) throughout never are. By default those that the support set names, or all, unless
            unmarked slices lie between marked ones or fewer than four are marked.
    """

    postprocess: PostprocessSettings = field(default_factory=PostprocessSettings)
    registration: RegistrationSettings = field(default_factory=RegistrationSettings)
    local_matching: LocalMatchingSettings = field(default_factory=LocalMatchingSettings)
    self_support: SelfSupportSettings = IN_PLACE
    annotated: Literal["volume", "slices"] | None = None


@dataclass(frozen=True, eq=False)
class RegisteredVolumeSupport:
    """Annotated volumes.

    Attributes:
        shots: the support set.
        volumes: each class of each volume.
    """

    shots: SupportSet
    volumes: tuple[tuple[AnnotatedVolume, ...], ...]


@register_predictor("registered-volume")
class RegisteredVolumePredictor(FeaturePredictor[RegisteredVolumeSettings]):
    """Segment whole volumes with annotated ones: `fewshot.inference.volumes.segment_volume`.

    Of several annotated volumes, probabilities are averaged. The network's head is not used.
    """

    Settings: ClassVar = RegisteredVolumeSettings
    whole_volumes: ClassVar[bool] = True

    def __init__(
        self, network: FewShotNetwork, settings: RegisteredVolumeSettings | None = None
    ) -> None:
        super().__init__(network, settings)
        self.registered = RegisteredVolumes(
            self.features, self.settings.registration, self.settings.local_matching
        )

    def learn(self, support_set: SupportSet) -> RegisteredVolumeSupport:
        """Bring the annotation of each class and volume to the feature grid; see `Predictor`."""
        ways = range(1, len(support_set.names) + 1)
        volumes = tuple(
            tuple(self._learn_class(support_set, number, way) for way in ways)
            for number in range(len(support_set.pictures))
        )
        return RegisteredVolumeSupport(support_set, volumes)

    def _learn_class(self, shots: SupportSet, number: int, way: int) -> AnnotatedVolume:
        volume, labels = shots.pictures[number], shots.maps[number]
        given = None if shots.annotated is None else shots.annotated[number]
        known = np.flatnonzero((labels != IGNORE).any(axis=(1, 2))) if given is None else given
        annotated = tuple(int(z) for z in known)
        kind = self.settings.annotated
        if kind is None and given is None and len(known) > 1:
            kind = _kind_of(labels)
            if kind == "slices" and way == 1:
                warnings.warn(
                    f"{volume.name}: few slices are marked, or with gaps; the marked ones alone "
                    "are taken as annotated. --annotated volume takes all (annotated= in Python)",
                    stacklevel=4,
                )
        if kind == "slices":
            annotated = tuple(z for z in annotated if (labels[z] == way).any())
        if not annotated:
            raise DataError(
                f"{volume.name} has no annotated slice of {shots.names[way - 1]}; mark it in one, "
                "or leave the volume out"
            )
        coverage = self.registered.coverage(volume, labels, annotated, way)
        return AnnotatedVolume(volume, annotated, coverage)

    @torch.inference_mode()
    def segment(self, image: ImageStack, support: RegisteredVolumeSupport) -> Segmentation:
        """Segment the selected slices of a volume; see `Predictor`."""
        features, chosen = self.features.volume(image), list(image.chosen)
        logits = []
        for classes in support.volumes:
            volume = classes[0].volume
            known = self.features.volume(volume)
            correspondences = self.registered.correspondences(image, volume)
            found = [
                segment_volume(
                    *(features, known, each.coverage, correspondences),
                    *(self.settings.local_matching, self.settings.self_support),
                )[:, 1]
                for each in classes
            ]
            stacked = torch.stack([torch.zeros_like(found[0]), *found], dim=1)[chosen]
            logits.append(self.network.calibration(stacked))
        return self._postprocessed(image, fuse(torch.stack(logits)), support.shots)

    def share_cache(self, other: FeaturePredictor[Any]) -> None:
        """Use what another predictor of the same network computed, registrations among it."""
        super().share_cache(other)
        if isinstance(other, RegisteredVolumePredictor):
            self.registered.share_cache(other.registered)


def _kind_of(labels: np.ndarray) -> Literal["volume", "slices"]:
    """Tell a volume that is annotated throughout from one of which some slices are."""
    marked = np.flatnonzero(((labels > 0) & (labels != IGNORE)).any(axis=(1, 2)))
    gaps = len(marked) < marked[-1] - marked[0] + 1 if len(marked) else False
    return "slices" if gaps or len(marked) < _FEW else "volume"
