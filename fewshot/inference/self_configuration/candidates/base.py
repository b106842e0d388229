"""The contract of the methods that a self-configuring segmenter tries."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from fewshot.inference.self_configuration.views import Shot, View

POSITIONS = 10_000
"""How many positions a classifier learns from, shared equally by the labels."""
SURE = 0.005
"""Least probability of a classifier: few positions give 0 and 1."""


class Fitted(Protocol):
    """A candidate that has learned."""

    def log_odds(self, view: View) -> Float[Tensor, "way rows columns"]:
        """Score a plane: the log odds of each class against all other labels, at any resolution."""
        ...

    def tensors(self) -> Mapping[str, Tensor]:
        """Give all that `Candidate.restore` needs; names have no dot."""
        ...


class Candidate(Protocol):
    """A method that learns from a few annotated planes."""

    def fit(self, shots: Sequence[Shot], way: int) -> Fitted:
        """Learn from annotated planes.

        Args:
            shots: each class is marked in one at least.
            way: number of classes.
        """
        ...

    def restore(self, tensors: Mapping[str, Tensor]) -> Fitted:
        """Build what was fitted from its tensors.

        Raises:
            KeyError: one is missing.
        """
        ...


def log_odds_of(
    logits: Float[Tensor, "label rows columns"],
) -> Float[Tensor, "way rows columns"]:
    """Compare each class with the best other label, background included.

    >>> log_odds_of(torch.tensor([0.0, 3.0, 1.0]).view(3, 1, 1)).flatten()
    tensor([ 2., -2.])
    """
    best = logits.topk(2, dim=0)
    first, second = best.values
    others = torch.where(
        best.indices[:1] == torch.arange(len(logits))[:, None, None], second, first
    )
    return (logits - others)[1:]


def values_at(
    found: Float[Tensor, "feature rows columns"], grid: Sequence[int], points: np.ndarray
) -> Float[Tensor, "feature point"]:
    """Interpolate a map at positions of a finer grid, numbered row by row, as `on_grid` does."""
    rows, columns = np.unravel_index(points, tuple(grid))
    where = np.stack([(columns + 0.5) / grid[1], (rows + 0.5) / grid[0]], axis=-1) * 2 - 1
    wanted = torch.from_numpy(where).float()[None, None]
    return functional.grid_sample(
        found[None], wanted, mode="bilinear", padding_mode="border", align_corners=False
    )[0, :, 0]
