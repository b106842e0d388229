"""Nearest neighbours on deep features, at one of several sides and strides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from episodes.sampling.plans import binary_mask
from fewshot.inference.self_configuration.candidates.base import log_odds_of
from fewshot.inference.self_configuration.views import FeatureMap, Shot, View
from fewshot.models.heads.base import Support
from fewshot.models.heads.nearest_neighbours import (
    NearestNeighboursHead,
    NearestNeighboursSettings,
)

_MOST, _MOST_OF_ONE = 8192, 2048  # positions of a label that are kept, of all images and of each
_COMPONENTS = 64  # of 216 features, in which positions are compared
_POSITIONS, _BASIS = "positions_", "basis"


@dataclass(frozen=True)
class Neighbours:
    """The head `NearestNeighboursHead` on given features.

    Attributes:
        maps: concatenated on the grid of the first.
    """

    maps: tuple[FeatureMap, ...]

    def fit(self, shots: Sequence[Shot], way: int) -> "FittedNeighbours":
        """Keep the features of the annotated positions; see `Candidate`."""
        # What a query costs is bounded, however many images are annotated.
        most = min(_MOST_OF_ONE, max(1, _MOST // len(shots)))
        settings = NearestNeighboursSettings(most=most)
        head = NearestNeighboursHead(settings)
        supports = []
        for shot in shots:
            features = shot.view.fused(self.maps)
            masks = torch.stack([binary_mask(shot.labels, label + 1) for label in range(way)])
            supports.append(
                head.encode_support(features.expand(1, way, 1, -1, -1, -1), masks[None, :, None])
            )
        joined = _joined([each.tensors for each in supports])
        basis = _main_directions([t for n, t in joined.items() if n.startswith(_POSITIONS)])
        projected = {
            name: functional.normalize(tensor @ basis, dim=-1)
            if name.startswith(_POSITIONS)
            else tensor
            for name, tensor in joined.items()
        }
        return FittedNeighbours(head, Support(projected), basis, self.maps)

    def restore(self, tensors: Mapping[str, Tensor]) -> "FittedNeighbours":
        """Take positions and basis; see `Candidate`."""
        kept = {name: tensor for name, tensor in tensors.items() if name != _BASIS}
        return FittedNeighbours(NearestNeighboursHead(), Support(kept), tensors[_BASIS], self.maps)


@dataclass(frozen=True, eq=False)
class FittedNeighbours:
    """Kept positions of all shots, in the basis [feature component] of their main directions."""

    head: NearestNeighboursHead
    support: Support
    basis: Float[Tensor, "feature component"]
    maps: tuple[FeatureMap, ...]

    def log_odds(self, view: View) -> Float[Tensor, "way rows columns"]:
        """Compare every position; see `Fitted`."""
        features = torch.einsum("frc,fk->krc", view.fused(self.maps), self.basis)
        return log_odds_of(self.head.logits(self.support, features[None, None])[0, 0])

    def tensors(self) -> Mapping[str, Tensor]:
        """Give positions and basis; see `Fitted`."""
        return {**self.support.tensors, _BASIS: self.basis}


def _joined(supports: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Join the positions of shots whose grids may differ."""
    return {name: torch.cat([each[name] for each in supports], 1) for name in supports[0]}


def _main_directions(
    positions: Sequence[Float[Tensor, "1 _ feature"]],
) -> Float[Tensor, "feature component"]:
    """Find the directions in which the squares of the features sum up to most.

    Cosines within them are nearly those of all features, at a third of the cost.
    """
    points = torch.cat([each[0] for each in positions])
    _, vectors = torch.linalg.eigh(points.T @ points)
    return vectors[:, -_COMPONENTS:]
