"""Common fate: what neighbouring slices or frames agree on is more likely true."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

_REACH = 4.0  # standard deviations after which a slice has no say


def depth_weights(
    depth: int,
    sigma: float,
    descriptors: Float[Tensor, "depth channel"] | None = None,
    temperature: float = 0.0,
) -> Float[Tensor, "depth other"]:
    """Weights of the other slices for each slice.

    w_ij is proportional to exp(-(i - j)² / 2 sigma²), times exp((cosine(g_i, g_j) - 1) /
    temperature) where slices have descriptors; each row sums to 1, also at the ends of the stack.

    Args:
        depth: how many slices.
        sigma: in slices; 0 gives the identity.
        descriptors: one vector a slice, e.g. its mean feature.
        temperature: above 0 where likeness shall count; 0 leaves the descriptors out.

    >>> depth_weights(3, 1.0).round(decimals=2)
    tensor([[0.5700, 0.3500, 0.0800],
            [0.2700, 0.4500, 0.2700],
            [0.0800, 0.3500, 0.5700]])
    """
    if not sigma:
        return torch.eye(depth)
    place = torch.arange(depth)
    apart = (place[:, None] - place[None]).float()
    weights = torch.exp(-(apart**2) / (2 * sigma**2))
    weights = torch.where(apart.abs() <= max(1.0, _REACH * sigma), weights, 0.0)
    if descriptors is not None and temperature:
        unit = functional.normalize(descriptors.float().cpu(), dim=1)
        weights = weights * torch.exp((unit @ unit.T - 1) / temperature)
    return weights / weights.sum(dim=1, keepdim=True)


def smooth_depth(
    logits: Float[Tensor, "depth label rows columns"], weights: Float[Tensor, "depth other"]
) -> Float[Tensor, "depth label rows columns"]:
    """Average log-odds along the depth.

    Logits are only defined up to a constant, so each slice's are centred over the labels first:
    a slice with larger numbers but the same odds has no larger say.

    Args:
        logits: of a stack of slices, in order.
        weights: from `depth_weights`.

    Returns:
        Logits; of a single slice the same ones.
    """
    if len(logits) == 1:
        return logits
    centred = logits - logits.mean(dim=1, keepdim=True)
    return torch.tensordot(weights.to(logits), centred, dims=1)
