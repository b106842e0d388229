"""How strongly neighbouring pixels belong together: little across an edge of the image."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


class Links(NamedTuple):
    """Weights in 0..1 of the links between neighbours of a stack of slices.

    Attributes:
        down: to the pixel below.
        right: to the pixel to the right.
        across: to the same pixel of the next slice.
    """

    down: Float[Tensor, "slice height-1 width"]
    right: Float[Tensor, "slice height width-1"]
    across: Float[Tensor, "slice-1 height width"]


def edge_weights(
    images: Float[Tensor, "slice channel height width"], contrast: float = 1.0
) -> Links:
    """Weigh the links between neighbours by the contrast between them.

    w_ij = exp(-contrast |I_i - I_j|² / 2 m), m being the mean of |I_i - I_j|² over all links within
    the slice, and over all links across slices for those: contrast is judged by what is usual in
    this image, so that its range plays no part.

    Args:
        images: a stack of slices, any range.
        contrast: how much contrast counts; 0 makes all weights 1.

    Returns:
        The weights, all 1 for an even image.

    >>> links = edge_weights(torch.tensor([[[[0.0, 0.0, 1.0]]]]))
    >>> links.right
    tensor([[[1.0000, 0.3679]]])

    Paper: Rother et al., GrabCut, SIGGRAPH 2004, equations 4 and 5.
    """
    down, right, across = (images.diff(dim=dim).square().sum(dim=1) for dim in (2, 3, 0))
    within = torch.cat([down.flatten(1), right.flatten(1)], dim=1)
    mean = within.sum(dim=1).div(max(1, within.shape[1]))[:, None, None]
    between = across.sum() / max(1, across.numel())
    return Links(
        down=_weigh(down, mean, contrast),
        right=_weigh(right, mean, contrast),
        across=_weigh(across, between, contrast),
    )


def _weigh(squares: Tensor, usual: Tensor, contrast: float) -> Tensor:
    """Where nothing differs, `usual` is 0 and so are all squares."""
    return torch.exp(-contrast * squares / (2 * usual.clamp(min=torch.finfo(usual.dtype).tiny)))
