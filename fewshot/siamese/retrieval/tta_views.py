"""Several slightly changed versions of a drawing, each embedded."""

import torch
from jaxtyping import Float
from torch import Tensor

from episodes.errors import ModelError
from fewshot.models.embedding_network import EmbeddingNetwork
from fewshot.numerics import unit_length

STRENGTH = 0.5  # of the changes made in training


def embed_with_tta(
    network: EmbeddingNetwork,
    images: Float[Tensor, "batch channel height width"],
    views: int = 4,
    *,
    change: float = STRENGTH,
    seed: int = 0,
) -> Float[Tensor, "batch view dim"]:
    """Embed a drawing as it is, and changed versions of it.

    Args:
        network: of drawings, if there is more than one view.
        images: in [0, 1].
        views: how many; the first is the drawing as it is.
        change: how far the others are changed, 0 to 1.
        seed: of the changes; torch's own state of randomness stays as it was.

    Returns:
        Embeddings of unit length.

    Raises:
        ModelError: views below 1, or several of a network that does not cut out drawings.
    """
    if views < 1 or (views > 1 and network.ink is None):
        raise ModelError(
            f"views is {views}; expected 1, or more with a network of drawings (--ink)"
        )
    found = [unit_length(network.embed(images))]
    devices = [network.device] if network.device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        found += [unit_length(network.embed(images, change=change)) for _ in range(views - 1)]
    return torch.stack(found, dim=1)
