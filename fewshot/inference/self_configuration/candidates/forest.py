"""Trees on features of single pixels, trained on the annotation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from fewshot.inference.pixel_features import draw_pixels
from fewshot.inference.self_configuration.candidates.base import SURE
from fewshot.inference.self_configuration.views import Shot, View
from fewshot.lazily import lazily

ensemble = lazily("sklearn.ensemble")

_POSITIONS = 10_000  # that are learned from, shared equally by the labels
_TREES, _LEAF = 60, 3


class PixelForest:
    """Extremely randomised trees on `View.pixels`, each label having the same weight.

    Paper:
        Geurts et al., Extremely randomized trees, Machine Learning 2006.
    """

    def fit(self, shots: Sequence[Shot], way: int) -> "FittedForest":
        """Train on as many pixels of each label; see `Candidate`."""
        channels = min(len(shot.view.image) for shot in shots)
        features = [shot.view.pixels(channels) for shot in shots]
        maps = [shot.labels_at(each.shape[:2]) for shot, each in zip(shots, features, strict=True)]
        drawn = draw_pixels(maps, _POSITIONS, np.random.default_rng(0))
        flat = [
            each.reshape(-1, each.shape[2])[p] for each, p in zip(features, drawn, strict=True)
        ]
        labels = np.concatenate([each.ravel()[p] for each, p in zip(maps, drawn, strict=True)])
        trees = ensemble.ExtraTreesClassifier(
            _TREES, min_samples_leaf=_LEAF, random_state=0, n_jobs=torch.get_num_threads()
        )
        return FittedForest(trees.fit(np.concatenate(flat), labels), channels, way)


@dataclass(frozen=True, eq=False)
class FittedForest:
    """Trained trees, on 1 or 3 channels."""

    trees: Any
    channels: int
    way: int

    def log_odds(self, view: View) -> Float[Tensor, "way rows columns"]:
        """Classify every pixel; see `Fitted`."""
        features = view.pixels(self.channels)
        shares = np.zeros((features.shape[0] * features.shape[1], self.way + 1), np.float32)
        found = self.trees.predict_proba(features.reshape(-1, features.shape[2]))
        shares[:, self.trees.classes_] = found
        chance = torch.from_numpy(shares[:, 1:].T.reshape(-1, *features.shape[:2]))
        return chance.clamp(SURE, 1 - SURE).logit()
