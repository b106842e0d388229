"""Encoders, with the weights that are installed, those of a hub, or random ones."""

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from episodes.errors import ModelError, shorten
from fewshot.baselines.deep.settings import Weights
from fewshot.lazily import lazily
from fewshot.models.efficientnet_lite0 import LEVELS, PIXEL_MEAN, PIXEL_STD, EfficientNetLite0

timm = lazily("timm")
timm_backbone = lazily("fewshot.models.timm_backbone")  # imports timm, which takes seconds
hub = lazily("fewshot.models.hub")

INSTALLED = "tf_efficientnet_lite0"
"""The encoder whose ImageNet weights come with the installation."""

Spread = tuple[Sequence[float], Sequence[float]]
"""Mean and standard deviation of the pixels that an encoder was trained on, a channel each."""


class Normalised(nn.Module):
    """A network whose images, 0 to 1, are brought to the intensities of its encoder.

    Args:
        network: takes images [batch 3 height width].
        encoder: its part that may be trained already.
        spread: of the pixels that the encoder was trained on.
        frozen: keep the statistics of the encoder's batch normalisation, as is due where they are
            of many images and batches are small.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, network: nn.Module, encoder: nn.Module, spread: Spread, frozen: bool
    ) -> None:
        super().__init__()
        self.network, self.frozen = network, frozen
        self._encoder = [encoder]  # in a list, or it would be a second part of this one
        mean, std = (torch.tensor(each)[:, None, None] for each in spread)
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("std", std, persistent=False)

    def forward(self, images: Tensor) -> Any:
        """Give what the network gives."""
        return self.network((images - self.mean) / self.std)

    def train(self, mode: bool = True) -> "Normalised":
        """Turn training on or off, but for the statistics that are kept."""
        super().train(mode)
        if self.frozen:
            self._encoder[0].eval()
        return self


def build_encoder(
    name: str, weights: Weights, strides: Sequence[int]
) -> tuple[nn.Module, list[int], Spread]:
    """Build an encoder that gives a list of feature maps, the finest first.

    Args:
        name: of timm.
        weights: see `Weights`.
        strides: of the maps, in pixels.

    Returns:
        The encoder, the channels of its maps, and the spread of its pixels.

    Raises:
        ModelError: there is no such encoder, it has no such maps, or its weights are missing.
    """
    strides = sorted(strides)
    if name == INSTALLED and weights != "hub":
        if missing := [each for each in strides if each not in LEVELS]:
            raise ModelError(f"{name} has no stride {missing[0]}; it has {shorten(LEVELS)}")
        encoder = EfficientNetLite0(tuple(strides), imagenet=weights == "installed")
        return encoder, [LEVELS[stride][1] for stride in strides], (PIXEL_MEAN, PIXEL_STD)
    warn_of_random(name, weights)
    model, levels, mean, std = timm_backbone.build_timm(name, strides, weights == "hub")
    return model, [level.features for level in levels], (mean, std)


@contextlib.contextmanager
def weights_of(name: str, weights: Weights) -> Iterator[bool]:
    """Give whether weights are to be loaded from the hub, and tell where that fails.

    Raises:
        ModelError: they cannot be loaded.
    """
    if weights != "hub":
        yield False
        return
    try:
        with hub.hub_or_cache():
            yield True
    except OSError as error:  # the hub's errors derive from it
        raise ModelError(
            f"{hub.why_not(f'the weights of {name}')}; or take {INSTALLED}, whose weights are "
            "installed"
        ) from error


def spread_of(name: str) -> Spread:
    """Mean and standard deviation of the pixels of an encoder of timm."""
    known = timm.get_pretrained_cfg(name)
    if known is None:
        return timm_backbone.IMAGENET_MEAN, timm_backbone.IMAGENET_STD
    return known.mean, known.std


def warn_of_random(name: str, weights: Weights) -> None:
    """Warn where installed weights are asked for, and there are none of this encoder."""
    if weights == "installed" and name != INSTALLED:
        warnings.warn(
            f"no weights of {name} are installed, so its training starts with random ones, which "
            f"takes many images; take {INSTALLED}, or weights=hub to download them",
            stacklevel=2,
        )


def is_trained(name: str, weights: Weights) -> bool:
    """Whether the encoder's first weights are trained ones."""
    return weights == "hub" or (weights == "installed" and name == INSTALLED)
