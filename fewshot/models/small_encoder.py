"""A small residual network for small pictures, trained from nothing: drawings, icons."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from episodes.errors import ModelError
from fewshot.models.precision import autocast


@dataclass(frozen=True)
class SmallSettings:
    """What the small network is made of.

    Attributes:
        widths: features of the levels; each has half the resolution of the one before, the first
            half that of the picture.
        blocks: residual blocks a level, from the second level on.
        colour: whether its input has three channels; else their mean.
    """

    widths: tuple[int, ...] = (32, 64, 128)
    blocks: tuple[int, ...] = (1, 2)
    colour: bool = False

    def __post_init__(self) -> None:
        if len(self.widths) < 2 or len(self.blocks) != len(self.widths) - 1:
            raise ModelError(
                f"widths are {self.widths} and blocks {self.blocks}; expected two widths or more, "
                "and blocks for each of them but the first"
            )
        if min(*self.widths, *self.blocks) < 1:
            raise ModelError(
                f"widths are {self.widths} and blocks {self.blocks}; expected numbers from 1 on"
            )

    @property
    def name(self) -> str:
        """Name that distinguishes it from timm models and from others of its kind."""
        numbers = "-".join(map(str, (*self.widths, *self.blocks)))
        return f"small-{numbers}-{'colour' if self.colour else 'grey'}"

    @property
    def strides(self) -> tuple[int]:
        """The one resolution that it gives, in pixels an entry."""
        return (2 ** len(self.widths),)


class SmallEncoder(nn.Module):
    """Embeds every neighbourhood of a small picture.

    Other than those of the shared encoder, its normalisation layers learn their statistics while it
    trains; in several processes, each from its own share of a batch.

    Args:
        settings: what it is made of.
        seed: of its first weights.

    Attributes:
        features: of the map.
        stride: pixels an entry of the map.
    """

    def __init__(self, settings: SmallSettings | None = None, seed: int = 0) -> None:
        super().__init__()
        self.settings = settings or SmallSettings()
        self.stride = self.settings.strides[0]
        self.features = self.settings.widths[-1]
        first, *rest = self.settings.widths
        channels = 3 if self.settings.colour else 1
        layers: list[nn.Module] = [
            nn.Conv2d(channels, first, 5, stride=2, padding=2, bias=False),
            nn.BatchNorm2d(first),
            nn.ReLU(inplace=True),
        ]
        for width, blocks in zip(rest, self.settings.blocks, strict=True):
            for block in range(blocks):
                layers.append(ResidualBlock(first, width, stride=1 if block else 2))
                first = width
        self.layers = nn.Sequential(*layers).to(memory_format=torch.channels_last)
        generator = torch.Generator().manual_seed(seed)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", generator=generator)

    def forward(
        self, images: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch feature rows columns"]:
        """Embed images.

        Args:
            images: in [0, 1], grey or colour; sides are multiples of the stride.

        Returns:
            float32 feature maps, at least 0.
        """
        if images.shape[-2] % self.stride or images.shape[-1] % self.stride:
            raise ModelError(
                f"images are {images.shape[-2]} x {images.shape[-1]} pixels; expected multiples of "
                f"{self.stride}"
            )
        if self.settings.colour:
            shown = images.expand(-1, 3, -1, -1)
        else:
            shown = images.mean(dim=1, keepdim=True)
        with autocast(images.device, training=torch.is_grad_enabled(), depthwise=False):
            return self.layers(shown.contiguous(memory_format=torch.channels_last)).float()


class ResidualBlock(nn.Module):
    """Two convolutions beside a projection; at first the convolutions add nothing."""

    def __init__(self, features: int, width: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(features, width, 3, stride=stride, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(width)
        self.second = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(width)
        nn.init.zeros_(self.second_norm.weight)
        self.stride = stride
        self.beside: nn.Module = nn.Identity()
        if stride > 1 or features != width:
            conv = nn.Conv2d(features, width, 1, bias=False)
            self.beside = nn.Sequential(conv, nn.BatchNorm2d(width))

    def forward(
        self, features: Float[Tensor, "batch feature rows columns"]
    ) -> Float[Tensor, "batch width rows2 columns2"]:
        """Return features at the stride's resolution."""
        residual = functional.relu(self.first_norm(self.first(features)))
        residual = self.second_norm(self.second(residual))
        if self.stride > 1:
            features = functional.avg_pool2d(features, self.stride)
        return functional.relu(residual + self.beside(features))
