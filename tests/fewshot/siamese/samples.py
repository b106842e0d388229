"""Batches and slow references that the tests of mining and losses share."""

import itertools

import torch
from torch.nn import functional

from fewshot.siamese.distances import euclidean_distances
from fewshot.siamese.pair_masks import make_pair_masks


def batch(labels, dim=4, seed=0, dtype=torch.float64):
    """Embeddings of unit length and their labels."""
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(len(labels), dim, generator=generator, dtype=dtype)
    return functional.normalize(points, dim=1), torch.tensor(labels)


BATCHES = {
    "balanced": [0, 0, 0, 1, 1, 1, 2, 2, 2],
    "uneven": [5, 5, 7, 5, 9, 7, 5, 5, 11, 5],
    "two classes": [0] * 16 + [1] * 15,
    "with unknown": [0, 0, -1, 1, 1, -1, 2],
}


def measured(name, seed=0):
    embeddings, labels = batch(BATCHES[name], seed=seed)
    return embeddings, labels, euclidean_distances(embeddings, embeddings), make_pair_masks(labels)


def triplets(labels):
    """Every (anchor, positive, negative), by three loops."""
    values = labels.tolist()
    for a, p, n in itertools.product(range(len(values)), repeat=3):
        if a != p and values[a] == values[p] != values[n] and -1 not in (values[a], values[n]):
            yield a, p, n
