"""Atlases: annotated images are registered with the image, and their labels vote.

Paper: Heckemann and others, Automatic anatomical brain MRI segmentation combining label propagation
and decision fusion, NeuroImage 2006; STAPLE by Warfield, Zou and Wells, TMI 2004.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from episodes.errors import DataError
from episodes.io.pixels import IGNORE
from fewshot.baselines.appearance import luma_of
from fewshot.baselines.image_predictor import Fitted, enlarge, image_at, training_images
from fewshot.baselines.image_registration import (
    LEAST,
    as_image,
    register_affine,
    register_demons,
    staple,
    warp_labels,
)
from fewshot.baselines.search import Values, best_setting
from fewshot.baselines.searched_predictor import (
    Annotated,
    Searched,
    SearchedPredictor,
    check_distinguishable,
    compared,
)
from fewshot.inference.inputs import ImageStack
from fewshot.inference.predictors.build import register_predictor
from fewshot.inference.predictors.feature_predictor import AnnotatedSlices
from fewshot.inference.preprocess import nearest_labels, only_selected
from fewshot.inference.result import Segmentation
from fewshot.inference.segment_stack import segmentation_of


@dataclass(frozen=True)
class AtlasSettings:
    """What is tried.

    Attributes:
        smoothings: standard deviation of the smoothing of the field, in pixels.
        atlases: annotated images that are registered, at most, evenly spaced.
        max_side: larger images are scaled down to this side, in pixels.
        max_volume_side: the same, of the slices of volumes.
    """

    smoothings: tuple[float, ...] = (1.5, 3.0)
    atlases: int = 5
    max_side: int = 256
    max_volume_side: int = 112

    def __post_init__(self) -> None:
        if self.atlases < 1:
            raise DataError(f"atlases is {self.atlases}; expected at least 1")
        if min(self.max_side, self.max_volume_side) < LEAST:
            raise DataError(
                f"max_side is {self.max_side} and max_volume_side {self.max_volume_side}; "
                f"expected at least {LEAST} pixels"
            )


@dataclass(frozen=True, eq=False)
class Atlas:
    """An annotated image or volume.

    Attributes:
        image: of the library.
        labels: uint8, of its shape; 255 unknown.
    """

    image: Any
    labels: np.ndarray


@dataclass(frozen=True, eq=False)
class Atlases:
    """What was learned.

    Attributes:
        ways: how many classes.
        planes: annotated images.
        volumes: annotated volumes; none unless all that is annotated is whole volumes.
    """

    ways: int
    planes: tuple[Atlas, ...]
    volumes: tuple[Atlas, ...] = ()


@register_predictor("atlas")
class AtlasPredictor(SearchedPredictor[Atlases]):
    """Register every annotated image with the image (SimpleITK), and let their labels vote.

    An affine transform by mutual information, then fast symmetric-forces demons. It takes the same
    anatomy in about the same place. Whole annotated volumes are registered with a volume in three
    dimensions, all else image by image, slice by slice. The smoothing of the field is chosen with
    each annotated image left out in turn.
    """

    Settings: ClassVar = AtlasSettings
    searched: ClassVar = ("smoothings",)
    memorises: ClassVar = True

    def fit(self, annotated: AnnotatedSlices, colour: bool) -> Searched[Atlases]:
        """Keep the volumes, or the annotated planes with the setting that fits them best."""
        volumes = tuple(self._volumes(annotated))
        if not volumes:
            return super().fit(annotated, colour)
        images = list(training_images(annotated, colour, self.settings.max_side))
        check_distinguishable(images, annotated)
        ways = len(annotated.shots.names)
        planes = self.learn_from(images, ways).planes
        grid = {"smoothings": self.settings.smoothings}
        return Searched(Atlases(ways, planes, volumes), best_setting(grid, None))

    def learn_from(self, images: Sequence[Annotated], ways: int) -> Atlases:
        """Keep some of the images."""
        kept = [images[place] for place in compared(images, ways, self.settings.atlases)]
        return Atlases(ways, tuple(Atlas(_flat(image), labels) for image, labels in kept))

    def observe(self, image: np.ndarray, learned: Atlases) -> tuple[Any, list[Any]]:
        """Register the atlases by an affine transform each."""
        fixed = _flat(image)
        return fixed, [register_affine(fixed, atlas.image) for atlas in learned.planes]

    def label(self, seen: tuple[Any, list[Any]], learned: Atlases, values: Values) -> np.ndarray:
        """Refine the registrations, and fuse the labels."""
        fixed, affines = seen
        return self.fuse(_warped(fixed, learned.planes, affines, values), learned.ways)

    def fuse(self, votes: Sequence[np.ndarray], ways: int) -> np.ndarray:
        """Shares of the atlases that have each label at a pixel; unknown pixels do not vote.

        Args:
            votes: labels of each atlas on the image; 255 unknown.
            ways: how many classes.

        Returns:
            float32 [label ...].
        """
        stacked = np.stack(votes)
        counts = np.stack([(stacked == label).sum(axis=0) for label in range(ways + 1)])
        total = counts.sum(axis=0)
        counts[0] += total == 0
        return (counts / np.maximum(total, 1)).astype(np.float32)

    def segment(self, image: ImageStack, support: Fitted[Searched[Atlases]]) -> Segmentation:
        """Segment a volume in three dimensions where whole ones are annotated; see `Predictor`."""
        learned = support.model.learned
        depth = len(image.pixels)
        if learned is None or not learned.volumes or not image.volume or depth < LEAST:
            return super().segment(image, support)
        fixed = _volume(image, self.settings.max_volume_side)
        affines = [register_affine(fixed, atlas.image) for atlas in learned.volumes]
        votes = _warped(fixed, learned.volumes, affines, support.model.chosen.values)
        found, picture = self.fuse(votes, learned.ways), only_selected(image)
        shape = picture.pixels.shape[1:3]
        planes = (
            torch.from_numpy(enlarge(np.ascontiguousarray(found[:, plane]), shape))
            for plane in image.chosen
        )
        return segmentation_of(
            *(picture, planes, support.names, support.values), similarity=lambda: None
        )

    def _volumes(self, annotated: AnnotatedSlices) -> Iterator[Atlas]:
        """Give some of the volumes; none unless all pictures are volumes annotated throughout."""
        shots = annotated.shots
        pairs = list(zip(shots.pictures, shots.maps, range(len(shots.maps)), strict=True))
        if not all(_is_whole(shots.pictures[n], m, shots.annotated, n) for _, m, n in pairs):
            return
        count = min(len(pairs), self.settings.atlases)
        for place in sorted({round(x) for x in np.linspace(0, len(pairs) - 1, count)}):
            picture, labels, _ = pairs[place]
            image = _volume(picture, self.settings.max_volume_side)
            shape = image.GetSize()[1::-1]
            yield Atlas(image, np.stack([nearest_labels(each, shape) for each in labels]))


@register_predictor("atlas-staple")
class AtlasStaplePredictor(AtlasPredictor):
    """As `atlas`, but several atlases are fused by STAPLE, class by class.

    Atlases that disagree with the others count less. A single atlas gives its own labels.
    """

    def fuse(self, votes: Sequence[np.ndarray], ways: int) -> np.ndarray:
        """Probabilities of each class by STAPLE, background being what is left."""
        if len(votes) < 2:
            return super().fuse(votes, ways)
        found = np.zeros((ways + 1, *votes[0].shape), np.float32)
        for way in range(1, ways + 1):
            masks = [each == way for each in votes]
            if any(mask.any() for mask in masks):
                found[way] = staple(masks)
        found[0] = 1 - found[1:].max(axis=0)
        return found / found.sum(axis=0)


def _warped(
    fixed: Any, atlases: Sequence[Atlas], affines: Sequence[Any], values: Values
) -> list[np.ndarray]:
    """Bring the labels of every atlas to an image."""
    found = []
    for atlas, affine in zip(atlases, affines, strict=True):
        transform = register_demons(fixed, atlas.image, affine, values["smoothings"])
        found.append(warp_labels(atlas.labels, atlas.image, fixed, transform))
    return found


def _flat(image: np.ndarray) -> Any:
    return as_image(luma_of(image), (1.0, 1.0))


def _volume(picture: ImageStack, max_side: int) -> Any:
    """Make an image of the library of a volume, its slices scaled down."""
    pixels = np.stack(
        [luma_of(image_at(picture, z, False, max_side)) for z in range(len(picture.pixels))]
    )
    depth, height, width = (1.0, 1.0, 1.0)
    if picture.geometry is not None and min(picture.geometry.plane_spacing) > 0:
        depth, height, width = picture.geometry.plane_spacing
    scales = (picture.pixels.shape[axis] / pixels.shape[axis] for axis in (1, 2))
    rows, columns = scales
    return as_image(pixels, (depth, height * rows, width * columns))


def _is_whole(
    picture: ImageStack,
    labels: np.ndarray,
    annotated: tuple[tuple[int, ...], ...] | None,
    number: int,
) -> bool:
    """Whether a picture is a volume that is annotated throughout.

    Without a list of annotated planes it is, unless planes are unknown, fewer than four are marked,
    or unmarked ones lie between marked ones.
    """
    if not picture.volume or len(labels) < LEAST:
        return False
    if annotated is not None:
        return len(annotated[number]) == len(labels)
    marked = np.flatnonzero(((labels > 0) & (labels != IGNORE)).any(axis=(1, 2)))
    known = bool((labels != IGNORE).any(axis=(1, 2)).all())
    return known and len(marked) >= LEAST and len(marked) == int(np.ptp(marked)) + 1
