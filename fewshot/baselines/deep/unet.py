"""U-Net, of segmentation_models_pytorch, with any encoder of timm.

Paper: Ronneberger, Fischer and Brox, U-Net, MICCAI 2015.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from episodes.errors import DataError, ModelError
from episodes.optional import import_optional
from fewshot.baselines.deep.encoder import (
    INSTALLED,
    Normalised,
    is_trained,
    spread_of,
    warn_of_random,
    weights_of,
)
from fewshot.baselines.deep.predictor import DeepPredictor
from fewshot.baselines.deep.settings import DeepSettings
from fewshot.inference.predictors.build import register_predictor
from fewshot.models.efficientnet_lite0 import load_installed


@dataclass(frozen=True)
class UNetSettings(DeepSettings):
    """The network and its training.

    Attributes:
        decoder: channels of the decoder's stages, from the coarsest; as many as the encoder has
            strides of 2.
    """

    decoder: tuple[int, ...] = (96, 64, 32, 16, 8)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.decoder or len(self.decoder) > 5 or min(self.decoder) < 1:
            raise DataError(
                f"decoder is {self.decoder}; expected channels of 1 to 5 stages, such as 96 64 32 "
                "16 8"
            )


@register_predictor("unet")
class UNetPredictor(DeepPredictor):
    """Train a U-Net on patches of the annotated images."""

    Settings: ClassVar = UNetSettings
    name: ClassVar = "unet"
    seconds_per_step: ClassVar = 0.3

    def build(self, ways: int, extras: tuple[float, ...] = ()) -> nn.Module:
        """Build the encoder of timm and the decoder.

        Raises:
            ModelError: there is no such encoder, or its maps fit no decoder.
            DataError: segmentation_models_pytorch is not installed.
        """
        models, chosen = import_optional("segmentation_models_pytorch", "baselines"), self.settings
        warn_of_random(chosen.encoder, chosen.weights)
        try:
            with weights_of(chosen.encoder, chosen.weights) as pretrained:
                network = models.Unet(
                    f"tu-{chosen.encoder}",
                    encoder_depth=len(chosen.decoder),
                    encoder_weights=True if pretrained else None,
                    decoder_channels=chosen.decoder,
                    classes=ways + 1,
                )
        except (RuntimeError, AttributeError, IndexError, TypeError, ValueError) as error:
            raise ModelError(
                f"no U-Net can be made of the encoder {chosen.encoder} with "
                f"{len(chosen.decoder)} stages ({error}); take {INSTALLED} or a ResNet, such as "
                "resnet18"
            ) from error
        if chosen.encoder == INSTALLED and chosen.weights == "installed":
            load_installed(network.encoder.model)
        frozen = is_trained(chosen.encoder, chosen.weights)
        return Normalised(network, network.encoder, spread_of(chosen.encoder), frozen)
