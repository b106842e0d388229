"""What baselines share whose parameters are searched on the annotated images."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np

from episodes.errors import DataError, shorten
from episodes.io.pixels import IGNORE
from fewshot.baselines.image_predictor import (
    Fitted,
    ImagePredictor,
    enlarge,
    image_at,
    training_images,
)
from fewshot.baselines.search import Chosen, Values, best_setting, mean_dice
from fewshot.inference.inputs import ImageStack
from fewshot.inference.predictors.feature_predictor import AnnotatedSlices

SEARCHED = 3
"""Annotated planes on which settings are compared; more would take time and change little."""
Annotated = tuple[np.ndarray, np.ndarray]
"""Image [height width channel] and its labels [height width]."""
Learned = TypeVar("Learned")


@dataclass(frozen=True, eq=False)
class Searched(Generic[Learned]):
    """What was learned, and with which setting it is used.

    Attributes:
        learned: of the method; None where all that is known has one label.
        chosen: the setting.
        only: that label.
    """

    learned: Learned | None
    chosen: Chosen
    only: int = 0


class SearchedPredictor(ImagePredictor[Searched[Learned]], Generic[Learned]):
    """A baseline that tries settings on the annotated images and keeps the best.

    A method gives `learn_from`, `observe` and `label`; `searched` names the fields of `Settings`
    that hold the values tried. Settings have `max_side`, to which larger images are scaled down.

    A method that `memorises` would find its own annotated image at any setting; it is searched with
    each annotated image left out in turn, and with a single one takes the first setting.
    """

    searched: ClassVar[tuple[str, ...]] = ()
    memorises: ClassVar[bool] = False

    def learn_from(self, images: Sequence[Annotated], ways: int) -> Learned:
        """Learn what does not depend on the setting.

        Args:
            images: annotated ones; their labels are 0 background, 1..ways, 255 unknown.
            ways: how many classes.
        """
        raise NotImplementedError

    def observe(self, image: np.ndarray, learned: Learned) -> Any:
        """Compute what all settings need of an image [height width channel]; by default itself."""
        return image

    def label(self, seen: Any, learned: Learned, values: Values) -> np.ndarray:
        """Segment with one setting: probabilities, float32 [label height width].

        Args:
            seen: of `observe`.
            learned: of `learn_from`.
            values: the setting.
        """
        raise NotImplementedError

    def fit(self, annotated: AnnotatedSlices, colour: bool) -> Searched[Learned]:
        """Learn, and choose the setting with the highest Dice on the annotated planes.

        Raises:
            DataError: a class has no pixel, or all annotated planes have one intensity.
        """
        images = list(training_images(annotated, colour, self.settings.max_side))
        check_distinguishable(images, annotated)
        ways = len(annotated.shots.names)
        known = np.unique(np.concatenate([np.unique(labels) for _, labels in images]))
        known = known[known != IGNORE]
        if len(known) == 1:
            return Searched(None, Chosen({}, 1.0, 0), int(known[0]))
        learned = self.learn_from(images, ways)
        return Searched(learned, self._search(images, ways, learned))

    def probabilities(
        self, picture: ImageStack, plane: int, support: Fitted[Searched[Learned]]
    ) -> np.ndarray:
        """Those of the chosen setting; an image of one intensity is background."""
        shape, labels = picture.pixels.shape[1:3], len(support.names) + 1
        model = support.model
        if model.learned is None:
            return constant(model.only, labels, shape)
        image = image_at(picture, plane, support.colour, self.settings.max_side)
        if np.ptp(image.reshape(-1, image.shape[2]), axis=0).max() == 0:
            return constant(0, labels, shape)
        found = self.label(self.observe(image, model.learned), model.learned, model.chosen.values)
        return enlarge(np.ascontiguousarray(found, np.float32), shape)

    def configuration(self, model: Searched[Learned], names: Sequence[str]) -> Chosen:
        """See `ImagePredictor`."""
        return model.chosen

    def _search(self, images: Sequence[Annotated], ways: int, learned: Learned) -> Chosen:
        grid = {name: getattr(self.settings, name) for name in self.searched}
        pairs = list(self._tests(images, ways, learned))
        if not pairs:
            return best_setting(grid, None)
        seen = [self.observe(image, model) for model, (image, _) in pairs]
        truth = [labels for _, (_, labels) in pairs]

        def score(values: Values) -> float:
            found = [
                self.label(each, model, values).argmax(axis=0).astype(np.uint8)
                for each, (model, _) in zip(seen, pairs, strict=True)
            ]
            return mean_dice(found, truth, ways)

        return best_setting(grid, score)

    def _tests(
        self, images: Sequence[Annotated], ways: int, learned: Learned
    ) -> Iterator[tuple[Learned, Annotated]]:
        """Pair what was learned with the images on which it is measured."""
        for place in compared(images, ways):
            if not self.memorises:
                yield learned, images[place]
            elif len(images) > 1:
                others = [each for number, each in enumerate(images) if number != place]
                yield self.learn_from(others, ways), images[place]


def compared(images: Sequence[Annotated], ways: int, most: int = SEARCHED) -> list[int]:
    """Choose annotated planes, evenly spaced, and the first with each class they do not show.

    >>> labels = [np.full((1, 1), value) for value in (1, 1, 1, 1, 1, 2)]
    >>> compared([(each, each) for each in labels], 2)
    [0, 2, 5]
    """
    places = {round(x) for x in np.linspace(0, len(images) - 1, min(len(images), most))}
    for way in range(1, ways + 1):
        shown = [number for number, (_, labels) in enumerate(images) if (labels == way).any()]
        if shown and not places & set(shown):
            places.add(shown[0])
    return sorted(places)


def check_distinguishable(images: Sequence[Annotated], annotated: AnnotatedSlices) -> None:
    """Refuse annotated planes from which nothing can be learned.

    Raises:
        DataError: a class has no pixel, or all planes have one intensity.
    """
    names = shorten(picture.name for picture in annotated.shots.pictures)
    for way, name in enumerate(annotated.shots.names, 1):
        if not any((labels == way).any() for _, labels in images):
            raise DataError(
                f"no annotated plane of {names} shows {name}; mark it in one, or leave it out of "
                "the classes"
            )
    if all(np.ptp(image.reshape(-1, image.shape[2]), axis=0).max() == 0 for image, _ in images):
        raise DataError(
            f"{names} has one intensity throughout, so that nothing can be told apart; annotate "
            "another image, and check how it was exported"
        )


def constant(label: int, labels: int, shape: tuple[int, ...]) -> np.ndarray:
    """Certainty of one label everywhere: float32 [label height width]."""
    found = np.zeros((labels, *shape), np.float32)
    found[label] = 1
    return found


def one_hot(found: np.ndarray, labels: int) -> np.ndarray:
    """Certainty of the labels of an image [height width]: float32 [label height width]."""
    return (np.arange(labels)[:, None, None] == found).astype(np.float32)
