"""Distances between embeddings, exact where embeddings are close and with finite gradients."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

NEAR = 1e-3
"""Pairs whose squared distance is below this share of their squared lengths are computed directly.

The product form |x|^2 + |y|^2 - 2 x y loses all digits there: it gives 1e-3 for a vector and
itself, which `torch.cdist` does from 25 vectors on by default."""

_MOST_NEAR = 0.1  # share of near pairs from which it is faster to compute all directly


def squared_euclidean_distances(
    first: Float[Tensor, "anchor dim"], second: Float[Tensor, "reference dim"]
) -> Float[Tensor, "anchor reference"]:
    """Squared Euclidean distances; exactly 0 between equal vectors.

    >>> squared_euclidean_distances(torch.zeros(1, 2), torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    tensor([[25.,  0.]])
    """
    # A batch with itself has a symmetric matrix, whose gradient costs one product instead of two.
    return _SquaredDistances.apply(first, None if second is first else second)


def euclidean_distances(
    first: Float[Tensor, "anchor dim"], second: Float[Tensor, "reference dim"]
) -> Float[Tensor, "anchor reference"]:
    """Euclidean distances; exactly 0 between equal vectors, where the gradient is 0.

    >>> euclidean_distances(torch.zeros(1, 2), torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    tensor([[5., 0.]])
    """
    return root(squared_euclidean_distances(first, second))


def cosine_similarities(
    first: Float[Tensor, "anchor dim"], second: Float[Tensor, "reference dim"]
) -> Float[Tensor, "anchor reference"]:
    """Cosines of the angles between vectors, 0 for vectors of length 0.

    >>> cosine_similarities(torch.tensor([[1.0, 0.0]]), torch.tensor([[2.0, 0.0], [0.0, 0.0]]))
    tensor([[1., 0.]])
    """
    return unit_length(first) @ unit_length(second).T


def cosine_distances(
    first: Float[Tensor, "anchor dim"], second: Float[Tensor, "reference dim"]
) -> Float[Tensor, "anchor reference"]:
    """1 minus the cosine, from 0 to 2; half the squared distance of the vectors of unit length."""
    return 0.5 * squared_euclidean_distances(unit_length(first), unit_length(second))


def paired_euclidean_distances(
    first: Float[Tensor, "*pair dim"], second: Float[Tensor, "*pair dim"]
) -> Float[Tensor, "*pair"]:
    """Euclidean distances of vectors one to one; the gradient at 0 is 0.

    >>> paired_euclidean_distances(torch.zeros(1, 2), torch.tensor([[3.0, 4.0]]))
    tensor([5.])
    """
    return torch.linalg.vector_norm(first - second, dim=-1)  # torch defines its gradient at 0 as 0


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


class _SquaredDistances(torch.autograd.Function):
    """The product form for most pairs; differences for the few that are close together."""

    @staticmethod
    def forward(context: Any, first: Tensor, second: Tensor | None) -> Tensor:
        other = first if second is None else second
        lengths = first.square().sum(dim=1)
        across = lengths if second is None else other.square().sum(dim=1)
        sums = lengths[:, None] + across
        squared = torch.addmm(sums, first, other.T, alpha=-2.0)
        if second is None:  # exactly 0, so not among the near pairs
            squared.fill_diagonal_(0.0)
            sums.fill_diagonal_(0.0)
        near = (squared < sums.mul_(NEAR)).nonzero()
        if len(near) > _MOST_NEAR * squared.numel() + len(first) + len(other):
            context.save_for_backward(first, second, None)
            exact = torch.cdist(first, other, compute_mode="donot_use_mm_for_euclid_dist")
            return exact.square_()
        if len(near):
            rows, columns = near.unbind(dim=1)
            squared[rows, columns] = (first[rows] - other[columns]).square_().sum(dim=1)
        context.save_for_backward(first, second, near)
        return squared

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        first, second, near = context.saved_tensors
        if second is None:  # each pair stands in the matrix twice
            return _pull((gradient + gradient.T).fill_diagonal_(0.0), first, first, near), None
        flipped = None if near is None else near.flip(1)
        need = context.needs_input_grad
        return (
            _pull(gradient.clone(), first, second, near) if need[0] else None,
            _pull(gradient.T.clone(), second, first, flipped) if need[1] else None,
        )


def _pull(gradient: Tensor, first: Tensor, second: Tensor, near: Tensor | None) -> Tensor:
    """Sum 2 g (x - y) over the references y of each anchor x.

    Near pairs are taken out of the matrix product, in which their differences would cancel; None
    says that all are near, which are then taken a row at a time. `gradient` is used up.
    """
    if near is None:
        pulled = [g @ (x - second) for x, g in zip(first, gradient, strict=True)]
        return 2 * torch.stack(pulled)
    rows, columns = near.unbind(dim=1)
    apart = gradient[rows, columns]
    gradient[rows, columns] = 0.0
    result = gradient.sum(dim=1)[:, None] * first - gradient @ second
    if len(near):
        result.index_add_(0, rows, apart[:, None] * (first[rows] - second[columns]))
    return result.mul_(2)
