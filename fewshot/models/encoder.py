"""The shared CNN encoder: any timm backbone, or XFeat, its strides fused into one feature map."""

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
from fewshot.models.xfeat import CHANNELS, XFeat

OFFLINE = "tf_efficientnet_lite0"
"""The backbone whose ImageNet weights come with the installation."""


@dataclass(frozen=True)
class EncoderSettings:
    """Which backbone, and which of its resolutions.

    Attributes:
        name: "xfeat", or any timm model that can return feature maps.
        strides: the resolutions to fuse, in pixels an entry; the finest gives the output's grid.
            None stands for the backbone's own: 8 of XFeat, 8 and 16 of all others.
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
    of the levels' cosines. Normalisation layers keep their statistics in training: an episode of
    a few images would ruin them.

    Raises:
        ModelError: timm has no such model, the model has no such stride, or weights are missing.
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
        coarsest = max(self.settings.strides)
        if images.shape[-2] % coarsest or images.shape[-1] % coarsest:
            raise ModelError(
                f"images are {images.shape[-2]} x {images.shape[-1]} pixels; expected multiples "
                f"of {coarsest} (episodes.catalog.letterbox.Frame makes them so)"
            )
        pixels = (images.expand(-1, 3, -1, -1) - self.mean) / self.std
        levels = self.backbone(pixels.contiguous(memory_format=torch.channels_last))
        grid = (images.shape[-2] // self.stride, images.shape[-1] // self.stride)
        unit = [functional.normalize(level.float(), dim=1) for level in levels]
        fused = [
            level
            if level.shape[-2:] == grid
            else functional.interpolate(level, size=grid, mode="bilinear", align_corners=False)
            for level in unit
        ]
        return torch.cat(fused, dim=1) / len(fused) ** 0.5

    def train(self, mode: bool = True) -> "Encoder":
        """Switch to training, with the normalisation layers' statistics frozen."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
        return self


def _backbone(
    settings: EncoderSettings,
) -> tuple[nn.Module, tuple[Level, ...], Sequence[float], Sequence[float]]:
    """Build the backbone; return its levels, and mean and spread of the pixels it was trained on.

    Those that are not ours come from timm, which is imported only then: it takes seconds.
    """
    if not settings.strides or min(settings.strides) < 1:
        raise ModelError(f"strides are {settings.strides}; expected e.g. (4, 8, 16)")
    if len(set(settings.strides)) < len(settings.strides):
        raise ModelError(f"strides are {settings.strides}; expected each of them once")
    pretrained = settings.weights == "imagenet"
    if settings.name == OFFLINE:
        levels = _levels(settings, {stride: channels for stride, (_, channels) in LEVELS.items()})
        return EfficientNetLite0(settings.strides, pretrained), levels, PIXEL_MEAN, PIXEL_STD
    if settings.name == XFEAT:  # it normalises every image itself
        levels = _levels(settings, CHANNELS)
        return XFeat(settings.strides, pretrained), levels, (0.0,) * 3, (1.0,) * 3
    from fewshot.models.timm_backbone import build_timm

    return build_timm(settings.name, settings.strides, pretrained)


def _levels(settings: EncoderSettings, channels: Mapping[int, int]) -> tuple[Level, ...]:
    """Look the levels of the chosen strides up, the finest first."""
    missing = [stride for stride in settings.strides if stride not in channels]
    if missing:
        raise ModelError(
            f"{settings.name} has no stride {shorten(missing)}; it has {shorten(channels)}"
        )
    return tuple(Level(channels[stride], stride) for stride in sorted(settings.strides))
