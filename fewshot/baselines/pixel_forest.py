"""A random forest on the features of single pixels: interactive pixel classification's recipe."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from episodes.errors import DataError
from fewshot.baselines.image_predictor import (
    Fitted,
    ImagePredictor,
    enlarge,
    image_at,
    training_images,
)
from fewshot.inference.inputs import ImageStack
from fewshot.inference.pixel_features import SIGMAS, draw_pixels, pixel_features
from fewshot.inference.predictors.build import register_predictor
from fewshot.inference.predictors.feature_predictor import AnnotatedSlices
from fewshot.lazily import lazily

ensemble = lazily("sklearn.ensemble")


@dataclass(frozen=True)
class PixelForestSettings:
    """How pixels are described and classified.

    Attributes:
        trees: of the forest.
        pixels: at most so many are learned from, shared equally by the background and the classes.
        tree_pixels: of these, how many each tree draws with replacement; 6,000 give the Dice of
            20,000 in a third of the time.
        sigmas: of the features, in pixels, see `pixel_features`.
        max_side: larger images are scaled down to this side, in pixels.
        seed: of the draw of pixels and of the forest.
    """

    trees: int = 100
    pixels: int = 20_000
    tree_pixels: int = 6_000
    sigmas: tuple[float, ...] = SIGMAS
    max_side: int = 512
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("trees", "pixels", "tree_pixels", "max_side"):
            if getattr(self, name) < 1:
                raise DataError(f"{name} is {getattr(self, name)}; expected at least 1")
        if not self.sigmas or min(self.sigmas) <= 0:
            raise DataError(f"sigmas are {self.sigmas}; expected numbers above 0, in pixels")


@register_predictor("pixel-forest")
class PixelForestPredictor(ImagePredictor[Any]):
    """Classify every pixel by multi-scale features of it (`pixel_features`) and a random forest."""

    Settings: ClassVar = PixelForestSettings

    def fit(self, annotated: AnnotatedSlices, colour: bool) -> Any:
        """Train the forest on known pixels of all annotated planes."""
        chosen = self.settings
        images = list(training_images(annotated, colour, chosen.max_side))
        picked = draw_pixels(
            [labels for _, labels in images], chosen.pixels, np.random.default_rng(chosen.seed)
        )
        features, labels = [], []
        for (image, found), places in zip(images, picked, strict=True):
            if len(places):
                described = pixel_features(image, chosen.sigmas)
                features.append(described.reshape(-1, described.shape[2])[places])
                labels.append(found.ravel()[places])
        learned = np.concatenate(labels)
        forest = ensemble.RandomForestClassifier(
            chosen.trees,
            max_samples=min(chosen.tree_pixels, len(learned)),
            random_state=chosen.seed,
            n_jobs=torch.get_num_threads(),
        )
        return forest.fit(np.concatenate(features), learned)

    def probabilities(self, picture: ImageStack, plane: int, support: Fitted[Any]) -> np.ndarray:
        """Mean of the trees' class shares; a label that was not learned from has none."""
        image = image_at(picture, plane, support.colour, self.settings.max_side)
        features = pixel_features(image, self.settings.sigmas)
        shares = support.model.predict_proba(features.reshape(-1, features.shape[2]))
        found = np.zeros((len(support.names) + 1, image.shape[0] * image.shape[1]), np.float32)
        found[support.model.classes_] = shares.T
        height, width = picture.pixels.shape[1:3]
        return enlarge(found.reshape(-1, *image.shape[:2]), (height, width))
