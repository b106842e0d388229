"""A position's row and column beside its features."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


def append_coordinates(
    features: Float[Tensor, "*set channel rows columns"], weight: float
) -> Float[Tensor, "*set more rows columns"]:
    """Append two channels with the row and column of each position, -1 to 1, weighted.

    Features are scaled to unit length first, so that the weight means the same for every encoder:
    two positions half an image apart differ by `weight` in length.

    Args:
        features: feature maps.
        weight: of the coordinates; 0 changes nothing.

    Returns:
        Features with two more channels, row before column; the same ones for weight 0.

    >>> append_coordinates(torch.ones(1, 1, 2), 0.5)
    tensor([[[ 1.0000,  1.0000]],
    <BLANKLINE>
            [[ 0.0000,  0.0000]],
    <BLANKLINE>
            [[-0.2500,  0.2500]]])
    """
    if not weight:
        return features
    rows, columns = features.shape[-2:]
    places = torch.stack(torch.meshgrid(_centres(rows), _centres(columns), indexing="ij"))
    shape = (*features.shape[:-3], 2, rows, columns)
    where = (weight * places).to(features).expand(shape)
    return torch.cat([functional.normalize(features, dim=-3), where], dim=-3)


def _centres(entries: int) -> Tensor:
    return (2 * torch.arange(entries) + 1) / entries - 1
