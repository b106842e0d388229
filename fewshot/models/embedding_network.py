"""The embedding network: the shared encoder, pooled to one vector an image or a region."""

import hashlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from episodes.errors import ModelError
from episodes.io.write import atomic_write, make_folder, write_json
from fewshot.models.checkpoint import WEIGHTS, load_weights, read_settings, write_tensors
from fewshot.models.encoder import Encoder, EncoderSettings
from fewshot.models.pooling import average_pool, generalised_mean_pool, region_weights
from fewshot.models.precision import autocast, default_device
from fewshot.models.small_encoder import SmallEncoder, SmallSettings
from fewshot.models.stroke_augmentation import InkFrame, InkSettings
from fewshot.numerics import unit_length

SETTINGS = "embedding.json"
FORMAT = 1
Pooling = Literal["average", "generalised", "grid"]
_FIRST_POWER = 3.0  # of the generalised mean before training, as published


@dataclass(frozen=True)
class EmbeddingSettings:
    """What an embedding network is made of.

    Attributes:
        encoder: the backbone, or a small network for small pictures.
        pooling: "average"; "generalised" for the generalised mean with a learned power; or "grid"
            for none: every position of the image has its own features, which distinguishes what
            consists of the same parts, but not in regions.
        dim: length of the embedding, made by a linear projection; 0 leaves the projection out
            and the embedding has as many numbers as the encoder has features.
        normalise: whether embeddings are scaled to unit length.
        size: side of the square in which images are compared, in pixels; a multiple of the
            encoder's coarsest stride.
        seed: of the first weights of the projection, and of a small network.
        ink: images are drawings, to be cut out around their ink first; None for images as they are.
        centred: whether every number of the embedding is brought to mean 0 and variance 1 over
            what was trained on, before `normalise`. Features are positive, so that without it all
            embeddings of an untrained network point one way.
    """

    encoder: EncoderSettings | SmallSettings = field(default_factory=EncoderSettings)
    pooling: Pooling = "average"
    dim: int = 128
    normalise: bool = True
    size: int = 224
    seed: int = 0
    ink: InkSettings | None = None
    centred: bool = False

    @property
    def side(self) -> int:
        """Side of the encoder's input, in pixels."""
        return self.size if self.ink is None else self.ink.side

    def __post_init__(self) -> None:
        if self.pooling not in get_args(Pooling):
            raise ModelError(
                f"pooling is {self.pooling!r}; expected {', '.join(get_args(Pooling))}"
            )
        if self.dim < 0:
            raise ModelError(f"dim is {self.dim}; expected at least 1, or 0 for no projection")
        coarsest = max(self.encoder.strides, default=1)
        if self.size < 32 or self.side % coarsest:
            raise ModelError(
                f"size is {self.size}; expected a multiple of {coarsest} of at least 32 pixels"
                if self.ink is None
                else f"size is {self.size} and the ink's side {self.side}; expected at least 32 "
                f"pixels, and a multiple of {coarsest}"
            )


