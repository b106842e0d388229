"""A fully convolutional network: the head of torchvision's FCN on any encoder of timm.

Paper: Long, Shelhamer and Darrell, Fully convolutional networks for semantic segmentation, CVPR
2015.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from episodes.errors import DataError
from fewshot.baselines.deep.encoder import Normalised, build_encoder, is_trained
from fewshot.baselines.deep.predictor import DeepPredictor
from fewshot.baselines.deep.settings import DeepSettings
from fewshot.inference.predictors.build import register_predictor
from fewshot.lazily import lazily

fcn = lazily("torchvision.models.segmentation.fcn")


@dataclass(frozen=True)
class FCNSettings(DeepSettings):
    """The network and its training.

    Attributes:
        stride: pixels between the positions of the encoder's map on which labels are told apart, 4,
            8, 16 or 32; logits are enlarged to the image.
    """

    stride: int = 16

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.stride not in (4, 8, 16, 32):
            raise DataError(f"stride is {self.stride}; expected 4, 8, 16 or 32")


class LastMap(nn.Module):
    """The encoder as torchvision's networks take it: a dictionary with the map "out"."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Embed."""
        return {"out": self.encoder(images)[-1]}


class Logits(nn.Module):
    """The logits alone of what torchvision's networks give."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Give logits [batch label height width]."""
        return self.network(images)["out"]


@register_predictor("fcn")
class FCNPredictor(DeepPredictor):
    """Train a fully convolutional network on patches of the annotated images."""

    Settings: ClassVar = FCNSettings
    name: ClassVar = "fcn"
    seconds_per_step: ClassVar = 0.1

    def build(self, ways: int, extras: tuple[float, ...] = ()) -> nn.Module:
        """Build the encoder and the head."""
        chosen = self.settings
        encoder, channels, spread = build_encoder(chosen.encoder, chosen.weights, [chosen.stride])
        network = Logits(fcn.FCN(LastMap(encoder), fcn.FCNHead(channels[-1], ways + 1)))
        frozen = is_trained(chosen.encoder, chosen.weights)
        return Normalised(network, encoder, spread, frozen)
