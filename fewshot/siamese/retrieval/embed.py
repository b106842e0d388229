"""Whole images as vectors, by whatever model is at hand: for matching pictures and slices."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from episodes.catalog.letterbox import Letterbox, intensity_range, to_tensor
from episodes.errors import DataError, ModelError
from episodes.sampling.episode import to_channels
from fewshot.inference.inputs import ImageLike, ImageStack, image_planes
from fewshot.models.checkpoint import SETTINGS as SEGMENTER
from fewshot.models.checkpoint import load_network
from fewshot.models.embedding_network import SETTINGS as EMBEDDING
from fewshot.models.embedding_network import EmbeddingNetwork, EmbeddingSettings, load_embedding

_CHUNK = 16  # planes embedded at once


def load_embedder(folder: Path | None) -> EmbeddingNetwork:
    """Load what makes embeddings.

    Args:
        folder: an embedding network; or a segmenter, of which the encoder's averaged features are
            taken; None for those of the installed ImageNet encoder.

    Raises:
        ModelError: the folder holds neither, or it is damaged.
    """
    if folder is None:
        return EmbeddingNetwork(EmbeddingSettings(dim=0)).eval()
    if (folder / EMBEDDING).exists():
        return load_embedding(folder)
    if not (folder / SEGMENTER).exists():
        raise ModelError(
            f"{folder} holds neither {EMBEDDING} nor {SEGMENTER}; name a folder of a trained "
            "embedding network or segmenter"
        )
    trained = load_network(folder)
    found = trained.settings
    encoder = replace(found.encoder, weights="none")  # they come from the segmenter
    network = EmbeddingNetwork(EmbeddingSettings(encoder, dim=0, size=found.size))
    network.encoder.load_state_dict(trained.encoder.state_dict())
    return network.eval()


def embed_planes(network: EmbeddingNetwork, picture: ImageStack) -> np.ndarray:
    """Embed every plane of an image, stack or volume: float32 [plane dim].

    The planes share one intensity range, and each is fitted into the network's square.
    """
    limits = intensity_range(picture.pixels)
    size = network.settings.size
    frame = Letterbox(picture.pixels.shape[1], picture.pixels.shape[2], size)
    rows = []
    for start in range(0, len(picture.pixels), _CHUNK):
        planes = picture.pixels[start : start + _CHUNK]
        images = [to_channels(frame.fit_image(to_tensor(p, limits)), 3) for p in planes]
        rows.append(network.embed(torch.stack(images)).cpu().numpy())
    return np.concatenate(rows)


def embed_image(network: EmbeddingNetwork, image: ImageLike) -> np.ndarray:
    """Embed one picture: float32 [dim].

    Raises:
        DataError: it cannot be read, or has several planes.
    """
    picture = image_planes(image)
    if len(picture.pixels) > 1:
        raise DataError(
            f"{picture.name} has {len(picture.pixels)} planes; expected a picture of one. Save the "
            "plane you mean as a picture"
        )
    return embed_planes(network, picture)[0]
