"""Classifiers of single positions, on pixel features or deep ones, trained on the annotation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from fewshot.inference.pixel_features import draw_pixels
from fewshot.inference.self_configuration.views import COARSE, FINE, FeatureMap, Shot, View
from fewshot.lazily import lazily
from fewshot.models.encoder import OFFLINE
from fewshot.models.levels import XFEAT

ensemble = lazily("sklearn.ensemble")
linear_model = lazily("sklearn.linear_model")
pipeline = lazily("sklearn.pipeline")
preprocessing = lazily("sklearn.preprocessing")

DEEP = (
    *(FeatureMap(OFFLINE, stride, FINE) for stride in (2, 4, 8, 16)),
    FeatureMap(XFEAT, 8, FINE),
    *(FeatureMap(OFFLINE, stride, COARSE) for stride in (8, 16)),
    FeatureMap(XFEAT, 8, COARSE),
)
"""All feature maps, on the grid of the finest."""
_POSITIONS = 10_000  # that are learned from, shared equally by the labels
_TREES, _LEAF = 60, 3
_REGULARISATION = 0.003  # C of scikit-learn: features are many and positions alike
_SURE = 0.005  # least probability: forests of few trees give 0 and 1


Features = Callable[[View, int], np.ndarray]
"""From a plane and 1 or 3 channels to features [rows columns feature]."""


def pixel_view(view: View, channels: int) -> Float[np.ndarray, "rows columns feature"]:
    """Features of single pixels, see `View.pixels`."""
    return view.pixels(channels)


def deep_view(view: View, channels: int) -> Float[np.ndarray, "rows columns feature"]:
    """Deep features, each map of unit length."""
    fused = view.fused(DEEP) * len(DEEP) ** 0.5
    return fused.permute(1, 2, 0).numpy()


def forest() -> Any:
    """Extremely randomised trees (Geurts et al., Machine Learning 2006), on each label equally."""
    return ensemble.ExtraTreesClassifier(
        _TREES, min_samples_leaf=_LEAF, random_state=0, n_jobs=torch.get_num_threads()
    )


def logistic() -> Any:
    """Regularised logistic regression on standardised features."""
    model = linear_model.LogisticRegression(C=_REGULARISATION, max_iter=200)
    return pipeline.make_pipeline(preprocessing.StandardScaler(), model)


@dataclass(frozen=True)
class Classifier:
    """A classifier of scikit-learn on features of single positions.

    Attributes:
        features: of a plane, by as many channels as all annotated images have.
        make: the classifier.
    """

    features: Features
    make: Callable[[], Any]

    def fit(self, shots: Sequence[Shot], way: int) -> "FittedClassifier":
        """Train on as many positions of each label; see `Candidate`."""
        channels = min(len(shot.view.image) for shot in shots)
        features = [self.features(shot.view, channels) for shot in shots]
        maps = [shot.labels_at(each.shape[:2]) for shot, each in zip(shots, features, strict=True)]
        picked = draw_pixels(maps, _POSITIONS, np.random.default_rng(0))
        flat = [
            each.reshape(-1, each.shape[2])[p] for each, p in zip(features, picked, strict=True)
        ]
        labels = [each.ravel()[p] for each, p in zip(maps, picked, strict=True)]
        known = np.concatenate(labels)
        if len(np.unique(known)) == 1:
            return FittedClassifier(self.features, channels, None, way, int(known[0]))
        model = self.make().fit(np.concatenate(flat), known)
        return FittedClassifier(self.features, channels, model, way)


@dataclass(frozen=True, eq=False)
class FittedClassifier:
    """A trained classifier; without one, everything has one label."""

    features: Features
    channels: int
    model: Any
    way: int
    only: int = 0

    def log_odds(self, view: View) -> Float[Tensor, "way rows columns"]:
        """Classify every position; see `Fitted`."""
        features = self.features(view, self.channels)
        shares = np.zeros((features.shape[0] * features.shape[1], self.way + 1), np.float32)
        if self.model is None:
            shares[:, self.only] = 1
        else:
            shares[:, self.model.classes_] = self.model.predict_proba(
                features.reshape(-1, features.shape[2])
            )
        found = np.clip(shares[:, 1:].T, _SURE, 1 - _SURE).reshape(-1, *features.shape[:2])
        return torch.from_numpy(np.log(found / (1 - found)))