class EmbeddingNetwork(nn.Module):
    """Embeds images, or regions of them, as vectors whose distances measure dissimilarity.

    Both images of a pair pass through this one network (that is what "Siamese" means). The
    projection starts as an orthogonal one, which nearly keeps the angles of the pretrained
    features, so that an untrained network already matches.

    Attributes:
        dim: length of the embeddings.

    Raises:
        ModelError: the settings do not fit together.
    """

    def __init__(self, settings: EmbeddingSettings | None = None) -> None:
        super().__init__()
        self.settings = settings or EmbeddingSettings()
        self.encoder = _encoder(self.settings)
        self.ink = None if self.settings.ink is None else InkFrame(self.settings.ink)
        features = self.encoder.features
        if self.settings.pooling == "grid":
            features *= (self.settings.side // self.encoder.stride) ** 2
        self.dim = self.settings.dim or features
        self.projection: nn.Module = nn.Identity()
        if self.settings.dim:
            # Without a bias the embedding of an empty region is 0 with and without projection.
            linear = nn.Linear(features, self.dim, bias=False)
            generator = torch.Generator().manual_seed(self.settings.seed)
            nn.init.orthogonal_(linear.weight, generator=generator)
            self.projection = linear
        self.centre: nn.Module = (
            nn.BatchNorm1d(self.dim) if self.settings.centred else nn.Identity()
        )
        # As a logarithm the power is positive, and weight decay draws it to 1, the average.
        if self.settings.pooling == "generalised":
            self.log_power = nn.Parameter(torch.tensor(_FIRST_POWER).log())
        self.to(default_device())

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    def forward(
        self,
        images: Float[Tensor, "batch channel height width"],
        masks: Shaped[Tensor, "batch height width"] | None = None,
        change: float | None = None,
    ) -> Float[Tensor, "batch dim"]:
        """Embed images, or one region of each.

        Args:
            images: in [0, 1], grey or colour; sides are multiples of the coarsest stride.
            masks: 1 inside the region, anything else outside; None for the whole image.
            change: how far drawings are changed at random, 0 to 1; by default 1 in training,
                else 0.

        Returns:
            float32 embeddings, of unit length with `normalise`; 0 where the mask is empty.
        """
        images = images.to(self.device)
        if self.ink is not None:
            if masks is not None:
                raise ModelError("drawings are cut out around their ink, so there are no regions")
            images = self.ink(images, change)
        with autocast(self.device, training=torch.is_grad_enabled()):
            features = self.encoder(images)
        embeddings = self.centre(self.projection(self._pool(features, masks)))
        return unit_length(embeddings) if self.settings.normalise else embeddings

    def _pool(self, features: Tensor, masks: Tensor | None) -> Tensor:
        pooling, side = self.settings.pooling, self.settings.side // self.encoder.stride
        if pooling != "grid":
            weights = region_weights(masks, features)
            if pooling == "average":
                return average_pool(features, weights)
            return generalised_mean_pool(features, weights, self.log_power.exp())
        if masks is not None:
            raise ModelError(
                "pooling is 'grid', in which a region has no place of its own; take 'average' or "
                "'generalised' for regions"
            )
        if features.shape[-2:] != (side, side):
            raise ModelError(
                f"features have {tuple(features.shape[-2:])} places; 'grid' needs images of "
                f"{self.settings.side} pixels, {side} x {side} places"
            )
        return features.flatten(1)

    def embed(
        self,
        images: Float[Tensor, "batch channel height width"],
        masks: Shaped[Tensor, "batch height width"] | None = None,
        change: float = 0.0,
    ) -> Float[Tensor, "batch dim"]:
        """Do as `forward`, without a gradient and with training's noise switched off."""
        training = self.training
        self.eval()
        try:
            with torch.inference_mode():
                return self(images, masks, change)
        finally:
            self.train(training)

    def fingerprint(self) -> str:
        """Hash what embeddings depend on: those of one network fit no other."""
        settings = self.settings
        parts = (settings.encoder.name, settings.encoder.strides, settings.pooling)
        # What is not there leaves the hash of older networks as it was.
        drawn = [each for each in (settings.ink, settings.centred) if each]
        digest = hashlib.sha256(repr((*parts, settings.dim, settings.normalise, *drawn)).encode())
        for name, tensor in self.state_dict().items():
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]


def _encoder(settings: EmbeddingSettings) -> Encoder | SmallEncoder:
    if isinstance(settings.encoder, SmallSettings):
        return SmallEncoder(settings.encoder, settings.seed)
    return Encoder(settings.encoder)


def _encoder_settings(content: dict[str, Any]) -> EncoderSettings | SmallSettings:
    """Read the settings of either from JSON, which has no tuples."""
    listed: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in content.items()
    }
    if "widths" in listed:
        return SmallSettings(**listed)
    # The weights come from the folder: nothing has to be downloaded.
    return EncoderSettings(**{**listed, "weights": "none"})


def save_embedding(network: EmbeddingNetwork, folder: Path | str) -> Path:
    """Write `embedding.json` and `model.safetensors` into a folder, each whole or not at all.

    Raises:
        DataError: the folder cannot be written.
    """
    folder = make_folder(Path(folder))
    write_json(folder / SETTINGS, {"format": FORMAT, **asdict(network.settings)})
    tensors = {name: t.detach().cpu().contiguous() for name, t in network.state_dict().items()}
    with atomic_write(folder / WEIGHTS) as partial:
        write_tensors(tensors, partial, {"fingerprint": network.fingerprint()})
    return folder


def load_embedding(folder: Path | str) -> EmbeddingNetwork:
    """Load what `save_embedding` wrote, ready for `embed`.

    Raises:
        ModelError: a file is missing, damaged, of another format, or does not fit the settings.
    """
    folder = Path(folder)
    content = read_settings(folder / SETTINGS)
    try:
        if content.pop("format") != FORMAT:
            raise ValueError(f"its format is not {FORMAT}")
        encoder = _encoder_settings(content.pop("encoder"))
        ink = content.pop("ink", None)  # older ones have none
        drawn = None if ink is None else InkSettings(**ink)
        settings = EmbeddingSettings(encoder=encoder, ink=drawn, **content)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(
            f"{folder / SETTINGS} does not describe an embedding network ({error!r}); "
            "save it again with this version"
        ) from error
    network = EmbeddingNetwork(settings)
    load_weights(network, folder / WEIGHTS, SETTINGS)
    return network.eval()
