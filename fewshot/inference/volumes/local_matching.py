"""Segment a volume by the support's positions near its own: local prototypes that know their place.

Once two volumes lie over each other (`fewshot.inference.volumes.registration`), a query position
need not look like any background at all, only less like the organ than like what lies around the
same place of the support. Slices without the organ take part: they say where it ends.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

_LEAST = 1e-30  # sum of weights below which nothing speaks


@dataclass(frozen=True)
class LocalMatchingSettings:
    """Which positions of the support speak, and how loudly.

    Attributes:
        scale: what cosines are multiplied with, as in `fewshot.models.heads.alpnet`.
        proximity: what a squared slice or entry of the grid takes from a cosine.
        slices: how many slices around a place speak.
        margin: how far from where the registration put the class it is sought, in slices and in
            entries of the grid.
        purity: share of an entry that must be of one label for it to speak.
    """

    scale: float = 20.0
    proximity: float = 0.02
    slices: float = 2.0
    margin: tuple[int, int] = (3, 4)
    purity: float = 0.95


def local_matching_logits(
    query: Float[Tensor, "depth channel rows columns"],
    support: Float[Tensor, "annotated channel support_rows support_columns"],
    coverage: Float[Tensor, "annotated support_rows support_columns"],
    correspondences: Float[Tensor, "depth 3 rows columns"],
    search_region: Bool[Tensor, "depth rows columns"],
    settings: LocalMatchingSettings | None = None,
    slice_indices: Sequence[int] | None = None,
) -> Float[Tensor, "depth rows columns"]:
    """Say how much more like the class each position is than like what surrounds it.

    As in `fewshot.models.heads.alpnet`, a label's score is the mean of its prototypes' likenesses
    d_i = scale · (cosine_i - proximity · distance_i²), weighted with their softmax. Prototypes are
    the support's positions near the query's place.

    Args:
        query, support: features.
        coverage: which share of every entry the class covers, 0 to 1.
        correspondences: of the query's positions in the support, from `register`.
        search_region: where the class was put; it is looked for there and within the margin.
        settings: by default those of `LocalMatchingSettings`.
        slice_indices: slice of each annotated one, where not all are; by default they are numbered.

    Returns:
        Class score - background score; -scale where the class is not sought or no prototype of it
        is near, and scale where there is none of the background.

    Paper: the scores are those of Ouyang et al., ECCV 2020; the places are ours.
    """
    settings = settings or LocalMatchingSettings()
    levels = torch.as_tensor(list(range(len(support)) if slice_indices is None else slice_indices))
    known = _with_places(support, _still(levels.to(query.device), coverage), settings, asks=False)
    asking = _with_places(query, correspondences, settings, asks=True)
    covered = coverage.flatten(1).to(known)
    is_prototype = torch.stack([covered < 1 - settings.purity, covered > settings.purity], dim=1)
    where = _widened(search_region, settings.margin).flatten(1)
    scores = torch.full_like(where, -settings.scale, dtype=known.dtype)
    for number, here in enumerate(where):
        index = here.nonzero()[:, 0]
        if len(index):
            near = _slices_near(
                correspondences[number, 0].flatten()[index], levels, settings.slices
            )
            scores[number, index] = _differences(
                asking[number][:, index], known[near], is_prototype[near].to(known), settings.scale
            )
    return scores.reshape(search_region.shape)


def _with_places(
    features: Float[Tensor, "slice channel rows columns"],
    correspondences: Float[Tensor, "slice 3 rows columns"],
    settings: LocalMatchingSettings,
    *,
    asks: bool,
) -> Float[Tensor, "slice more position"]:
    """Lengthen unit features so that a product of two is cosine - proximity · distance²."""
    unit = functional.normalize(features.float(), dim=1)
    scaled = settings.proximity**0.5 * correspondences.to(unit)
    square = scaled.square().sum(dim=1, keepdim=True)
    one = torch.ones_like(square)
    parts = [unit, 2 * scaled, -square, one] if asks else [unit, scaled, one, -square]
    return torch.cat(parts, dim=1).flatten(2)


def _still(
    levels: Int[Tensor, " slice"], coverage: Float[Tensor, "slice rows columns"]
) -> Float[Tensor, "slice 3 rows columns"]:
    """Slice, row and column of every entry of some slices."""
    axes = [levels, *(torch.arange(n, device=levels.device) for n in coverage.shape[1:])]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=1).float()


def _differences(
    asking: Float[Tensor, "more position"],
    known: Float[Tensor, "slice more entry"],
    is_prototype: Float[Tensor, "slice 2 entry"],
    scale: float,
) -> Float[Tensor, " position"]:
    """Difference of the two labels' scores at some positions of one slice."""
    weight = asking.new_zeros(2, asking.shape[1])
    total = torch.zeros_like(weight)
    for entries, labels in zip(known, is_prototype, strict=True):
        likeness = entries.mT @ asking
        share = (scale * (likeness - 1)).exp_()
        weight += labels @ share
        total += labels @ share.mul_(likeness)
    found = torch.where(weight > _LEAST, scale * total / weight.clamp(min=_LEAST), -torch.inf)
    return (found[1] - found[0]).nan_to_num(-scale).clamp(-scale, scale)


