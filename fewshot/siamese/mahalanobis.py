"""Mahalanobis distances, with a given matrix or a learned one of low rank."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fewshot.siamese.distances import euclidean_distances


def mahalanobis_distances(
    first: Float[Tensor, "anchor dim"],
    second: Float[Tensor, "reference dim"],
    factor: Float[Tensor, "rank dim"],
) -> Float[Tensor, "anchor reference"]:
    """Distances sqrt((x - y)' M (x - y)) with M = factor' factor.

    >>> double = 2 * torch.eye(2)
    >>> mahalanobis_distances(torch.zeros(1, 2), torch.tensor([[3.0, 4.0]]), double)
    tensor([[10.]])
    """
    return euclidean_distances(first @ factor.T, second @ factor.T)


def factor_of(matrix: Float[Tensor, "dim dim"]) -> Float[Tensor, "dim dim"]:
    """Factor a matrix M = F' F, e.g. the inverse of a covariance.

    Raises:
        ValueError: the matrix is not symmetric, or an eigenvalue is negative.

    >>> factor_of(torch.diag(torch.tensor([4.0, 9.0]))).abs()
    tensor([[2., 0.],
            [0., 3.]])
    """
    scale = float(matrix.abs().max())
    if not torch.allclose(matrix, matrix.T, rtol=0, atol=1e-5 * scale):
        raise ValueError("the matrix of a Mahalanobis distance is not symmetric; expected M = M'")
    values, vectors = torch.linalg.eigh(matrix)
    if values[0] < -1e-5 * scale:
        raise ValueError(
            f"the matrix of a Mahalanobis distance has the eigenvalue {values[0]:.3g}; expected "
            "none below 0, as of an inverse covariance"
        )
    return values.clamp(min=0).sqrt()[:, None] * vectors.T


class Mahalanobis(nn.Module):
    """A learned Mahalanobis distance; M = F' F has at most the given rank.

    Args:
        dim: length of the embeddings.
        rank: rows of F; at most `dim`.

    Paper: Weinberger and Saul, Distance metric learning for large margin nearest neighbor
    classification, JMLR 2009.
    """

    def __init__(self, dim: int, rank: int) -> None:
        super().__init__()
        if not 1 <= rank <= dim:
            raise ValueError(f"rank is {rank}; expected 1 to {dim}, the length of the embeddings")
        self.factor = nn.Parameter(torch.eye(rank, dim))

    def forward(
        self, first: Float[Tensor, "anchor dim"], second: Float[Tensor, "reference dim"]
    ) -> Float[Tensor, "anchor reference"]:
        """Return the distances."""
        return mahalanobis_distances(first, second, self.factor)
