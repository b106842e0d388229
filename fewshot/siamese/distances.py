"""Distances between embeddings, exact where embeddings are close and with finite gradients."""

from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from fewshot.numerics import unit_length

NEAR = 1e-3
"""Pairs whose squared distance is below this share of their squared lengths are computed directly.

The product form |x|^2 + |y|^2 - 2 x y loses all digits there: it gives 1e-3 for a vector and
itself, which `torch.cdist` does from 25 vectors on by default."""

_MAX_NEAR = 0.1  # share of near pairs from which it is faster to compute all directly


def squared_euclidean_distances(
    first: Float[Tensor, "anchor dim"], second: Float[Tensor, "reference dim"]
) -> Float[Tensor, "anchor reference"]:
    """Squared Euclidean distances; exactly 0 between equal vectors.

    >>> squared_euclidean_distances(torch.zeros(1, 2), torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    tensor([[25.,  0.]])
    """
    # A batch with itself has a symmetric matrix, whose gradient costs one product instead of two.
    return _Distances.apply(first, None if second is first else second, False)


def euclidean_distances(
    first: Float[Tensor, "anchor dim"], second: Float[Tensor, "reference dim"]
) -> Float[Tensor, "anchor reference"]:
    """Euclidean distances; exactly 0 between equal vectors, where the gradient is 0.

    >>> euclidean_distances(torch.zeros(1, 2), torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    tensor([[5., 0.]])
    """
    return _Distances.apply(first, None if second is first else second, True)


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


def indexed_euclidean_distances(
    first: Float[Tensor, "anchor dim"],
    second: Float[Tensor, "reference dim"],
    references: Int64[Tensor, "pick anchor"],
) -> Float[Tensor, "pick anchor"]:
    """Euclidean distances of each anchor to the references at indices; the gradient at 0 is 0.

    >>> indices = torch.tensor([[1], [0]])
    >>> indexed_euclidean_distances(torch.zeros(1, 2), torch.tensor([[3.0, 4.0], [0, 1]]), indices)
    tensor([[1.],
            [5.]])
    """
    return _IndexedDistances.apply(first, None if second is first else second, references)


class _IndexedDistances(torch.autograd.Function):
    """One step, where the steps of torch would take a small batch most of its time."""

    @staticmethod
    def forward(context: Any, first: Tensor, second: Tensor | None, places: Tensor) -> Tensor:
        gaps = _gaps(first, second, places)
        lengths = torch.linalg.vector_norm(gaps, dim=-1)
        context.save_for_backward(first, second, places, gaps, lengths)
        return lengths

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        first, second, places, gaps, lengths = context.saved_tensors
        if torch.is_grad_enabled():  # for second derivatives, which run through the embeddings
            gaps = _gaps(first, second, places)
        share = (gradient / lengths).masked_fill(lengths == 0, 0.0)
        pulls = share[..., None] * gaps
        of_first = pulls.sum(dim=0)
        of_second = of_first if second is None else torch.zeros_like(second)
        pulled = of_second.index_add(0, places.flatten(), pulls.flatten(0, 1), alpha=-1)
        return (pulled, None, None) if second is None else (of_first, pulled, None)


def _gaps(first: Tensor, second: Tensor | None, places: Tensor) -> Tensor:
    """Differences [pick anchor dim] of each anchor and the references at its places."""
    other = first if second is None else second
    return first - other.index_select(0, places.flatten()).unflatten(0, places.shape)


class _Distances(torch.autograd.Function):
    """Squared distances or, in one step with them, their roots."""

    @staticmethod
    def forward(context: Any, first: Tensor, second: Tensor | None, rooted: bool) -> Tensor:
        squared, near, context.direct = _measure(first, second)
        result = squared.sqrt_() if rooted else squared
        context.save_for_backward(first, second, near, result if rooted else None)
        return result

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        first, second, near, roots = context.saved_tensors
        pull = 2.0 * gradient if roots is None else gradient / roots
        if roots is not None and (context.direct or near is not None):
            pull = pull.masked_fill(roots == 0, 0.0)  # only near pairs are at a distance of 0
        if second is None:  # each pair stands in the matrix twice
            # Copied first: adding a transposed matrix as it lies takes several times as long.
            pull = (pull + pull.T.contiguous()).fill_diagonal_(0.0)
            return _pull(pull, first, first, near, context.direct), None, None
        need, flipped = context.needs_input_grad, None if near is None else near.flip(1)
        return (
            _pull(pull, first, second, near, context.direct) if need[0] else None,
            _pull(pull.T, second, first, flipped, context.direct) if need[1] else None,
            None,
        )


def _measure(first: Tensor, second: Tensor | None) -> tuple[Tensor, Tensor | None, bool]:
    """The product form for most pairs; differences for the few that are close together.

    Returns:
        Squared distances, the places [pair 2] of near pairs (None without any), and whether there
        are so many that all pairs were computed directly.
    """
    other = first if second is None else second
    lengths = first.square().sum(dim=1)
    across = lengths if second is None else other.square().sum(dim=1)
    squared = (lengths[:, None] + across).addmm_(first, other.T, alpha=-2.0)
    if second is None:
        squared.fill_diagonal_(torch.inf)  # not among the near pairs
    near = _find_near(squared, lengths, across)
    if second is None:
        squared.fill_diagonal_(0.0)
    if near is None:
        return squared, None, False
    if len(near) > _MAX_NEAR * squared.numel() + len(first) + len(other):
        exact = torch.cdist(first, other, compute_mode="donot_use_mm_for_euclid_dist")
        return exact.square_(), None, True
    rows, columns = near.unbind(dim=1)
    squared[rows, columns] = (first[rows] - other[columns]).square_().sum(dim=1)
    return squared, near, False


def _find_near(squared: Tensor, lengths: Tensor, across: Tensor) -> Tensor | None:
    """Find the places [pair 2] of near pairs; None without any, as in most batches."""
    if not squared.numel():
        return None
    # Checking the smallest distance is faster than checking all.
    longest = lengths.max() + across.max()
    if torch.sub(squared.min(), longest, alpha=NEAR).item() > 0:
        return None
    near = (squared <= NEAR * (lengths[:, None] + across)).nonzero()
    return near if len(near) else None


def _pull(pull: Tensor, first: Tensor, second: Tensor, near: Tensor | None, direct: bool) -> Tensor:
    """Sum pull * (x - y) over the references y of each anchor x.

    Near pairs are taken out of the matrix product, in which their differences would cancel; after
    a direct computation the sum is taken a row at a time.
    """
    if direct:
        return torch.stack([row @ (x - second) for x, row in zip(first, pull, strict=True)])
    if near is None:
        return pull.sum(dim=1)[:, None] * first - pull @ second
    rows, columns = near.unbind(dim=1)
    apart = pull[rows, columns]
    pull = pull.index_put((rows, columns), pull.new_zeros(()))
    result = pull.sum(dim=1)[:, None] * first - pull @ second
    return result.index_add(0, rows, apart[:, None] * (first[rows] - second[columns]))
