"""The shared CNN encoder: a timm backbone, XFeat or both, their levels fused into one map."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from episodes.errors import ModelError, shorten
from fewshot.models.efficientnet_lite0 import LEVELS, PIXEL_MEAN, PIXEL_STD, EfficientNetLite0
from fewshot.models.levels import XFEAT, Level, strides_of
from fewshot.models.with_xfeat import WithXFeat
from fewshot.models.xfeat import CHANNELS, XFeat

OFFLINE = "tf_efficientnet_lite0"
"""The backbone whose ImageNet weights come with the installation."""

_AS_THEY_ARE = ((0.0,) * 3, (1.0,) * 3)  # mean and spread that leave pixels in [0, 1]


@dataclass(frozen=True)
class EncoderSettings:
    """Which backbone, and which of its resolutions.

    Attributes:
        name: "xfeat", any timm model that can return feature maps, or such a model and XFeat side
            by side: "tf_efficientnet_lite0+xfeat".
        strides: the resolutions to fuse, in pixels an entry; the finest gives the output's grid.
            None stands for the backbone's own: 8 of XFeat, 8 and 16 of all others. XFeat beside
            another gives its map of stride 8 alone, which has to be one of them.
        weights: "imagenet" for pretrained ones (those of XFeat come from matching photographs),
            "none" for random ones.
    """

    name: str = OFFLINE
    strides: tuple[int, ...] = None  # type: ignore[assignment]  # see __post_init__
    weights: Literal["imagenet", "none"] = "imagenet"

    def __post_init__(self) -> None:
        object.__setattr__(self, "strides", strides_of(self.name, self.strides))


class Encoder(nn.Module):
    """Embeds every pixel neighbourhood of an image.

    Each chosen level is scaled to unit length at every position, brought to the finest grid and
    concatenated, so that no level drowns the others and the cosine of two positions is the mean
    of the levels' cosines, weighted where two backbones stand side by side. Normalisation layers
    keep their statistics in training: an episode of a few images would ruin them.

    Raises:
        ModelError: there is no such model, it has no such stride, or weights are missing.
    """

    def __init__(self, settings: EncoderSettings | None = None) -> None:
        super().__init__()
        self.settings = settings or EncoderSettings()
        backbone, self.levels, mean, std = _backbone(self.settings)
        self.backbone = backbone.to(memory_format=torch.channels_last)
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1), persistent=False)
        self.stride = min(self.settings.strides)
        self.features = sum(level.features for level in self.levels)

    def forward(
        self, images: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch feature rows columns"]:
        """Embed images.

        Args:
            images: in [0, 1], grey (channel 1) or colour (channel 3); sides are multiples of the
                coarsest stride.

        Returns:
            float32 feature maps of unit length at every position, rows = height / stride.
        """
        unit = self.unit_levels(images)
        grid = (images.shape[-2] // self.stride, images.shape[-1] // self.stride)
        fused = [
            level
            if level.shape[-2:] == grid
            else functional.interpolate(level, size=grid, mode="bilinear", align_corners=False)
            for level in unit
        ]
        total = sum(level.weight for level in self.levels)
        lengths = [(total / level.weight) ** 0.5 for level in self.levels]
        return torch.cat([maps / n for maps, n in zip(fused, lengths, strict=True)], dim=1)

    def unit_levels(
        self, images: Float[Tensor, "batch channel height width"]
    ) -> list[Float[Tensor, "batch _ _ _"]]:
        """Embed images at each of the strides, the finest first, before they are fused.

        Args:
            images: as in `forward`.

        Returns:
            float32 maps [batch feature height/stride width/stride] of unit length everywhere.
        """
        coarsest = max(self.settings.strides)
        if images.shape[-2] % coarsest or images.shape[-1] % coarsest:
            raise ModelError(
                f"images are {images.shape[-2]} x {images.shape[-1]} pixels; expected multiples "
                f"of {coarsest} (episodes.catalog.letterbox.Frame makes them so)"
            )
        pixels = (images.expand(-1, 3, -1, -1) - self.mean) / self.std
        levels = self.backbone(pixels.contiguous(memory_format=torch.channels_last))
        return [functional.normalize(level.float(), dim=1) for level in levels]

    def train(self, mode: bool = True) -> "Encoder":
        """Switch to training, with the normalisation layers' statistics frozen."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
        return self


Built = tuple[nn.Module, tuple[Level, ...], Sequence[float], Sequence[float]]
"""A backbone, its levels, and mean and spread of the pixels it was trained on."""


def _backbone(settings: EncoderSettings) -> Built:
    """Build the backbone, or two side by side."""
    if not settings.strides or min(settings.strides) < 1:
        raise ModelError(f"strides are {settings.strides}; expected e.g. (4, 8, 16)")
    if len(set(settings.strides)) < len(settings.strides):
        raise ModelError(f"strides are {settings.strides}; expected each of them once")
    pretrained = settings.weights == "imagenet"
    name, plus, beside = settings.name.partition("+")
    if not plus:
        return _single(name, settings.strides, pretrained)
    if beside != XFEAT or name == XFEAT:
        raise ModelError(
            f"the encoder is {settings.name!r}; expected another backbone's name before the plus "
            f"and {XFEAT} behind it, e.g. {OFFLINE}+{XFEAT}"
        )
    both = WithXFeat(*_single(name, settings.strides, pretrained), pretrained)
    return both, both.levels, *_AS_THEY_ARE


def _single(name: str, strides: tuple[int, ...], pretrained: bool) -> Built:
    """Build one backbone.

    Those that are not ours come from timm, which is imported only then: it takes seconds.
    """
    if name == OFFLINE:
        levels = _levels(name, strides, {s: channels for s, (_, channels) in LEVELS.items()})
        return EfficientNetLite0(strides, pretrained), levels, PIXEL_MEAN, PIXEL_STD
    if name == XFEAT:  # it normalises every image itself
        levels = _levels(name, strides, CHANNELS)
        return XFeat(strides, pretrained), levels, *_AS_THEY_ARE
    from fewshot.models.timm_backbone import build_timm

    return build_timm(name, strides, pretrained)


def _levels(name: str, strides: tuple[int, ...], channels: Mapping[int, int]) -> tuple[Level, ...]:
    """Look the levels of the chosen strides up, the finest first."""
    missing = [stride for stride in strides if stride not in channels]
    if missing:
        raise ModelError(f"{name} has no stride {shorten(missing)}; it has {shorten(channels)}")
    return tuple(Level(channels[stride], stride) for stride in sorted(strides))
