"""A small multilayer perceptron of single positions, on deep features and those of pixels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from fewshot.inference.pixel_features import draw_pixels
from fewshot.inference.self_configuration.candidates.base import POSITIONS, SURE, values_at
from fewshot.inference.self_configuration.views import FeatureMap, Shot, View

_HIDDEN = 48
_STEPS, _BATCH, _RATE, _DECAY = 300, 256, 5e-3, 0.01
_DROPPED, _SMOOTHING = 0.5, 0.02  # against learning one image by heart
_ROWS = 8  # that are classified at once, so that they stay in the cache

Layer = tuple[Float[Tensor, "more fewer"], Float[Tensor, " more"]]
"""Weight and bias."""


@dataclass(frozen=True)
class Perceptron:
    """Two hidden layers on standardised features, each label having the same weight.

    In every step it learns without a random half of the features: one annotated image shows little
    of how images differ.

    Attributes:
        maps: deep feature maps, the first the finest; features of pixels are joined to them.
    """

    maps: tuple[FeatureMap, ...]

    def fit(self, shots: Sequence[Shot], way: int) -> "FittedPerceptron":
        """Train on as many pixels of each label; see `Candidate`."""
        channels = min(len(shot.view.image) for shot in shots)
        pixels = [shot.view.pixels(channels) for shot in shots]
        labels = [shot.labels_at(each.shape[1:]) for shot, each in zip(shots, pixels, strict=True)]
        drawn = draw_pixels(labels, POSITIONS, np.random.default_rng(0))
        known = np.concatenate([each.ravel()[p] for each, p in zip(labels, drawn, strict=True)])
        points = torch.cat(
            [
                torch.cat(
                    [
                        *(values_at(s.view.features(each), x.shape[1:], p) for each in self.maps),
                        x.flatten(1)[:, torch.from_numpy(p)],
                    ]
                )
                for s, x, p in zip(shots, pixels, drawn, strict=True)
            ],
            dim=1,
        ).T
        mean, deviation = points.mean(0), points.std(0, correction=0)
        deviation = deviation.where(deviation > 0, 1.0)
        with torch.inference_mode(False):
            standard = ((points - mean) / deviation).clone()
            first, *others = _train(standard, torch.from_numpy(known).long(), way + 1)
        weight = first[0] / deviation
        return FittedPerceptron(self.maps, channels, ((weight, first[1] - weight @ mean), *others))

    def restore(self, tensors: Mapping[str, Tensor]) -> "FittedPerceptron":
        """Take the layers; see `Candidate`."""
        count = (len(tensors) - 1) // 2
        layers = [(tensors[f"weight_{n}"], tensors[f"bias_{n}"]) for n in range(count)]
        return FittedPerceptron(self.maps, int(tensors["channels"]), tuple(layers))


@dataclass(frozen=True, eq=False)
class FittedPerceptron:
    """A trained perceptron, on 1 or 3 channels."""

    maps: tuple[FeatureMap, ...]
    channels: int
    layers: tuple[Layer, ...]

    def log_odds(self, view: View) -> Float[Tensor, "way rows columns"]:
        """Classify every pixel; see `Fitted`.

        The first layer weighs each map on its own grid, see `FittedLogistic`.
        """
        (weight, bias), *others = self.layers
        features, pixels = [view.features(each) for each in self.maps], view.pixels(self.channels)
        *shares, of_pixels = weight.split([*map(len, features), len(pixels)], dim=1)
        deep = _weighed(features, shares, pixels.shape[1:]) + bias
        parts = []
        for part, above in zip(pixels.split(_ROWS, 1), deep.split(_ROWS), strict=True):
            found = torch.addmm(above.flatten(0, 1), part.flatten(1).T, of_pixels.T)
            for each, constant in others:
                found = torch.addmm(constant, found.relu_(), each.T)
            parts.append(found.view(*part.shape[1:], -1))
        chance = torch.cat(parts).movedim(-1, 0).softmax(dim=0)[1:]
        return chance.clamp(SURE, 1 - SURE).logit()

    def tensors(self) -> Mapping[str, Tensor]:
        """Give the layers; see `Fitted`."""
        found = {"channels": torch.tensor(self.channels)}
        for number, (weight, bias) in enumerate(self.layers):
            found |= {f"weight_{number}": weight, f"bias_{number}": bias}
        return found


def _weighed(
    features: Sequence[Float[Tensor, "_ _ _"]],
    shares: Sequence[Float[Tensor, "hidden _"]],
    grid: Sequence[int],
) -> Float[Tensor, "rows columns hidden"]:
    """Weigh each map on its own grid, add all on the first one's, and interpolate the sum.

    Hidden units are last in memory, which takes a fifth of the time of interpolating planes.
    """
    inner = features[0].shape[1:]
    total = features[0].new_zeros(*inner, len(shares[0]))
    for share, each in zip(shares, features, strict=True):
        weighed = (each.flatten(1).T @ share.T).view(*each.shape[1:], -1)
        total += _last_on_grid(weighed, inner)
    return _last_on_grid(total, grid)


def _last_on_grid(
    found: Float[Tensor, "rows columns hidden"], grid: Sequence[int]
) -> Float[Tensor, "more_rows more_columns hidden"]:
    if found.shape[:2] == tuple(grid):
        return found
    channels_last = found[None].permute(0, 3, 1, 2)
    size = tuple(grid)
    scaled = functional.interpolate(channels_last, size=size, mode="bilinear", align_corners=False)
    return scaled.permute(0, 2, 3, 1)[0]


def _train(
    points: Float[Tensor, "point feature"], labels: Int[Tensor, " point"], count: int
) -> list[Layer]:
    """Minimise the weighted cross-entropy with AdamW, the rate rising and falling once."""
    generator = torch.Generator().manual_seed(0)
    sizes = (points.shape[1], _HIDDEN, _HIDDEN, count)
    layers: Any = [
        (_uniform(more, fewer, generator), torch.zeros(more, requires_grad=True))
        for fewer, more in pairwise(sizes)
    ]
    counts = torch.bincount(labels, minlength=count).float()
    weights = (1 / counts).where(counts > 0, 0.0)
    weights = weights / weights.max()
    tensors = [tensor for layer in layers for tensor in layer]
    optimiser = torch.optim.AdamW(tensors, _RATE, weight_decay=_DECAY, foreach=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, _STEPS)
    for _ in range(_STEPS):
        chosen = torch.randint(len(labels), (_BATCH,), generator=generator)
        kept = (torch.rand(points.shape[1], generator=generator) >= _DROPPED) / (1 - _DROPPED)
        (weight, bias), *others = layers
        found = functional.linear(points[chosen], weight * kept, bias)
        for layer in others:
            found = functional.linear(found.relu(), *layer)
        loss = functional.cross_entropy(found, labels[chosen], weights, label_smoothing=_SMOOTHING)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return [(weight.detach(), bias.detach()) for weight, bias in layers]


def _uniform(more: int, fewer: int, generator: torch.Generator) -> Tensor:
    """Draw first weights, smaller the more inputs there are."""
    bound = fewer**-0.5
    drawn = (2 * torch.rand(more, fewer, generator=generator) - 1) * bound
    return drawn.requires_grad_()
