"""How many directions embeddings use."""

import torch
from jaxtyping import Float
from torch import Tensor


@torch.no_grad()
def effective_rank(embeddings: Float[Tensor, "item dim"]) -> Float[Tensor, ""]:
    """Return exp of the entropy of the singular values, scaled to sum 1.

    From 1 (all on one line, as when they have collapsed) to min(item, dim); 0 where all are 0, NaN
    where any is no number.

    Paper: Roy and Vetterli, The effective rank: a measure of effective dimensionality, EUSIPCO
    2007.

    >>> effective_rank(torch.eye(3)), effective_rank(torch.ones(5, 3))
    (tensor(3.), tensor(1.))
    """
    if not embeddings.isfinite().all():
        return embeddings.new_full((), torch.nan)
    exact = embeddings.double()
    # The eigenvalues of the smaller of both products are the squares of the singular values.
    product = exact @ exact.T if len(exact) < exact.shape[1] else exact.T @ exact
    values = torch.linalg.eigvalsh(product)
    # Below the rounding of a squared float32 there is nothing but noise.
    values = torch.where(values > 1e-12 * values[-1], values, 0.0).clamp(min=0).sqrt()
    shares = values / values.sum()
    rank = torch.special.entr(shares).sum().exp()
    return torch.where(values.sum() > 0, rank, 0.0).to(embeddings.dtype)
