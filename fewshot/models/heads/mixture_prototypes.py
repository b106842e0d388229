"""Several prototypes a class, from clustering its pixels: k-means or a mixture model (PMMs)."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor
from torch.nn import functional

from fewshot.models.heads.alpnet import compare, soft_similarity
from fewshot.models.heads.base import Formerly, Head, Support, register_head
from fewshot.models.prototypes import grid_weights


@dataclass(frozen=True)
class MixturePrototypesSettings:
    """How pixels are clustered and compared.

    Attributes:
        classes: clusters of each class.
        background: clusters of the background, which holds more kinds of things.
        assignment: "soft" for a mixture of von Mises-Fisher distributions of equal shares, fitted
            by expectation-maximisation; "hard" for spherical k-means, from the same start.
        concentration: of each of the mixture's parts; 20 in the paper.
        iterations: of either.
        score: "mean" for the softmax-weighted mean of the similarities, "max" for the best.
        scale: what cosines are multiplied with to make logits.
    """

    classes: int = 5
    background: int = 10
    assignment: Literal["hard", "soft"] = "soft"
    concentration: float = 20.0
    iterations: int = 10
    score: Literal["mean", "max"] = "mean"
    scale: float = 20.0


@register_head("kmeans-prototypes", MixturePrototypesSettings(assignment="hard"))
@register_head(
    "mixture-prototypes",
    MixturePrototypesSettings(),
    formerly=Formerly("clustered", "ClusteredSettings"),
)
class MixturePrototypesHead(Head):
    """Clusters of each class's support pixels as prototypes; the best-fitting ones decide.

    All shots of a class are clustered together, and so is the background of all ways. The
    assignment of pixels to clusters is taken as given by the gradient: it flows through the last
    averaging. A label without any pixel in the support scores -scale.

    Paper: Yang et al., Prototype mixture models for few-shot semantic segmentation, ECCV 2020.
    """

    def __init__(self, settings: MixturePrototypesSettings | None = None) -> None:
        super().__init__(settings or MixturePrototypesSettings())

    def encode_support(
        self,
        support_features: Float[Tensor, "batch way shot channel rows columns"],
        support_masks: UInt8[Tensor, "batch way shot height width"],
    ) -> Support:
        """Cluster the support's pixels; see `Head`."""
        batch, way, _, channels, rows, columns = support_features.shape
        points = support_features.permute(0, 1, 2, 4, 5, 3)  # channels last, then one list
        inside = grid_weights(support_masks == 1, rows, columns)
        outside = grid_weights(support_masks == 0, rows, columns)
        classes, known = self._cluster(
            points.reshape(batch * way, -1, channels),
            inside.reshape(batch * way, -1),
            self.settings.classes,
        )
        others, seen = self._cluster(
            points.reshape(batch, -1, channels),
            outside.reshape(batch, -1),
            self.settings.background,
        )
        tensors = {"background": others, "background_valid": seen}
        tensors["classes"] = classes.unflatten(0, (batch, way))
        tensors["classes_valid"] = known.unflatten(0, (batch, way))
        return Support(tensors)

    def logits(
        self, support: Support, query_features: Float[Tensor, "batch query channel rows columns"]
    ) -> Float[Tensor, "batch query label rows columns"]:
        """Compare every position with every cluster's centre; see `Head`."""
        unit = functional.normalize(query_features, dim=2)
        known = support.tensors
        sets = [(known["background"], known["background_valid"])]
        sets += zip(known["classes"].unbind(1), known["classes_valid"].unbind(1), strict=True)
        return torch.stack([self._label_score(unit, *one) for one in sets], dim=2)

    def _label_score(
        self,
        unit: Float[Tensor, "batch query channel rows columns"],
        centres: Float[Tensor, "batch cluster channel"],
        valid: Bool[Tensor, "batch cluster"],
    ) -> Float[Tensor, "batch query rows columns"]:
        def score(similarity: Tensor) -> Tensor:
            if self.settings.score == "mean":
                return soft_similarity(similarity, valid, self.settings.scale)
            counted = torch.where(valid[:, None, None, None], similarity, -1.0)
            return self.settings.scale * counted.amax(dim=-1)

        return compare(unit, centres, score)

    def _cluster(
        self,
        points: Float[Tensor, "set point channel"],
        weights: Float[Tensor, "set point"],
        clusters: int,
    ) -> tuple[Float[Tensor, "set cluster channel"], Bool[Tensor, "set cluster"]]:
        settings = self.settings
        unit = functional.normalize(points, dim=2)
        concentration = settings.concentration if settings.assignment == "soft" else None
        return cluster(unit, weights, clusters, settings.iterations, concentration)


