"""A linear classifier of single positions on deep features of many strides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from fewshot.inference.pixel_features import draw_pixels
from fewshot.inference.self_configuration.candidates.base import POSITIONS, SURE, values_at
from fewshot.inference.self_configuration.views import FeatureMap, Shot, View, on_grid
from fewshot.lazily import lazily

linear_model = lazily("sklearn.linear_model")

_REGULARISATION = 0.003  # C of scikit-learn: features are many and positions alike


@dataclass(frozen=True)
class DeepLogistic:
    """Regularised logistic regression on standardised features, each label having the same weight.

    Attributes:
        maps: feature maps; positions are classified on the grid of the first, the finest.
    """

    maps: tuple[FeatureMap, ...]

    def fit(self, shots: Sequence[Shot], way: int) -> "FittedLogistic":
        """Train on as many positions of each label; see `Candidate`."""
        grids = [shot.view.features(self.maps[0]).shape[1:] for shot in shots]
        labels = [shot.labels_at(grid) for shot, grid in zip(shots, grids, strict=True)]
        drawn = draw_pixels(labels, POSITIONS, np.random.default_rng(0))
        known = np.concatenate([each.ravel()[p] for each, p in zip(labels, drawn, strict=True)])
        weight = torch.zeros(way + 1, sum(self._channels(shots[0].view)))
        constant = torch.full((way + 1,), -torch.inf)  # of labels that are not annotated
        present = torch.from_numpy(np.unique(known)).long()
        if len(present) == 1:
            constant[present] = 0.0
            return FittedLogistic(self.maps, weight, constant)
        points = torch.cat(
            [
                torch.cat([values_at(shot.view.features(each), grid, p) for each in self.maps])
                for shot, grid, p in zip(shots, grids, drawn, strict=True)
            ],
            dim=1,
        ).T
        mean, deviation = points.mean(0), points.std(0, correction=0)
        deviation = deviation.where(deviation > 0, 1.0)
        model = linear_model.LogisticRegression(C=_REGULARISATION, max_iter=200)
        model.fit(((points - mean) / deviation).numpy(), known)
        slopes, constants = (
            torch.from_numpy(each).float() for each in (model.coef_, model.intercept_)
        )
        if len(present) == 2:  # one logit, of the second label against the first
            slopes = torch.cat([torch.zeros_like(slopes), slopes])
            constants = torch.cat([torch.zeros_like(constants), constants])
        weight[present] = slopes / deviation
        constant[present] = constants - weight[present] @ mean
        return FittedLogistic(self.maps, weight, constant)

    def restore(self, tensors: Mapping[str, Tensor]) -> "FittedLogistic":
        """Take weights and constants; see `Candidate`."""
        return FittedLogistic(self.maps, tensors["weight"], tensors["constant"])

    def _channels(self, view: View) -> list[int]:
        return [len(view.features(each)) for each in self.maps]


@dataclass(frozen=True, eq=False)
class FittedLogistic:
    """Logits of labels [label], linear in the features [label feature]."""

    maps: tuple[FeatureMap, ...]
    weight: Float[Tensor, "label feature"]
    constant: Float[Tensor, " label"]

    def log_odds(self, view: View) -> Float[Tensor, "way rows columns"]:
        """Classify every position; see `Fitted`.

        Each map is weighted on its own grid and its share of the logits interpolated, which is the
        same as weighting the interpolated features and costs a tenth.
        """
        features = [view.features(each) for each in self.maps]
        shares = self.weight.split([len(each) for each in features], dim=1)
        grid = features[0].shape[1:]
        logits = self.constant[:, None, None] + sum(
            on_grid(torch.einsum("lf,frc->lrc", share, each), grid)
            for share, each in zip(shares, features, strict=True)
        )
        chance = logits.softmax(dim=0)[1:]
        return chance.clamp(SURE, 1 - SURE).logit()

    def tensors(self) -> Mapping[str, Tensor]:
        """Give weights and constants; see `Fitted`."""
        return {"weight": self.weight, "constant": self.constant}
