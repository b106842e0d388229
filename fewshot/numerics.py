"""Vectors of unit length, and roots, with gradients that stay finite."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor


def unit_rows(embeddings: np.ndarray) -> np.ndarray:
    """Scale embeddings to length 1; one of length 0 stays, and is at a right angle to all others.

    >>> unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]], np.float32)).tolist()
    [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    length = np.linalg.norm(embeddings, axis=1, keepdims=True)
    return embeddings / np.where(length > 0, length, 1)


def root(squared: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """Square root whose gradient at 0 is 0 instead of infinite."""
    return _Root.apply(squared)


def unit_length(vectors: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch dim"]:
    """Scale vectors to unit length; vectors of length 0 stay, with a gradient of moderate size."""
    lengths = root(vectors.square().sum(dim=-1, keepdim=True))
    return vectors / torch.where(lengths > 0, lengths, 1.0)


class _Root(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, squared: Tensor) -> Tensor:
        result = squared.sqrt()
        context.save_for_backward(result)
        return result

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        (result,) = context.saved_tensors
        # 0 / 0 of a distance of 0 becomes 0; every other quotient is finite.
        return (0.5 * gradient / result).masked_fill_(result == 0, 0.0)
