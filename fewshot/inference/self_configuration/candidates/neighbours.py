"""Nearest neighbours on deep features, at one of several sides and strides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from episodes.sampling.plans import binary_mask
from fewshot.inference.self_configuration.candidates.base import log_odds_of
from fewshot.inference.self_configuration.views import FeatureMap, Shot, View
from fewshot.models.heads.base import Support
from fewshot.models.heads.nearest_neighbours import (
    NearestNeighboursHead,
    NearestNeighboursSettings,
)

_MOST = 8192  # positions of a label that are kept


@dataclass(frozen=True)
class Neighbours:
    """The head `NearestNeighboursHead` on given features.

    Attributes:
        maps: concatenated on the grid of the first.
    """

    maps: tuple[FeatureMap, ...]

    def fit(self, shots: Sequence[Shot], way: int) -> "FittedNeighbours":
        """Keep the features of the annotated positions; see `Candidate`."""
        # All shots together keep as many positions as one, and a query costs as much.
        settings = NearestNeighboursSettings(most=max(1, _MOST // len(shots)))
        head = NearestNeighboursHead(settings)
        supports = []
        for shot in shots:
            features = shot.view.fused(self.maps)
            masks = torch.stack([binary_mask(shot.labels, label + 1) for label in range(way)])
            supports.append(
                head.encode_support(features.expand(1, way, 1, -1, -1, -1), masks[None, :, None])
            )
        return FittedNeighbours(head, _joined([each.tensors for each in supports]), self.maps)


@dataclass(frozen=True, eq=False)
class FittedNeighbours:
    """Kept positions of all shots."""

    head: NearestNeighboursHead
    support: Support
    maps: tuple[FeatureMap, ...]

    def log_odds(self, view: View) -> Float[Tensor, "way rows columns"]:
        """Compare every position; see `Fitted`."""
        features = view.fused(self.maps)
        return log_odds_of(self.head.logits(self.support, features[None, None])[0, 0])


def _joined(supports: Sequence[Mapping[str, Tensor]]) -> Support:
    """Join the positions of shots whose grids may differ."""
    return Support({name: torch.cat([each[name] for each in supports], 1) for name in supports[0]})
