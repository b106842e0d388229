"""What baselines share that learn from pixels alone and segment each plane by itself."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import torch
from torch.nn import functional

from episodes.catalog.letterbox import to_tensor
from fewshot.baselines.search import Chosen
from fewshot.inference.inputs import ImageStack
from fewshot.inference.predictors.feature_predictor import AnnotatedSlices, annotated_slices
from fewshot.inference.preprocess import (
    has_colour,
    limits_of,
    nearest_labels,
    only_selected,
)
from fewshot.inference.result import Segmentation
from fewshot.inference.segment_stack import segmentation_of
from fewshot.inference.support_set import SupportSet, warn_of_one_label
from fewshot.models.network import FewShotNetwork

GREY = np.array((0.299, 0.587, 0.114), np.float32)  # luma of BT.601
Model = TypeVar("Model")


@dataclass(frozen=True, eq=False)
class Fitted(Generic[Model]):
    """What a baseline learned.

    Attributes:
        names, values: of the classes, see `SupportSet`.
        colour: whether the model works on three channels instead of one.
        model: of the baseline.
        configuration: what was chosen on the annotated images; None where nothing was.
    """

    names: tuple[str, ...]
    values: tuple[int, ...]
    colour: bool
    model: Model
    configuration: Chosen | None = None


class ImagePredictor(Generic[Model]):
    """A `Predictor` that needs no network.

    Args:
        network: ignored; it is in the contract of predictors.
        settings: by default those of `Settings`.
    """

    Settings: ClassVar[type[Any]]
    whole_volumes: ClassVar[bool] = False
    needs_network: ClassVar[bool] = False

    def __init__(self, network: FewShotNetwork | None = None, settings: Any = None) -> None:
        self.settings = self.Settings() if settings is None else settings

    def learn(self, support_set: SupportSet) -> Fitted[Model]:
        """Fit the model; see `Predictor`."""
        annotated = annotated_slices(support_set)
        warn_of_one_label(support_set)
        colour = all(has_colour(picture.pixels) for picture in support_set.pictures)
        model = self.fit(annotated, colour)
        chosen = self.configuration(model, support_set.names)
        return Fitted(support_set.names, support_set.values, colour, model, chosen)

    def segment(self, image: ImageStack, support: Fitted[Model]) -> Segmentation:
        """Segment each selected plane; see `Predictor`."""
        picture = only_selected(image)
        planes = (
            torch.from_numpy(self.probabilities(picture, plane, support))
            for plane in range(len(picture.pixels))
        )
        return segmentation_of(
            *(picture, planes, support.names, support.values), similarity=lambda: None
        )

    def fit(self, annotated: AnnotatedSlices, colour: bool) -> Model:
        """Learn from annotated planes.

        Args:
            annotated: the planes; their labels are 0 background, 1..way, 255 unknown.
            colour: whether all pictures have colour.
        """
        raise NotImplementedError

    def configuration(self, model: Model, names: Sequence[str]) -> Chosen | None:
        """Give what was chosen on the annotated images, for a report; by default nothing.

        Args:
            model: of `fit`.
            names: of the classes.
        """
        return None

    def probabilities(self, picture: ImageStack, plane: int, support: Fitted[Model]) -> np.ndarray:
        """Compute the probabilities of a plane: float32 [label height width]."""
        raise NotImplementedError


def training_images(
    annotated: AnnotatedSlices, colour: bool, max_side: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Give image [height width channel] and labels [height width] of each annotated plane.

    Args:
        annotated: the planes.
        colour: see `image_at`.
        max_side: larger planes are scaled down.
    """
    for number, plane in annotated.planes:
        image = image_at(annotated.shots.pictures[number], plane, colour, max_side)
        yield image, nearest_labels(annotated.shots.maps[number][plane], image.shape[:2])


def image_at(picture: ImageStack, plane: int, colour: bool, max_side: int) -> np.ndarray:
    """Bring a plane to intensities 0..1: float32 [height width channel].

    Args:
        picture: its limits become 0 and 1.
        plane: which.
        colour: give three channels; otherwise one, the luma of pictures with colour.
        max_side: a plane with a longer side is scaled down to it.
    """
    image = to_tensor(picture.pixels[plane], limits_of(picture, plane))
    scale = max_side / max(image.shape[1:])
    if scale < 1:
        size = [max(1, round(side * scale)) for side in image.shape[1:]]
        image = functional.interpolate(
            image[None], size=size, mode="bilinear", antialias=True, align_corners=False
        )[0].clamp(0, 1)
    found = image.movedim(0, -1).numpy()
    if colour:
        return found if found.shape[2] == 3 else np.repeat(found, 3, axis=2)
    return found if found.shape[2] == 1 else (found @ GREY)[..., None]


def enlarge(probabilities: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Scale probabilities [label height width] to another size, in pixels."""
    if probabilities.shape[1:] == shape:
        return probabilities
    scaled = functional.interpolate(
        torch.from_numpy(probabilities)[None], size=shape, mode="bilinear", align_corners=False
    )
    return scaled[0].numpy()