def _slices_near(
    slice_indices: Float[Tensor, " position"], levels: Int[Tensor, " annotated"], reach: float
) -> list[int]:
    """Number the annotated slices that are near most of some places; at least the nearest one."""
    low, high = float(slice_indices.quantile(0.05)), float(slice_indices.quantile(0.95))
    near = ((levels >= low - reach) & (levels <= high + reach)).nonzero()[:, 0].tolist()
    return near or [int((levels - (low + high) / 2).abs().argmin())]


def _widened(mask: Tensor, margin: tuple[int, int]) -> Tensor:
    """Widen a mask [depth rows columns] by some slices and entries."""
    slices, entries = margin
    return (
        functional.max_pool3d(
            mask[None, None].float(),
            (2 * slices + 1, 2 * entries + 1, 2 * entries + 1),
            stride=1,
            padding=(slices, entries, entries),
        )[0, 0]
        > 0
    )


def interpolate_annotation(
    features: Float[Tensor, "depth channel rows columns"],
    coverage: Float[Tensor, "annotated rows columns"],
    slice_indices: Sequence[int],
    settings: LocalMatchingSettings | None = None,
) -> Float[Tensor, "depth rows columns"]:
    """Segment a volume from a few annotated slices of its own.

    The class is taken to reach half a gap beyond the outer annotated slices that show it (with
    slices at 1/6, 1/2 and 5/6 of it, that is where it ends), and no farther.

    Args:
        features: of all slices.
        coverage: which share of every entry the class covers, in the annotated slices.
        slice_indices: which slices those are, rising.
        settings: see `local_matching_logits`; all annotated slices speak.

    Returns:
        Shares of all slices: the annotated ones as they are, probabilities between them.
    """
    settings = settings or LocalMatchingSettings()
    depth = len(features)
    low, high = annotated_extent(
        [h for h, share in zip(slice_indices, coverage, strict=True) if share.any()]
    )
    level = torch.arange(depth, device=features.device)
    inside = (level >= low) & (level <= high)
    correspondences = _still(level, features[:, 0])
    search_region = inside[:, None, None] & (coverage > 1 - settings.purity).any(dim=0)
    scores = local_matching_logits(
        *(features, features[list(slice_indices)], coverage, correspondences, search_region),
        replace(settings, slices=float(depth)),
        slice_indices,
    )
    found = torch.where(inside[:, None, None], scores.sigmoid(), 0.0)
    found[list(slice_indices)] = coverage.to(found)
    return found


def annotated_extent(slice_indices: Sequence[int]) -> tuple[float, float]:
    """Say from where to where a class reaches that some annotated slices show.

    Half a gap beyond the outer ones; nobody knows where there is but one, or none.

    >>> annotated_extent([2, 6, 10])
    (0.0, 12.0)
    """
    if len(slice_indices) < 2:
        return (-math.inf, math.inf) if slice_indices else (math.inf, -math.inf)
    return (
        slice_indices[0] - (slice_indices[1] - slice_indices[0]) / 2,
        slice_indices[-1] + (slice_indices[-1] - slice_indices[-2]) / 2,
    )
