"""The images (or regions) that a sampler lists, embedded one after the other."""

import numpy as np
import torch

from episodes.sampling.pairs import PairSampler
from fewshot.models.embedding_network import EmbeddingNetwork

_CHUNK = 64


def embed_catalog(
    network: EmbeddingNetwork, lister: PairSampler, max_images: int = 10_000
) -> tuple[np.ndarray, list[str]]:
    """Embed the items of a sampler, untransformed, with the name of each.

    Args:
        network: makes the embeddings.
        lister: lists images, or their regions.
        max_images: of more, evenly spaced ones are embedded.

    Returns:
        Embeddings [image channel] in the catalog's order, and names of classes or subjects.
    """
    listed = lister.all_items()
    if len(listed) > max_images:
        listed = [
            listed[i] for i in np.linspace(0, len(listed) - 1, max_images).round().astype(int)
        ]
    parts = []
    for start in range(0, len(listed), _CHUNK):
        batch = lister.load_untransformed(listed[start : start + _CHUNK])
        parts.append(network.embed(batch.images, batch.masks).cpu())
    return torch.cat(parts).numpy(), [lister.names[label] for _, label in listed]
