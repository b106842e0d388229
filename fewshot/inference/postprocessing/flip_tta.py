"""Symmetry: the mirror image of a query has the mirror image of its answer."""

from jaxtyping import Float, Shaped
from torch import Tensor


def mirrored(maps: Shaped[Tensor, "*set height width"]) -> Shaped[Tensor, "*set height width"]:
    """Exchange left and right of images, masks or feature maps.

    >>> import torch
    >>> mirrored(torch.tensor([[1, 2, 3]]))
    tensor([[3, 2, 1]])
    """
    return maps.flip(-1)


def flip_consistent(
    logits: Float[Tensor, "*set label rows columns"],
    of_mirrored: Float[Tensor, "*set label rows columns"],
) -> Float[Tensor, "*set label rows columns"]:
    """Average an answer with the answer to the mirrored query, mirrored back.

    The mean of probabilities, as in `fewshot.inference.ensemble`: where the two disagree, the surer
    one decides.

    Args:
        logits: of the query.
        of_mirrored: of the mirrored query, as they came out.

    Returns:
        Logarithms of the mean probabilities: logits again, whose softmax they are.
    """
    mean = (logits.softmax(dim=-3) + mirrored(of_mirrored).softmax(dim=-3)) / 2
    return mean.clamp(min=1e-12).log()
