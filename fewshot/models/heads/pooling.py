"""Features on a coarser grid, compared by direction alone."""

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


def pooled_unit(
    features: Float[Tensor, "*set channel rows columns"], grid: tuple[int, int]
) -> Float[Tensor, "*set channel less_rows less_columns"]:
    """Average features over the cells of a coarser grid, then make them of unit length.

    Features weighted with a mask give the direction of the foreground in each cell, however
    little of it there is; cells without any give zeros.
    """
    pooled = functional.adaptive_avg_pool2d(features.flatten(0, -4), grid)
    return functional.normalize(pooled, dim=1).unflatten(0, features.shape[:-3])
