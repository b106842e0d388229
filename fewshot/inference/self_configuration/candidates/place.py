"""Place: where the classes lay in the annotated images; for anatomy, which lies alike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from fewshot.inference.self_configuration.views import Shot, View

_GRID = (128, 128)
_SURE = 0.02  # least probability


class Place:
    """The share of annotated images in which a class lay at a place, blurred by the grid."""

    def fit(self, shots: Sequence[Shot], way: int) -> "FittedPlace":
        """Average the masks; see `Candidate`."""
        shares, known = torch.zeros(way, *_GRID), torch.zeros(_GRID)
        for shot in shots:
            masks = torch.stack([(shot.labels == label + 1).float() for label in range(way)])
            seen = (shot.labels != 255).float()[None]
            masks, seen = (functional.adaptive_avg_pool2d(x[None], _GRID)[0] for x in (masks, seen))
            shares, known = shares + masks, known + seen[0]
        share = (shares / known.clamp(min=1e-6)).clamp(_SURE, 1 - _SURE)
        return FittedPlace(torch.log(share / (1 - share)))

    def restore(self, tensors: Mapping[str, Tensor]) -> "FittedPlace":
        """Take the log odds; see `Candidate`."""
        return FittedPlace(tensors["odds"])


@dataclass(frozen=True, eq=False)
class FittedPlace:
    """Log odds of each class at each place."""

    found: Float[Tensor, "way rows columns"]

    def log_odds(self, view: View) -> Float[Tensor, "way rows columns"]:
        """Give the same for every image; see `Fitted`."""
        return self.found

    def tensors(self) -> Mapping[str, Tensor]:
        """Give the log odds; see `Fitted`."""
        return {"odds": self.found}
