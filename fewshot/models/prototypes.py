"""Pure functions that turn features and masks into prototypes."""

from functools import lru_cache

import torch
from jaxtyping import Float, Shaped, UInt8
from torch import Tensor
from torch.nn import functional

EPSILON = 1e-5
"""Added to the area that a masked average divides by (Wang et al. 2019)."""


def grid_weights(
    mask: Shaped[Tensor, "*batch height width"], rows: int, columns: int
) -> Float[Tensor, "*batch rows columns"]:
    """Weight of each position of a feature grid: the part of a mask that it represents.

    Averaging features that were enlarged bilinearly to the mask's size equals weighting the
    small features with these weights (the transpose of the enlargement), which costs two small
    matrix products instead of a feature map at full size.

    Args:
        mask: weights or booleans at image resolution.
        rows, columns: the feature grid.

    Returns:
        float32 weights that sum to the mask's area.

    >>> grid_weights(torch.ones(4, 4), 2, 2)
    tensor([[4., 4.],
            [4., 4.]])
    """
    vertical = _enlargement(mask.shape[-2], rows).to(mask.device)
    horizontal = _enlargement(mask.shape[-1], columns).to(mask.device)
    return vertical.T @ mask.float() @ horizontal


@lru_cache(maxsize=64)
def _enlargement(size: int, entries: int) -> Tensor:
    """Matrix of bilinear interpolation from `entries` to `size` values [size, entries]."""
    identity = torch.eye(entries)[None]
    return functional.interpolate(identity, size=size, mode="linear", align_corners=False)[0].T


def masked_average(
    features: Float[Tensor, "*batch channel rows columns"],
    weights: Float[Tensor, "*batch rows columns"],
) -> tuple[Float[Tensor, "*batch channel"], Float[Tensor, "*batch"]]:
    """Average features over a mask (masked average pooling).

    Args:
        features: one map an item.
        weights: from `grid_weights`.

    Returns:
        The average, zero where the mask is empty; and the mask's area.

    Paper: Wang et al., PANet, ICCV 2019, equation 1 and 2.
    """
    area = weights.sum(dim=(-2, -1))
    total = torch.einsum("...crw,...rw->...c", features, weights)
    return total / (area[..., None] + EPSILON), area


def mean_of_present(
    vectors: Float[Tensor, "*batch item channel"], area: Float[Tensor, "*batch item"]
) -> tuple[Float[Tensor, "*batch channel"], Shaped[Tensor, "*batch"]]:
    """Average the vectors of the items whose mask is not empty.

    Returns:
        The mean, zero where no item is present; and whether any is.
    """
    present = (area > 0).to(vectors.dtype)
    count = present.sum(dim=-1)
    total = (vectors * present[..., None]).sum(dim=-2)
    return total / count.clamp(min=1)[..., None], count > 0


def class_prototypes(
    features: Float[Tensor, "batch way shot channel rows columns"],
    masks: UInt8[Tensor, "batch way shot height width"],
) -> tuple[Float[Tensor, "batch prototype channel"], Shaped[Tensor, "batch prototype"]]:
    """Make one prototype for the background and one a way; prototype = way + 1.

    A shot's prototype is its masked average; a class's is the mean over the shots that show it;
    the background's is the mean over all ways and shots. Pixels of 255 count nowhere.

    Returns:
        Prototypes, background first; and whether each could be made at all.

    Paper: Wang et al., PANet, ICCV 2019.
    """
    rows, columns = features.shape[-2:]
    inside, inside_area = masked_average(features, grid_weights(masks == 1, rows, columns))
    outside, outside_area = masked_average(features, grid_weights(masks == 0, rows, columns))
    foreground, present = mean_of_present(inside, inside_area)
    background, any_background = mean_of_present(outside.flatten(1, 2), outside_area.flatten(1, 2))
    return (
        torch.cat([background[:, None], foreground], dim=1),
        torch.cat([any_background[:, None], present], dim=1),
    )