def cluster(
    unit: Float[Tensor, "set point channel"],
    weights: Float[Tensor, "set point"],
    clusters: int,
    iterations: int,
    concentration: float | None = None,
) -> tuple[Float[Tensor, "set cluster channel"], Bool[Tensor, "set cluster"]]:
    """Cluster points on the sphere; sets are independent of each other.

    Args:
        unit: points of unit length.
        weights: how much each counts, >= 0; points of weight 0 are as if absent.
        clusters: how many at most.
        iterations: of assigning and averaging.
        concentration: of von Mises-Fisher distributions with equal shares, for a soft assignment;
            None for k-means, in which the nearest centre takes all.

    Returns:
        Centres of unit length, and which of them have any point. A cluster that loses its last
        point keeps its centre, and may win points again; with fewer different points than
        clusters, some stay empty.
    """
    with torch.no_grad():
        first = farthest_points(unit, weights, clusters)
        centres = torch.take_along_dim(unit, first[..., None], dim=1)
        for _ in range(iterations):
            shares = _assign(unit, centres, concentration) * weights[..., None]
            centres = _average(unit, shares, centres)
        shares = _assign(unit, centres, concentration) * weights[..., None]
    # Centres and shares no longer change much: one more average carries the gradient.
    return _average(unit, shares, centres), shares.sum(dim=1) > 0


def farthest_points(
    unit: Float[Tensor, "set point channel"], weights: Float[Tensor, "set point"], count: int
) -> Int64[Tensor, "set count"]:
    """Choose points far from each other: the nearest to the mean, then ever the farthest.

    Only points of at least half the largest weight of their set are chosen: at the rim of a
    mask, features are mixtures.

    Args:
        unit: points of unit length.
        weights: >= 0.
        count: how many; a point comes again where there are fewer different ones.

    Returns:
        Their numbers.
    """
    barred = weights < 0.5 * weights.amax(dim=1, keepdim=True)
    mean = torch.einsum("spc,sp->sc", unit, weights)
    likeness = torch.einsum("spc,sc->sp", unit, mean).masked_fill(barred, -torch.inf)
    chosen = [likeness.argmax(dim=1)]
    nearest = torch.full_like(weights, -torch.inf)
    for _ in range(count - 1):
        latest = torch.take_along_dim(unit, chosen[-1][:, None, None], dim=1)[:, 0]
        nearest = torch.maximum(nearest, torch.einsum("spc,sc->sp", unit, latest))
        chosen.append(nearest.masked_fill(barred, torch.inf).argmin(dim=1))
    return torch.stack(chosen, dim=1)


def _assign(unit: Tensor, centres: Tensor, concentration: float | None) -> Tensor:
    similarity = unit @ centres.mT
    if concentration is not None:
        return (concentration * similarity).softmax(dim=2)
    return functional.one_hot(similarity.argmax(dim=2), centres.shape[1]).to(unit.dtype)


def _average(unit: Tensor, shares: Tensor, before: Tensor) -> Tensor:
    total = shares.mT @ unit
    filled = (shares.sum(dim=1) > 0)[..., None]
    return torch.where(filled, functional.normalize(total, dim=2), before)
