"""Similarity: positions of the query that look alike belong to the same thing."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

_ROWS = 2048  # positions whose affinities to all others are held at once


def smooth_by_similarity(
    probabilities: Float[Tensor, "label rows columns"],
    features: Float[Tensor, "channel rows columns"],
    weight: float,
    temperature: float = 0.05,
) -> Float[Tensor, "label rows columns"]:
    """Let every position take over the answers of the positions that look like it.

    p'_i = (1 - weight) p_i + weight sum_j A_ij p_j, where A_ij is the softmax over j of
    cosine(f_i, f_j) / temperature: attention of the query to itself, with the answers as values.

    Args:
        probabilities: of each label, summing to 1.
        features: of the query on the same grid; scaled to unit length here.
        weight: share that is taken over, 0 to 1; 0 changes nothing.
        temperature: above 0; the smaller, the more alike positions have to be.

    Returns:
        Probabilities that sum to 1.

    >>> p = torch.tensor([[[0.9, 0.5, 0.1]], [[0.1, 0.5, 0.9]]])
    >>> f = torch.tensor([[[1.0, 1.0, 0.0]], [[0.0, 0.0, 1.0]]])  # the second is like the first
    >>> smooth_by_similarity(p, f, 1.0)[1, 0]
    tensor([0.3000, 0.3000, 0.9000])

    Paper: Vaswani et al., Attention is all you need, NeurIPS 2017 (the operation); Wang et al.,
    Non-local neural networks, CVPR 2018 (within one image).
    """
    if not weight:
        return probabilities
    unit = functional.normalize(features.flatten(1).float(), dim=0)
    values = probabilities.flatten(1)
    parts = [
        values @ (chunk.T @ unit / temperature).softmax(dim=1).T
        for chunk in unit.split(_ROWS, dim=1)
    ]
    taken = torch.cat(parts, dim=1).reshape(probabilities.shape)
    return (1 - weight) * probabilities + weight * taken
