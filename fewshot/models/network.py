"""The network: an encoder and a head, from annotated images and queries to logits."""

import hashlib
import math
from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional

from episodes.errors import ModelError
from fewshot.models.calibration import Calibration
from fewshot.models.coordinates import append_coordinates
from fewshot.models.encoder import Encoder, EncoderSettings
from fewshot.models.heads.alpnet import ALPNetSettings
from fewshot.models.heads.base import Head, HeadSettings, Support, build_head, head_entry, head_name
from fewshot.models.levels import Level
from fewshot.models.precision import autocast, default_device

_REFERENCE_SHOTS = 4  # shots that are kept for comparison; features of all would fill the memory


@dataclass(frozen=True)
class NetworkSettings:
    """What a network is made of.

    Attributes:
        encoder: the backbone.
        head: the metric head.
        size: side of the square in which images are compared, in pixels; larger finds smaller
            structures and takes longer. A multiple of the encoder's coarsest stride.
        coordinates: weight of a position's row and column beside its features (proximity); 0
            leaves them out. See `fewshot.models.coordinates`.
    """

    encoder: EncoderSettings = field(default_factory=EncoderSettings)
    head: HeadSettings = field(default_factory=ALPNetSettings)
    size: int = 256
    coordinates: float = 0.0


class FewShotNetwork(nn.Module):
    """Encoder and head: what is trained, saved, and used by every predictor.

    Attributes:
        calibration: of its logits.
        from_folder: whether it was loaded from a folder of a model, and so trained at its size.

    Raises:
        ModelError: the settings do not fit together.
    """

    def __init__(self, settings: NetworkSettings | None = None) -> None:
        super().__init__()
        self.settings = settings or NetworkSettings()
        self.checked_size(self.settings.size)
        self.encoder = Encoder(self.settings.encoder)
        places = (Level(2, self.encoder.stride),) if self._checked_coordinates() else ()
        self.head = self._make_head((*self.encoder.levels, *places))
        self.calibration = Calibration()
        self.from_folder = False
        self.to(default_device())

    def _make_head(self, levels: Sequence[Level]) -> Head:
        head = build_head(self.settings.head, levels)
        if not isinstance(self, head.network or FewShotNetwork):
            raise ModelError(
                f"{self.settings.head} adapts the whole network; build it with "
                "fewshot.models.checkpoint.build_network"
            )
        return head

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    def encode(
        self, images: Float[Tensor, "*set channel height width"]
    ) -> Float[Tensor, "*set feature rows columns"]:
        """Embed a set of images of any leading axes, in the fastest exact enough precision."""
        flat = images.flatten(0, -4) if images.ndim > 4 else images
        with autocast(self.device, training=torch.is_grad_enabled()):
            features = self.encoder(flat.to(self.device))
        features = append_coordinates(features, self.settings.coordinates)
        return features.unflatten(0, images.shape[:-3])

    def forward(
        self,
        support_images: Float[Tensor, "batch way shot channel height width"],
        support_masks: UInt8[Tensor, "batch way shot height width"],
        query_images: Float[Tensor, "batch query channel height width"],
    ) -> Float[Tensor, "batch query label height width"]:
        """Segment the queries of a batch of episodes; logits at image resolution."""
        support = self.head.encode_support(
            self.encode(support_images), support_masks.to(self.device)
        )
        logits = self.head.logits(support, self.encode(query_images))
        full = functional.interpolate(
            logits.flatten(0, 1),
            size=query_images.shape[-2:],
            mode="bilinear",
            align_corners=False,
        )
        return full.unflatten(0, logits.shape[:2])

    # -- what another kind of network replaces ---------------------------------------------------

    def encode_support(
        self,
        chunks: Iterable[Float[Tensor, "chunk channel height width"]],
        masks: UInt8[Tensor, "way shot height width"],
    ) -> Support:
        """Condense one support set, whose images come in chunks that together are the shots."""
        features = torch.cat([self.encode(chunk) for chunk in chunks])
        shared = features[None, None].expand(1, len(masks), *features.shape)
        support = self.head.encode_support(shared, masks[None])
        return replace(support, shots={"features": features[reference_shots(len(features))].half()})

    def logits_and_features(
        self, support: Support, images: Float[Tensor, "query channel height width"]
    ) -> tuple[
        Float[Tensor, "query label rows columns"],
        Float[Tensor, "query feature rows columns"] | None,
    ]:
        """Score images, and show the features that were compared where there are such."""
        features = self.encode(images)
        return self.head.logits(support, features[None])[0], features

    def logits(
        self, support: Support, images: Float[Tensor, "query channel height width"]
    ) -> Float[Tensor, "query label rows columns"]:
        """Score images with a condensed support set; logits at feature resolution."""
        return self.logits_and_features(support, images)[0]

    # -- what does not depend on the images ------------------------------------------------------

    def fingerprint(self) -> str:
        """Hash what features depend on: supports of one model fit no other.

        Where the weights came from and the size of the images play no part.
        """
        encoder, head = self.settings.encoder, self.settings.head
        parts = [repr(encoder.name), repr(encoder.strides), head_entry(head).signature(head)]
        if self.settings.coordinates:  # without them it is what it was before they existed
            parts.append(repr(self.settings.coordinates))
        digest = hashlib.sha256(f"({', '.join(parts)})".encode())
        for name, tensor in self.state_dict().items():
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]

    def with_size(self, size: int) -> "FewShotNetwork":
        """Compare images in a square of another side, in pixels, with the same weights.

        Raises:
            ModelError: the encoder cannot work on that size.
        """
        other = copy(self)
        other.settings = replace(self.settings, size=self.checked_size(size))
        return other

    def with_coordinates(self, weight: float) -> "FewShotNetwork":
        """Give a trained network coordinates beside its features; 0 takes them away.

        Raises:
            ModelError: its head has weights of its own, which were made for other features.
        """
        if any(True for _ in self.head.parameters()):
            raise ModelError(
                f"coordinates is {weight}, but the head {type(self.head).__name__} has weights "
                "without coordinates; train it with them (NetworkSettings.coordinates)"
            )
        plain = replace(self.settings.encoder, weights="none")  # they are copied from the old one
        changed = FewShotNetwork(replace(self.settings, encoder=plain, coordinates=weight))
        changed.load_state_dict(self.state_dict())
        changed.calibration, changed.from_folder = self.calibration, self.from_folder
        return changed.eval()

    def checked_size(self, size: int) -> int:
        """Return a side of the square that the encoder can work on.

        Raises:
            ModelError: it cannot.
        """
        coarsest = max(self.settings.encoder.strides)
        if size < 32 or size % coarsest:
            raise ModelError(
                f"size is {size}; expected a multiple of {coarsest} of at least 32 pixels"
            )
        return size

    def _checked_coordinates(self) -> float:
        weight = self.settings.coordinates
        if not (math.isfinite(weight) and weight >= 0):
            raise ModelError(f"coordinates is {weight}; expected a weight of at least 0")
        if weight and not head_entry(self.settings.head).head.takes_coordinates:
            raise ModelError(
                f"coordinates is {weight}, but the head {head_name(self.settings.head)} works on "
                "the encoder's levels, which have no coordinates; set it to 0, or take another head"
            )
        return weight


def reference_shots(shots: int) -> list[int]:
    """Choose the shots that are kept for comparison: evenly spaced, four at most.

    >>> reference_shots(2), reference_shots(10)
    ([0, 1], [0, 3, 6, 9])
    """
    count = min(shots, _REFERENCE_SHOTS)
    return [round(place) for place in np.linspace(0, shots - 1, count)]
