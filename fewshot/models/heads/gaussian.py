"""Each label is a Gaussian in feature space: linear discriminants, or naive Bayes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from fewshot.models.heads.base import Head, Support, register_head
from fewshot.models.prototypes import grid_weights

Points = tuple[Float[Tensor, "batch _ channel"], Float[Tensor, "batch _"]]
"""Features of one label in each episode [batch point channel], and how much each point counts
[batch point]; labels differ in their number of points."""


@dataclass(frozen=True)
class GaussianSettings:
    """Which covariance, and how it is kept from being singular.

    Attributes:
        covariance: "shared" by all labels, so that the boundaries are linear (Mahalanobis
            distance, LDA), or "diagonal", one a label.
        shrinkage: share of the mean variance that replaces the estimate, from 0 to 1; None finds
            it by the formula of Ledoit and Wolf. Diagonal ones take None as 0.1.
        scale: what the log-densities are multiplied with to make logits; 1 is Bayes' rule, less
            allows for pixels that are not independent of their neighbours.
    """

    covariance: Literal["shared", "diagonal"] = "shared"
    shrinkage: float | None = None
    scale: float = 1.0


@register_head("gaussian-diagonal", GaussianSettings("diagonal"))
@register_head("gaussian", GaussianSettings())
class GaussianHead(Head):
    """Class-conditional Gaussians with equal priors, in closed form.

    All pixels of the support count, weighted with the share that their grid position stands for.
    A label without any pixel in the support scores 20 below the lowest of the others.

    Paper: the shared covariance is Fisher's (1936); its shrinkage Ledoit and Wolf, A
    well-conditioned estimator for large-dimensional covariance matrices, J. Multivariate Analysis
    2004; Mahalanobis distances in few-shot learning: Bateni et al., Improved few-shot visual
    classification, CVPR 2020.
    """

    def __init__(self, settings: GaussianSettings | None = None) -> None:
        super().__init__(settings or GaussianSettings())

    def encode_support(
        self,
        support_features: Float[Tensor, "batch way shot channel rows columns"],
        support_masks: UInt8[Tensor, "batch way shot height width"],
    ) -> Support:
        """Fit the Gaussians and keep their discriminants; see `Head`."""
        labels = label_points(support_features, support_masks)
        present = torch.stack([weights.sum(dim=1) > 0 for _, weights in labels], dim=1)
        means = torch.stack([_mean(*label) for label in labels], dim=1)
        fit = self._shared if self.settings.covariance == "shared" else self._diagonal
        return Support({"present": present, **fit(labels, means)})

    def logits(
        self, support: Support, query_features: Float[Tensor, "batch query channel rows columns"]
    ) -> Float[Tensor, "batch query label rows columns"]:
        """Evaluate the discriminants at every position; see `Head`."""
        known = support.tensors
        centred = query_features - known["centre"][:, None, :, None, None]
        logits = torch.einsum("bqcrw,blc->bqlrw", centred, known["weight"])
        if "curvature" in known:
            squares = torch.einsum("bqcrw,blc->bqlrw", centred.square(), known["curvature"])
            logits = logits - squares
        logits = logits + known["bias"][:, None, :, None, None]
        return below_others(self.settings.scale * logits, known["present"])

    def _shared(self, labels: Sequence[Points], means: Tensor) -> dict[str, Tensor]:
        """Give log N(x; m, C) up to what all labels share: (x - c)·C⁻¹d - d·C⁻¹d / 2, d = m - c."""
        covariance = shrunk_covariance(labels, means, self.settings.shrinkage)
        factor = torch.linalg.cholesky(_lifted(covariance))
        centre = means.mean(dim=1)
        away = means - centre[:, None]
        weight = torch.cholesky_solve(away.mT, factor).mT
        return {"centre": centre, "weight": weight, "bias": -(weight * away).sum(dim=2) / 2}

    def _diagonal(self, labels: Sequence[Points], means: Tensor) -> dict[str, Tensor]:
        """Give log N(x; m, v) = -sum (x - m)² / 2v - sum log v / 2, expanded around a centre."""
        share = 0.1 if self.settings.shrinkage is None else self.settings.shrinkage
        variances = []
        for (points, weights), mean in zip(labels, means.unbind(1), strict=True):
            own = _mean((points - mean[:, None]).square(), weights)
            variances.append(torch.lerp(own, own.mean(dim=1, keepdim=True), share))
        variance = torch.stack(variances, dim=1)
        # A label of one pixel has no spread of its own: it gets a hundredth of the others'.
        common = variance.mean(dim=(1, 2), keepdim=True)
        variance = variance + 0.01 * common + _LEAST
        centre = means.mean(dim=1)
        away = means - centre[:, None]
        return {
            "centre": centre,
            "weight": away / variance,
            "curvature": 0.5 / variance,
            "bias": -0.5 * (away.square() / variance + variance.log()).sum(dim=2),
        }


_LEAST = 1e-6
"""Least variance; features of unit length with 1000 channels vary by about 1e-3 in each."""


def label_points(
    features: Float[Tensor, "batch way shot channel rows columns"],
    masks: UInt8[Tensor, "batch way shot height width"],
) -> list[Points]:
    """List the positions of each label with their weights: the background first, then the ways."""
    rows, columns = features.shape[-2:]
    points = features.permute(0, 1, 2, 4, 5, 3).flatten(2, 4)
    inside = grid_weights(masks == 1, rows, columns).flatten(2)
    outside = grid_weights(masks == 0, rows, columns).flatten(1)
    ways = zip(points.unbind(1), inside.unbind(1), strict=True)
    return [(points.flatten(1, 2), outside), *ways]


def shrunk_covariance(
    labels: Sequence[Points],
    means: Float[Tensor, "batch label channel"],
    shrinkage: float | None = None,
) -> Float[Tensor, "batch channel channel"]:
    """Pool the covariance within labels, and shrink it towards a multiple of the identity.

    Args:
        labels: points and weights of each label.
        means: of each label.
        shrinkage: a share s from 0 to 1; None for that of Ledoit and Wolf, with the effective
            number of points (sum w)² / sum w² in place of their number.

    Returns:
        (1 - s) S + s · trace(S) / channels · I; zero where no label has a point.
    """
    channels = means.shape[2]
    scatter = fourth = mass = squares = means.new_zeros(())
    for (points, weights), mean in zip(labels, means.unbind(1), strict=True):
        residual = points - mean[:, None]
        scatter = scatter + (residual * weights[..., None]).mT @ residual
        fourth = fourth + (weights * residual.square().sum(dim=2).square()).sum(dim=1)
        mass, squares = mass + weights.sum(dim=1), squares + weights.square().sum(dim=1)
    divisor = torch.where(mass > 0, mass, 1)
    pooled = scatter / divisor[:, None, None]
    variance = pooled.diagonal(dim1=1, dim2=2).mean(dim=1)
    target = variance[:, None, None] * torch.eye(channels, device=means.device, dtype=means.dtype)
    if shrinkage is not None:
        return torch.lerp(pooled, target, shrinkage)
    distance = (pooled - target).square().sum(dim=(1, 2))
    # Mean squared distance of a point's outer product to S, over the number of points.
    error = (fourth / divisor - pooled.square().sum(dim=(1, 2))) * squares / divisor.square()
    share = torch.where(distance > 0, error / torch.where(distance > 0, distance, 1), 1)
    return torch.lerp(pooled, target, share.clamp(0, 1)[:, None, None])


def below_others(
    logits: Float[Tensor, "batch query label rows columns"],
    present: Bool[Tensor, "batch label"],
    margin: float = 20.0,
) -> Float[Tensor, "batch query label rows columns"]:
    """Put the labels that the support does not show below all others.

    Args:
        logits: of any range.
        present: which labels the support shows.
        margin: how far below the lowest of the others.

    Returns:
        The logits; with no label present at all, 0 for the background and -margin for the ways.
    """
    shown = present[:, None, :, None, None]
    lowest = torch.where(shown, logits.detach(), torch.inf).amin(dim=2, keepdim=True)
    filled = torch.where(shown, logits, lowest - margin)
    nothing = torch.full_like(logits, -margin)
    nothing[:, :, 0] = 0.0
    return torch.where(shown.any(dim=2, keepdim=True), filled, nothing)


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    mass = weights.sum(dim=1, keepdim=True)
    return (weights[:, None] @ values)[:, 0] / torch.where(mass > 0, mass, 1)


def _lifted(covariance: Tensor) -> Tensor:
    """Raise the variances by a thousandth of their mean: Cholesky needs more than rounding."""
    variance = covariance.diagonal(dim1=1, dim2=2).mean(dim=1)
    lift = (1e-3 * variance + _LEAST)[:, None, None]
    return covariance + lift * torch.eye(covariance.shape[1], device=covariance.device)
