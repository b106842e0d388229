"""Copy-mask: paste the support's mask on the query. What a method must beat to have learnt."""

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor
from torch.nn import functional


def copy_mask(
    support_masks: UInt8[Tensor, "*batch way shot height width"],
) -> UInt8[Tensor, "*batch height width"]:
    """Give each pixel the class that most shots mark there, background where none has a majority.

    Args:
        support_masks: 0, 1, 255 unknown, which counts as not marked.

    Returns:
        Labels, 0 background, 1..way; equal votes go to the first class.

    >>> masks = torch.tensor([[[[0, 1, 1]], [[0, 0, 1]], [[0, 1, 255]]]], dtype=torch.uint8)
    >>> copy_mask(masks)
    tensor([[0, 1, 1]], dtype=torch.uint8)
    """
    votes = (support_masks == 1).float().mean(dim=-3)
    share, winner = votes.max(dim=-3)
    return torch.where(share > 0.5, winner + 1, 0).to(torch.uint8)


def paste(mask: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Scale one label image to another image's size.

    Args:
        mask: uint8 [height width].
        shape: height and width of the query, in pixels.
    """
    if mask.shape == shape:
        return mask
    resized = functional.interpolate(
        torch.from_numpy(mask)[None, None], size=shape, mode="nearest-exact"
    )
    return resized[0, 0].numpy()
