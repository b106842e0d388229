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
class NearbySettings:
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


def score_nearby(
    query: Float[Tensor, "depth channel rows columns"],
    support: Float[Tensor, "annotated channel support_rows support_columns"],
    shares: Float[Tensor, "annotated support_rows support_columns"],
    places: Float[Tensor, "depth 3 rows columns"],
    sought: Bool[Tensor, "depth rows columns"],
    settings: NearbySettings | None = None,
    heights: Sequence[int] | None = None,
) -> Float[Tensor, "depth rows columns"]:
    """Say how much more like the class each position is than like what surrounds it.

    As in `fewshot.models.heads.alpnet`, a label's score is the mean of its prototypes' likenesses
    d_i = scale · (cosine_i - proximity · distance_i²), weighted with their softmax. Prototypes are
    the support's positions near the query's place.

    Args:
        query, support: features.
        shares: which share of every entry the class covers, 0 to 1.
        places: of the query's positions in the support, from `register`.
        sought: where the class was put; it is looked for there and within the margin.
        settings: by default those of `NearbySettings`.
        heights: slice of each annotated one, where not all are; by default they are numbered.

    Returns:
        Class score - background score; -scale where the class is not sought or no prototype of it
        is near, and scale where there is none of the background.

    Paper: the scores are those of Ouyang et al., ECCV 2020; the places are ours.
    """
    settings = settings or NearbySettings()
    levels = torch.as_tensor(list(range(len(support)) if heights is None else heights))
    known = _with_places(support, _still(levels.to(query.device), shares), settings, asks=False)
    asking = _with_places(query, places, settings, asks=True)
    covered = shares.flatten(1).to(known)
    speaks = torch.stack([covered < 1 - settings.purity, covered > settings.purity], dim=1)
    where = _widened(sought, settings.margin).flatten(1)
    scores = torch.full_like(where, -settings.scale, dtype=known.dtype)
    for number, here in enumerate(where):
        index = here.nonzero()[:, 0]
        if len(index):
            near = _slices_near(places[number, 0].flatten()[index], levels, settings.slices)
            scores[number, index] = _differences(
                asking[number][:, index], known[near], speaks[near].to(known), settings.scale
            )
    return scores.reshape(sought.shape)


def _with_places(
    features: Float[Tensor, "slice channel rows columns"],
    places: Float[Tensor, "slice 3 rows columns"],
    settings: NearbySettings,
    *,
    asks: bool,
) -> Float[Tensor, "slice more position"]:
    """Lengthen unit features so that a product of two is cosine - proximity · distance²."""
    unit = functional.normalize(features.float(), dim=1)
    scaled = settings.proximity**0.5 * places.to(unit)
    square = scaled.square().sum(dim=1, keepdim=True)
    one = torch.ones_like(square)
    parts = [unit, 2 * scaled, -square, one] if asks else [unit, scaled, one, -square]
    return torch.cat(parts, dim=1).flatten(2)


def _still(
    levels: Int[Tensor, " slice"], shares: Float[Tensor, "slice rows columns"]
) -> Float[Tensor, "slice 3 rows columns"]:
    """Slice, row and column of every entry of some slices."""
    axes = [levels, *(torch.arange(n, device=levels.device) for n in shares.shape[1:])]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=1).float()


def _differences(
    asking: Float[Tensor, "more position"],
    known: Float[Tensor, "slice more entry"],
    speaks: Float[Tensor, "slice 2 entry"],
    scale: float,
) -> Float[Tensor, " position"]:
    """Difference of the two labels' scores at some positions of one slice."""
    weight = asking.new_zeros(2, asking.shape[1])
    total = torch.zeros_like(weight)
    for entries, labels in zip(known, speaks, strict=True):
        likeness = entries.mT @ asking
        share = (scale * (likeness - 1)).exp_()
        weight += labels @ share
        total += labels @ share.mul_(likeness)
    found = torch.where(weight > _LEAST, scale * total / weight.clamp(min=_LEAST), -torch.inf)
    return (found[1] - found[0]).nan_to_num(-scale).clamp(-scale, scale)


def _slices_near(
    heights: Float[Tensor, " position"], levels: Int[Tensor, " annotated"], reach: float
) -> list[int]:
    """Number the annotated slices that are near most of some places; at least the nearest one."""
    low, high = float(heights.quantile(0.05)), float(heights.quantile(0.95))
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


def complete(
    features: Float[Tensor, "depth channel rows columns"],
    shares: Float[Tensor, "annotated rows columns"],
    heights: Sequence[int],
    settings: NearbySettings | None = None,
) -> Float[Tensor, "depth rows columns"]:
    """Segment a volume from a few annotated slices of its own.

    The class is taken to reach half a gap beyond the outer annotated slices that show it (with
    slices at 1/6, 1/2 and 5/6 of it, that is where it ends), and no farther.

    Args:
        features: of all slices.
        shares: which share of every entry the class covers, in the annotated slices.
        heights: which slices those are, rising.
        settings: see `score_nearby`; all annotated slices speak.

    Returns:
        Shares of all slices: the annotated ones as they are, probabilities between them.
    """
    settings = settings or NearbySettings()
    depth = len(features)
    low, high = extent([h for h, share in zip(heights, shares, strict=True) if share.any()])
    level = torch.arange(depth, device=features.device)
    inside = (level >= low) & (level <= high)
    places = _still(level, features[:, 0])
    sought = inside[:, None, None] & (shares > 1 - settings.purity).any(dim=0)
    scores = score_nearby(
        *(features, features[list(heights)], shares, places, sought),
        replace(settings, slices=float(depth)),
        heights,
    )
    found = torch.where(inside[:, None, None], scores.sigmoid(), 0.0)
    found[list(heights)] = shares.to(found)
    return found


def extent(heights: Sequence[int]) -> tuple[float, float]:
    """Say from where to where a class reaches that some annotated slices show.

    Half a gap beyond the outer ones; nobody knows where there is but one, or none.

    >>> extent([2, 6, 10])
    (0.0, 12.0)
    """
    if len(heights) < 2:
        return (-math.inf, math.inf) if heights else (math.inf, -math.inf)
    return (
        heights[0] - (heights[1] - heights[0]) / 2,
        heights[-1] + (heights[-1] - heights[-2]) / 2,
    )
