"""The head of the first Siamese network for one-shot recognition: a weighted L1 distance."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


def weighted_l1(
    first: Float[Tensor, "anchor dim"],
    second: Float[Tensor, "reference dim"],
    weights: Float[Tensor, "dim"],
) -> Float[Tensor, "anchor reference"]:
    """Sum of weights times absolute differences; weights may be negative.

    As w |a - b| = |w a - w b| for w >= 0, two plain L1 distances give it, one of the positive and
    one of the negative weights, without a tensor of all differences [anchor reference dim].

    >>> pair = torch.tensor([[1.0, 1.0]]), torch.tensor([[3.0, 0.0]])
    >>> weighted_l1(*pair, torch.tensor([1.0, -5.0]))
    tensor([[-3.]])
    """
    plus, minus = weights.clamp(min=0), (-weights).clamp(min=0)
    added = torch.cdist(first * plus, second * plus, p=1.0)
    return added - torch.cdist(first * minus, second * minus, p=1.0)


class WeightedL1(nn.Module):
    """Logit that two images are of one class: bias - sum_d w_d |s(a_d) - s(b_d)|.

    s is the sigmoid, as published; the sign makes the first weights, all positive, a distance.
    The sigmoid of the logit is the probability.

    Args:
        dim: length of the embeddings.

    Paper: Koch, Zemel and Salakhutdinov, Siamese neural networks for one-shot image recognition,
    ICML deep learning workshop 2015, section 3.1.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.full((dim,), 10.0 / dim))
        self.bias = nn.Parameter(torch.ones(()))

    def forward(
        self, first: Float[Tensor, "anchor dim"], second: Float[Tensor, "reference dim"]
    ) -> Float[Tensor, "anchor reference"]:
        """Return logits."""
        return self.bias - weighted_l1(first.sigmoid(), second.sigmoid(), self.weights)
