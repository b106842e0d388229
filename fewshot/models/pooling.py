"""From a feature map to one vector: the average or the generalised mean, of all or of a region."""

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from fewshot.models.prototypes import grid_weights

FLOOR = 1e-6
"""Lower bound of features in the generalised mean, which needs positive values."""


def region_weights(
    masks: Shaped[Tensor, "batch height width"] | None,
    features: Float[Tensor, "batch channel rows columns"],
) -> Float[Tensor, "batch rows columns"]:
    """Weight of each position of a feature grid.

    Args:
        masks: 1 inside, anything else (0 background, 255 unknown) outside; None for everything.
        features: of that grid.

    Returns:
        Weights that sum to 1, or to 0 where the mask is empty.
    """
    rows, columns = features.shape[-2:]
    if masks is None:
        return features.new_full((len(features), rows, columns), 1.0 / (rows * columns))
    weights = grid_weights(masks.to(features.device) == 1, rows, columns)
    # A mask that is not empty has an area of at least one pixel.
    return weights / weights.sum(dim=(-2, -1), keepdim=True).clamp(min=1.0)


def average_pool(
    features: Float[Tensor, "batch channel rows columns"],
    weights: Float[Tensor, "batch rows columns"],
) -> Float[Tensor, "batch channel"]:
    """Take the weighted mean over positions; 0 where all weights are 0.

    >>> average_pool(torch.tensor([[[[1.0, 3.0]]]]), torch.tensor([[[0.5, 0.5]]]))
    tensor([[2.]])
    """
    return torch.einsum("bcrw,brw->bc", features, weights)


def generalised_mean_pool(
    features: Float[Tensor, "batch channel rows columns"],
    weights: Float[Tensor, "batch rows columns"],
    power: float | Float[Tensor, ""],
) -> Float[Tensor, "batch channel"]:
    """Take the generalised mean over positions, (sum w x^p)^(1/p); 0 where all weights are 0.

    Power 1 is the average, infinity the maximum. Features below `FLOOR` are raised to it, so of
    features of both signs only the positive parts count. The sum is taken over logarithms:
    small features to a high power would underflow.

    Args:
        features: one map an item.
        weights: sum to 1, or to 0.
        power: above 0; may be learned.

    Returns:
        float32, at least 0.

    Paper: Radenovic et al., Fine-tuning CNN image retrieval with no human annotation, TPAMI 2019.

    >>> generalised_mean_pool(torch.tensor([[[[3.0, 4.0]]]]), torch.tensor([[[0.5, 0.5]]]), 2.0)
    tensor([[3.5355]])
    """
    present = weights.flatten(1).sum(dim=1) > 0
    # Where the mask is empty any weights will do: the result is replaced by 0.
    shares = torch.where(present[:, None], weights.flatten(1), torch.ones_like(weights.flatten(1)))
    logarithms = features.flatten(2).clamp(min=FLOOR).log()
    total = torch.logsumexp(power * logarithms + shares.log()[:, None], dim=2)
    return torch.where(present[:, None], (total / power).exp(), 0.0)
