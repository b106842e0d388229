"""A trained network, at the size at which it was trained."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from episodes.sampling.episode import to_channels
from episodes.sampling.plans import binary_mask
from fewshot.inference.preprocess import letterbox_of
from fewshot.inference.self_configuration.candidates.base import log_odds_of
from fewshot.inference.self_configuration.views import Shot, View
from fewshot.models.heads import Support
from fewshot.models.network import FewShotNetwork

_RATE = 2.0  # logits of heads are made for a sharp softmax, log odds of others are not


@dataclass(frozen=True, eq=False)
class Trained:
    """Encoder and head of a network; it takes part where there is one."""

    network: FewShotNetwork

    def fit(self, shots: Sequence[Shot], way: int) -> "FittedTrained":
        """Condense the annotated planes; see `Candidate`."""
        size = self.network.settings.size
        labels = torch.stack(
            [letterbox_of(shot.view.picture, size).fit_labels(shot.labels) for shot in shots]
        )
        masks = torch.stack([binary_mask(labels, label + 1) for label in range(way)])
        images = (_square(shot.view, size)[None] for shot in shots)
        support = self.network.encode_support(images, masks.to(self.network.device))
        return FittedTrained(self.network, support)

    def restore(self, tensors: Mapping[str, Tensor]) -> "FittedTrained":
        """Take the condensed support; see `Candidate`."""
        return FittedTrained(self.network, Support(dict(tensors)))


@dataclass(frozen=True, eq=False)
class FittedTrained:
    """A network and its condensed support."""

    network: FewShotNetwork
    support: Support

    def log_odds(self, view: View) -> Float[Tensor, "way rows columns"]:
        """Segment the square, and take the picture out of it; see `Fitted`."""
        size = self.network.settings.size
        logits = self.network.logits(self.support, _square(view, size)[None])[0].float().cpu()
        whole = functional.interpolate(
            logits[None], size=(size, size), mode="bilinear", align_corners=False
        )[0]
        frame = letterbox_of(view.picture, size)
        left, _, top, _ = frame.padding
        rows, columns = frame.inner
        return log_odds_of(whole[:, top : top + rows, left : left + columns]) / _RATE

    def tensors(self) -> Mapping[str, Tensor]:
        """Give the condensed support; see `Fitted`."""
        return self.support.tensors


def _square(view: View, size: int) -> Float[Tensor, "3 size size"]:
    return to_channels(letterbox_of(view.picture, size).fit_image(view.image), 3)
