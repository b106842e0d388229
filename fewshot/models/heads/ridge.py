"""A linear pixel classifier fitted to the support in closed form (R2-D2, LR-D2)."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional

from fewshot.models.heads.base import Head, Support, register_head
from fewshot.models.prototypes import grid_weights


@dataclass(frozen=True)
class RidgeSettings:
    """How the classifier is fitted.

    Attributes:
        loss: "squared" against the targets 1 and -1, in one step; or "logistic", by Newton steps.
        regularisation: weight of the squared norm before training; the pixels' weights sum to 1.
        steps: of Newton's method.
        scale: what the classifier's outputs are multiplied with before training.
    """

    loss: Literal["squared", "logistic"] = "squared"
    regularisation: float = 0.01
    steps: int = 5
    scale: float = 10.0


@register_head("logistic", RidgeSettings("logistic", scale=1.0))
@register_head("ridge", RidgeSettings())
class RidgeHead(Head):
    """Fits one classifier a way, of foreground against background, and is trained through it.

    Foreground and background of a way have half the weight each, whatever their area. The
    background has the logit 0, each way the classifier's output times a learned scale plus a
    learned bias; the regularisation is learned too. The classifier's own bias is a further channel
    of value 1. A way without any pixel in the support gets the logit -20.

    Paper: Bertinetto et al., Meta-learning with differentiable closed-form solvers, ICLR 2019.
    """

    balanced = True

    def __init__(self, settings: RidgeSettings | None = None) -> None:
        super().__init__(settings or RidgeSettings())
        self.log_regularisation = nn.Parameter(torch.tensor(math.log(self.settings.regularisation)))
        self.scale = nn.Parameter(torch.tensor(self.settings.scale))
        self.bias = nn.Parameter(torch.zeros(()))

    def encode_support(
        self,
        support_features: Float[Tensor, "batch way shot channel rows columns"],
        support_masks: UInt8[Tensor, "batch way shot height width"],
    ) -> Support:
        """Fit a classifier to each way; see `Head`."""
        rows, columns = support_features.shape[-2:]
        inside = _shares(grid_weights(support_masks == 1, rows, columns).flatten(2))
        outside = _shares(grid_weights(support_masks == 0, rows, columns).flatten(2))
        points = support_features.permute(0, 1, 2, 4, 5, 3).flatten(2, 4)
        points = functional.pad(points, (0, 1), value=1.0)
        strength = self.log_regularisation.exp()
        if self.settings.loss == "squared":
            weight = fit_squared(points, inside, outside, strength)
        else:
            weight = fit_logistic(points, inside, outside, strength, self.settings.steps)
        return Support({"weight": weight, "present": inside.sum(dim=2) > 0})

    def logits(
        self, support: Support, query_features: Float[Tensor, "batch query channel rows columns"]
    ) -> Float[Tensor, "batch query label rows columns"]:
        """Apply the classifiers; see `Head`."""
        weight = support.tensors["weight"]
        linear = torch.einsum("bqcrw,bpc->bqprw", query_features, weight[..., :-1])
        linear = linear + weight[:, None, :, -1, None, None]
        present = support.tensors["present"][:, None, :, None, None]
        classes = torch.where(present, self.scale * linear + self.bias, -20.0)
        return torch.cat([torch.zeros_like(classes[:, :, :1]), classes], dim=2)


def fit_squared(
    points: Float[Tensor, "*set point channel"],
    inside: Float[Tensor, "*set point"],
    outside: Float[Tensor, "*set point"],
    strength: Float[Tensor, ""],
) -> Float[Tensor, "*set channel"]:
    """Minimise sum_i u_i (x_i·v - 1)² + sum_i o_i (x_i·v + 1)² + strength · |v|² in closed form.

    Args:
        points: x.
        inside, outside: u and o, weights of the two targets.
        strength: of the regularisation, > 0.
    """
    rooted = (inside + outside).sqrt()[..., None] * points
    target = ((inside - outside)[..., None, :] @ points)[..., 0, :]
    return solve_ridge(rooted, target, strength)


def fit_logistic(
    points: Float[Tensor, "*set point channel"],
    inside: Float[Tensor, "*set point"],
    outside: Float[Tensor, "*set point"],
    strength: Float[Tensor, ""],
    steps: int,
) -> Float[Tensor, "*set channel"]:
    """Minimise sum_i u_i softplus(-x_i·v) + o_i softplus(x_i·v) + strength · |v|² / 2.

    By Newton's method from zero (iteratively reweighted least squares); each step is a ridge
    regression.

    Args:
        points, inside, outside, strength: as in `fit_squared`.
        steps: a fixed number; about five are exact to float32 for features of unit length.
    """
    found = points.new_zeros(points.shape[:-2] + points.shape[-1:])
    rooted = (inside + outside).sqrt()
    for _ in range(steps):
        outputs = (points @ found[..., None])[..., 0]
        chance = outputs.clamp(-15, 15).sigmoid()
        slope = inside * (1 - chance) - outside * chance
        downhill = (slope[..., None, :] @ points)[..., 0, :] - strength * found
        curved = rooted * (chance * (1 - chance)).sqrt()
        found = found + solve_ridge(curved[..., None] * points, downhill, strength)
    return found


def solve_ridge(
    points: Float[Tensor, "*set point channel"],
    target: Float[Tensor, "*set channel"],
    strength: Float[Tensor, ""],
) -> Float[Tensor, "*set channel"]:
    """Solve (AᵀA + strength · I) v = target, in whichever space is smaller.

    With fewer points than channels by Woodbury's identity, v = (t - Aᵀ(AAᵀ + s I)⁻¹ A t) / s.
    """
    count, channels = points.shape[-2:]
    if count >= channels:
        factor = torch.linalg.cholesky(_raised(points.mT @ points, strength))
        return torch.cholesky_solve(target[..., None], factor)[..., 0]
    factor = torch.linalg.cholesky(_raised(points @ points.mT, strength))
    solved = torch.cholesky_solve(points @ target[..., None], factor)
    return (target - (points.mT @ solved)[..., 0]) / strength


def _raised(matrix: Tensor, strength: Tensor) -> Tensor:
    return matrix + strength * torch.eye(matrix.shape[-1], device=matrix.device)


def _shares(weights: Float[Tensor, "*set point"]) -> Float[Tensor, "*set point"]:
    """Let the weights sum to one half; to nothing where there are none."""
    total = weights.sum(dim=-1, keepdim=True)
    return weights / (2 * torch.where(total > 0, total, 1))
