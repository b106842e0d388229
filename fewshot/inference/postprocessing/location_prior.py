"""Proximity: a structure lies near the place where the support showed it."""

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

from fewshot.lazily import lazily

ndimage = lazily("scipy.ndimage")


def position_prior(
    masks: UInt8[Tensor, "way shot rows columns"], width: float = 0.1
) -> Float[Tensor, "label rows columns"]:
    """Say how far inside or outside of the support's masks each position lies.

    A shot says tanh(d / width), where d is the distance to the mask's border as a share of the
    longer side, positive inside. A class takes the mean of the shots that show it.

    Args:
        masks: at any resolution, in the square in which images are compared: 0, 1, 255 unknown.
        width: above 0.

    Returns:
        Values in -1..1, label 0 (the background) being 0 everywhere. A class that no shot shows,
        and a shot's unknown pixels, are 0: nothing is said about them.

    >>> position_prior(torch.tensor([[[[1, 1, 0, 0]]]], dtype=torch.uint8), 0.25)[1, 0]
    tensor([ 0.9051,  0.4621, -0.4621, -0.9051])
    """
    way, _, rows, columns = masks.shape
    prior = torch.zeros(way + 1, rows, columns)
    for label, shots in enumerate(masks.cpu().numpy(), start=1):
        shown = [_inside(mask, width) for mask in shots if (mask == 1).any()]
        if shown:
            prior[label] = torch.from_numpy(np.mean(shown, axis=0))
    return prior


def add_prior(
    logits: Float[Tensor, "*set label rows columns"],
    prior: Float[Tensor, "label height width"],
    weight: float,
) -> Float[Tensor, "*set label rows columns"]:
    """Add a weighted prior to logits, brought to their grid; weight 0 changes nothing."""
    if not weight:
        return logits
    small = prior.to(logits)
    if small.shape[-2:] != logits.shape[-2:]:
        small = functional.interpolate(
            small[None], size=logits.shape[-2:], mode="bilinear", align_corners=False
        )[0]
    return logits + weight * small


def _inside(mask: np.ndarray, width: float) -> np.ndarray:
    """Tanh of the signed distance of one mask, in widths; 0 where the mask is unknown."""
    inside = mask == 1
    # The border lies half an entry from the centres on both of its sides.
    deep = np.where(
        inside, ndimage.distance_transform_edt(np.pad(inside, 1, "edge"))[1:-1, 1:-1] - 0.5, 0
    )
    far = np.where(inside, 0, ndimage.distance_transform_edt(~inside) - 0.5)
    if inside.all():
        deep = np.full(mask.shape, np.inf)  # no border at all
    signed = np.tanh((deep - far) / (width * max(mask.shape)))
    return np.where(mask == 255, 0, signed).astype(np.float32)
