"""Foreground alone: a class is what lies near enough to its prototype (ADNet, Q-Net)."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor, nn
from torch.nn import functional

from fewshot.models.heads.base import Formerly, Head, Support, register_head
from fewshot.models.prototypes import class_prototypes


@dataclass(frozen=True)
class ADNetSettings:
    """How near is near enough.

    Attributes:
        source: where the threshold T comes from: one "learned" number, or a learned linear
            function of the averaged features of each "query".
        start: T before training, in units of the anomaly score.
        scale: the anomaly score is -scale · cosine.
        steepness: of the step from foreground to background at T.
        coarse: share of a second, coarser scale in the logits, from 0 to 1.
        refinements: how often, at test, the prototype is drawn towards the query's surest pixels.
        confidence: probability of the foreground from which a pixel is sure.
        class_weights: of background and classes in the training loss.
        penalty: weight of T itself in the training loss.
    """

    source: Literal["learned", "query"] = "learned"
    start: float = -10.0
    scale: float = 20.0
    steepness: float = 0.5
    coarse: float = 0.0
    refinements: int = 0
    confidence: float = 0.9
    class_weights: tuple[float, float] = (0.1, 1.0)
    penalty: float = 0.05


@register_head("qnet", ADNetSettings("query", coarse=0.1, refinements=2))
@register_head("adnet", ADNetSettings(), formerly=Formerly("threshold", "ThresholdSettings"))
class ADNetHead(Head):
    """A pixel whose anomaly score is below the threshold belongs to the class.

    With s = -scale · cos(pixel, prototype), p = 1 - sigmoid(steepness · (s - T)). The logits are
    0 for the background and steepness · (T - s) for each way, so that of one way the softmax is
    exactly p. Several ways are detectors side by side: a pixel is background where every way's
    score exceeds the threshold, else it goes to the way that is farthest below it, and the odds of
    each way against the background stay p / (1 - p). A way without any pixel in the support gets
    the logit -2 · steepness · scale everywhere.

    The second scale is the fused feature map averaged over windows of two by two, with a threshold
    of its own: unlike the encoder's blocks of channels, that exists for every backbone and choice
    of strides. Logits of both scales are averaged, weighted with `coarse`.

    At test (in evaluation mode) the prototype can be refined: it moves half the way to the mean of
    the query's pixels of which p exceeds `confidence`. Q-Net takes gradient steps instead; the
    mean needs none, so that it works under inference mode and cannot diverge.

    Args:
        settings: see there.
        features: channels of the feature maps.

    Paper: Hansen et al., Anomaly detection-inspired few-shot medical image segmentation through
    self-supervision with supervoxels, Medical Image Analysis 2022 (ADNet; the defaults). Shen et
    al., Q-Net: query-informed few-shot medical image segmentation, 2022.
    """

    counts_features = True

    def __init__(self, settings: ADNetSettings | None = None, features: int = 1) -> None:
        super().__init__(settings or ADNetSettings())
        self.class_weights = self.settings.class_weights
        scales = 2 if self.settings.coarse else 1
        self.threshold = nn.Parameter(torch.full((scales,), self.settings.start))
        self.layer: nn.Linear | None = None
        if self.settings.source == "query":
            self.layer = nn.Linear(features, scales, bias=False)
            nn.init.zeros_(self.layer.weight)  # training starts at ADNet's single threshold

    def encode_support(
        self,
        support_features: Float[Tensor, "batch way shot channel rows columns"],
        support_masks: UInt8[Tensor, "batch way shot height width"],
    ) -> Support:
        """Make the foreground prototypes; see `Head`."""
        prototypes, present = class_prototypes(support_features, support_masks)
        return Support(
            {
                "prototypes": functional.normalize(prototypes[:, 1:], dim=2),
                "present": present[:, 1:],
            }
        )

    def logits(
        self, support: Support, query_features: Float[Tensor, "batch query channel rows columns"]
    ) -> Float[Tensor, "batch query label rows columns"]:
        """Hold every position against the threshold; see `Head`."""
        settings, present = self.settings, support.tensors["present"]
        thresholds = self.thresholds(query_features)
        unit = functional.normalize(query_features, dim=2)
        # Each query has prototypes of its own, since refinement moves them.
        prototypes = support.tensors["prototypes"][:, None].expand(-1, unit.shape[1], -1, -1)
        classes = self._logits(prototypes, query_features, thresholds)
        for _ in range(0 if self.training else settings.refinements):
            sure = (classes.sigmoid() > settings.confidence) & present[:, None, :, None, None]
            prototypes = refined(prototypes, unit, sure)
            classes = self._logits(prototypes, query_features, thresholds)
        lowest = -2 * settings.steepness * settings.scale
        classes = torch.where(present[:, None, :, None, None], classes, lowest)
        return torch.cat([torch.zeros_like(classes[:, :, :1]), classes], dim=2)

    def thresholds(
        self, query_features: Float[Tensor, "batch query channel rows columns"]
    ) -> Float[Tensor, "batch query scale"]:
        """Give T of each query, one a scale."""
        if self.layer is None:
            return self.threshold.expand(*query_features.shape[:2], -1)
        return self.threshold + self.layer(query_features.mean(dim=(-2, -1)))

    def auxiliary_loss(
        self, support: Support, query_features: Float[Tensor, "batch query channel rows columns"]
    ) -> Float[Tensor, ""]:
        """Penalise a high threshold, which takes in too much: T / 20 in ADNet; see `Head`."""
        return self.settings.penalty * self.thresholds(query_features).mean()

    def _logits(
        self,
        prototypes: Float[Tensor, "batch query way channel"],
        features: Float[Tensor, "batch query channel rows columns"],
        thresholds: Float[Tensor, "batch query scale"],
    ) -> Float[Tensor, "batch query way rows columns"]:
        settings = self.settings
        fine = foreground_logits(
            prototypes, features, thresholds[..., 0], settings.scale, settings.steepness
        )
        if not settings.coarse:
            return fine
        pooled = functional.avg_pool2d(features.flatten(0, 1), 2, ceil_mode=True)
        coarse = foreground_logits(
            prototypes,
            pooled.unflatten(0, features.shape[:2]),
            thresholds[..., 1],
            settings.scale,
            settings.steepness,
        )
        enlarged = functional.interpolate(
            coarse.flatten(0, 1), size=features.shape[-2:], mode="bilinear", align_corners=False
        ).unflatten(0, features.shape[:2])
        return torch.lerp(fine, enlarged, settings.coarse)


def foreground_logits(
    prototypes: Float[Tensor, "batch query way channel"],
    features: Float[Tensor, "batch query channel rows columns"],
    threshold: Float[Tensor, "batch query"],
    scale: float = 20.0,
    steepness: float = 0.5,
) -> Float[Tensor, "batch query way rows columns"]:
    """Give the log-odds of each way: steepness · (T + scale · cosine).

    Args:
        prototypes: of unit length.
        features: of any length.
        threshold: T of each query, on the scale of -scale · cosine.
        scale, steepness: see `ADNetSettings`.
    """
    cosine = torch.einsum("bqpc,bqcrw->bqprw", prototypes, functional.normalize(features, dim=2))
    return steepness * (threshold[:, :, None, None, None] + scale * cosine)


def refined(
    prototypes: Float[Tensor, "batch query way channel"],
    unit: Float[Tensor, "batch query channel rows columns"],
    sure: Bool[Tensor, "batch query way rows columns"],
) -> Float[Tensor, "batch query way channel"]:
    """Move prototypes half the way to the mean of the pixels that surely show their class.

    Args:
        prototypes: of unit length.
        unit: features of unit length.
        sure: the pixels to trust; where there are none, the prototype stays.
    """
    weights = sure.to(unit.dtype)
    total = torch.einsum("bqprw,bqcrw->bqpc", weights, unit)
    mean = functional.normalize(total, dim=3)
    moved = functional.normalize(prototypes + mean, dim=3)
    return torch.where(sure.any(dim=-1).any(dim=-1)[..., None], moved, prototypes)
