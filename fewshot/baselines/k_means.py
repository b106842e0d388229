"""Clustering by k-means: clusters of the annotated pixels, each with the label it mostly has.

Paper: Lloyd, Least squares quantization in PCM, 1982; k-means++ by Arthur and Vassilvitskii, 2007.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from episodes.io.pixels import IGNORE
from fewshot.baselines.appearance import AppearanceSettings, colour_features
from fewshot.baselines.search import Values
from fewshot.baselines.searched_predictor import Annotated, SearchedPredictor
from fewshot.inference.pixel_features import draw_pixels
from fewshot.inference.predictors.build import register_predictor
from fewshot.lazily import lazily

cluster = lazily("sklearn.cluster")
exceptions = lazily("sklearn.exceptions")


@dataclass(frozen=True)
class KMeansSettings(AppearanceSettings):
    """What is tried; the components of a mixture are not used.

    Attributes:
        clusters: how many.
        weights: of the classes against the background; above 1 more is found.
    """

    clusters: tuple[int, ...] = (4, 8, 16, 32)
    weights: tuple[float, ...] = (1.0, 2.0, 5.0)


@dataclass(frozen=True, eq=False)
class Clusters:
    """Clusters of annotated pixels.

    Attributes:
        scale: standard deviations of the features, by which they are divided.
        models: fitted k-means, by the number of clusters.
        shares: of the labels in each cluster [cluster label], by the number of clusters.
    """

    scale: np.ndarray
    models: Mapping[int, Any]
    shares: Mapping[int, np.ndarray]


@register_predictor("k-means")
class KMeansPredictor(SearchedPredictor[Clusters]):
    """Cluster the colours of annotated pixels (`sklearn.cluster.KMeans`).

    A pixel has the label that most annotated pixels of its cluster have. Chosen on the annotated
    images are the number of clusters and the weight of the classes.
    """

    Settings: ClassVar = KMeansSettings
    searched: ClassVar = ("clusters", "weights")

    def learn_from(self, images: Sequence[Annotated], ways: int) -> Clusters:
        """Cluster drawn pixels, and count the labels in every cluster."""
        chosen = self.settings
        generator = np.random.default_rng(chosen.seed)
        features = [colour_features(image) for image, _ in images]
        flat = [each.reshape(-1, each.shape[2]) for each in features]
        picked = draw_pixels([labels for _, labels in images], chosen.pixels, generator)
        drawn = np.concatenate([each[p] for each, p in zip(flat, picked, strict=True)])
        scale = drawn.std(axis=0) + 1e-3
        models: dict[int, Any] = {}
        shares: dict[int, np.ndarray] = {}
        for count in chosen.clusters:
            made = cluster.KMeans(min(count, len(drawn)), n_init=1, random_state=chosen.seed)
            with warnings.catch_warnings():  # fewer distinct pixels than clusters do no harm
                warnings.simplefilter("ignore", exceptions.ConvergenceWarning)
                models[count] = made.fit(drawn / scale)
            shares[count] = _shares(models[count], flat, scale, images, ways)
        return Clusters(scale, models, shares)

    def observe(self, image: np.ndarray, learned: Clusters) -> np.ndarray:
        """Describe the pixels: [height width feature]."""
        return colour_features(image) / learned.scale

    def label(self, seen: np.ndarray, learned: Clusters, values: Values) -> np.ndarray:
        """Shares of the labels in each pixel's cluster."""
        count = values["clusters"]
        numbers = learned.models[count].predict(seen.reshape(-1, seen.shape[2]))
        weights = np.full(learned.shares[count].shape[1], values["weights"])
        weights[0] = 1
        shares = learned.shares[count] * weights
        shares /= shares.sum(axis=1, keepdims=True)
        table = np.ascontiguousarray(shares.T, np.float32)
        return np.take(table, numbers, axis=1).reshape(-1, *seen.shape[:2])


def _shares(
    model: Any,
    features: Sequence[np.ndarray],
    scale: np.ndarray,
    images: Sequence[Annotated],
    ways: int,
) -> np.ndarray:
    """Shares of the labels among the known pixels of every cluster: [cluster label]."""
    counts = np.zeros((model.n_clusters, ways + 1))
    for flat, (_, labels) in zip(features, images, strict=True):
        known = labels.ravel() != IGNORE
        np.add.at(counts, (model.predict(flat[known] / scale), labels.ravel()[known]), 1)
    counts[:, 0] += 1e-6  # of a cluster without known pixels
    return counts / counts.sum(axis=1, keepdims=True)
