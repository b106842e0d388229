"""Whether a query belongs with a support set: one number in 0..1, to abstain by."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped, UInt8
from torch import Tensor
from torch.nn import functional

from episodes.io.pixels import IGNORE
from fewshot.models.heads.base import Head, Support
from fewshot.models.network import reference_shots

MIN_SIMILARITY = 0.4
"""Agreement below which a user is warned; see docs/refinement.md for how it was chosen."""
FAMILIAR = 0.525
"""Cosine from which a position is familiar, however much alike a support's own positions are."""
_JUDGED = 16  # planes of a volume whose agreement is looked at
_APART = 4  # positions; nearer ones of one image see nearly the same pixels
_QUANTILE = 0.1
_SIDE = 32  # positions along a side that are compared


def query_support_similarity(
    head: Head,
    shots: Mapping[str, Tensor],
    query: Float[Tensor, "channel rows columns"],
    predicted: Int[Tensor, "rows columns"],
    *,
    inside: Bool[Tensor, "rows columns"] | None = None,
) -> float:
    """Measure how well query and support belong together: the geometric mean of two numbers.

    `feature_similarity` compares the images, `cycle_consistency` what was found with what was
    annotated, as a share of what the support reaches with its own masks: thin structures
    reach less than compact ones, and both more in a larger square. Where nothing was found, only
    the first counts.

    Args:
        head: any head that works on features.
        shots: "features" [shot channel rows columns] and "masks" [way shot rows columns] of the
            support; "own", from `own_consistency`, is computed where it is not there.
        query: features of the query.
        predicted: the labels given to it, on the feature grid.
        inside: where the query's picture lies in its square; by default everywhere.

    Returns:
        0..1; below `MIN_SIMILARITY` the answer should not be trusted unseen.
    """
    features = shots["features"].to(query)
    alike = feature_similarity(query, features, inside)
    back = cycle_consistency(head, features, shots["masks"].to(query.device), query, predicted)
    if back is None:
        return alike
    own = float(shots["own"]) if "own" in shots else own_consistency(head, shots)
    return math.sqrt(alike * (min(1.0, back / own) if own > 0 else back))


def own_consistency(head: Head, shots: Mapping[str, Tensor]) -> float:
    """Measure `cycle_consistency` of the support's shots with themselves, the best there can be.

    Args:
        head, shots: as in `query_support_similarity`.

    Returns:
        The mean over the shots; 1 where none shows a class.
    """
    features = shots["features"].float()
    masks = shots["masks"].to(features.device)
    found = []
    for number, own in enumerate(features):
        labels = torch.zeros(masks.shape[-2:], dtype=torch.long, device=features.device)
        labels[(masks[:, number] == IGNORE).any(dim=0)] = IGNORE
        for way, shot in enumerate(masks[:, number], start=1):
            labels[shot == 1] = way
        value = cycle_consistency(head, features, masks, own, labels)
        found += [] if value is None else [value]
    return sum(found) / len(found) if found else 1.0


class SimilarityTracker:
    """Looks at some of the planes of a picture, and remembers how well they agree with supports.

    Args:
        head: that segmented them.
        planes: how many there will be; of more than 16, evenly spaced ones are looked at.
        inside: where the picture lies in its square, bool [rows columns] at any resolution.
    """

    def __init__(self, head: Head, planes: int, inside: Tensor | None = None) -> None:
        self.head, self.inside, self.step = head, inside, -(-planes // _JUDGED)
        self.seen = 0
        self._found: list[tuple[float, float]] = []

    def due(self) -> bool:
        """Count a plane; whether it is to be looked at."""
        self.seen += 1
        return (self.seen - 1) % self.step == 0

    def update(
        self,
        supports: Sequence[Support],
        features: Float[Tensor, "feature rows columns"],
        logits: Float[Tensor, "label rows columns"],
    ) -> None:
        """Look at one plane; nothing is learned of it where a support keeps no features."""
        if not supports or not all({"features", "masks"} <= set(s.shots) for s in supports):
            return
        labels = logits.argmax(dim=0)
        inside = _inside(self.inside, features)
        values = [
            query_support_similarity(self.head, s.shots, features, labels, inside=inside)
            for s in supports
        ]
        # Planes on which nothing was found say little, but more than nothing.
        self._found.append((float(np.mean(values)), int((labels > 0).sum()) + 1e-3))

    def value(self) -> float | None:
        """The mean over the planes, weighted by the area found in them; None without any."""
        if not self._found:
            return None
        values, areas = zip(*self._found, strict=True)
        return float(np.average(values, weights=areas))


def with_masks(
    shots: Mapping[str, Tensor],
    masks: UInt8[Tensor, "way shot height width"],
    head: Head,
    stride: int,
) -> dict[str, Tensor]:
    """Complete what a support keeps of its shots for `query_support_similarity`.

    Args:
        shots: "features" [shot channel rows columns] of the shots that are kept, of heads that
            work on features.
        masks: of all shots, in the square.
        head: that condensed them.
        stride: pixels an entry of the feature grid.
    """
    kept = grid_masks(masks, masks.shape[-2] // stride, masks.shape[-1] // stride)
    few = {**shots, "masks": kept[:, reference_shots(kept.shape[1])]}
    if "features" in few:
        few["own"] = torch.tensor(own_consistency(head, few))
    return few


def feature_similarity(
    query: Float[Tensor, "channel rows columns"],
    support: Float[Tensor, "shot channel height width"],
    inside: Bool[Tensor, "rows columns"] | None = None,
    familiar: float = FAMILIAR,
) -> float:
    """Measure how much of a query looks like anything in the support images.

    The best cosine of a position with the support's positions is compared with what is usual
    within the support itself: there, positions are compared with those of the other shots, or,
    with one shot, with those at least four entries away. The result is the share of the query's
    positions whose best cosine reaches the 10 % quantile of the support's own, divided by 0.9:
    about 1 for an image of the same kind, 0 for one in which nothing looks familiar. Positions of
    one picture that repeats itself are more alike than those of two pictures can be, so no more
    than a fixed cosine is asked for.

    Args:
        query: features of one image.
        support: features of the support images.
        inside: positions of the query that count, for its rim may be padding; by default all.
        familiar: the cosine that is asked for at most.

    Returns:
        0..1.
    """
    if inside is not None:
        inside = _thinned(inside).flatten()
    query, support = _thinned(query), _thinned(support)
    unit = functional.normalize(support.float(), dim=1)
    everything = unit.movedim(1, -1).flatten(0, 2)
    looked = functional.normalize(query.float(), dim=0).flatten(1)
    best = (everything @ looked).amax(dim=0)
    if inside is not None and inside.any():
        best = best[inside]
    threshold = _usual(unit).quantile(_QUANTILE).clamp(max=familiar)
    return min(1.0, float((best >= threshold).float().mean()) / (1 - _QUANTILE))


def cycle_consistency(
    head: Head,
    support: Float[Tensor, "shot channel rows columns"],
    masks: UInt8[Tensor, "way shot rows columns"],
    query: Float[Tensor, "channel rows columns"],
    predicted: Int[Tensor, "rows columns"],
) -> float | None:
    """Segment the support with the predicted query, and compare with the support's own masks.

    Where the answer is right, the roles can be swapped: what was found in the query finds the
    annotated structure in the support again (prototype alignment, at test time).

    Args:
        head: any head that works on features.
        support: features of the shots.
        masks: 0, 1, 255 unknown, on the feature grid.
        query: features of the query.
        predicted: the labels given to it, on the feature grid.

    Returns:
        IoU of the support's masks and what is found there, over all shots, as the mean of the
        classes that were found in the query; None where none was.

    Paper: Wang et al., PANet, ICCV 2019, section 3.5 (as a loss in training).
    """
    found = []
    for label, shots in enumerate(masks, start=1):
        if not (predicted == label).any() or not (shots == 1).any():
            continue
        mask = torch.full_like(predicted, IGNORE, dtype=torch.uint8)
        mask[predicted == 0] = 0
        mask[predicted == label] = 1
        swapped = head.encode_support(query[None, None, None], mask[None, None, None])
        answer = head.logits(swapped, support[None])[0].argmax(dim=1) == 1
        known = shots != IGNORE
        found.append(_overlap(answer & known, shots == 1))
    return sum(found) / len(found) if found else None


def grid_masks(
    masks: UInt8[Tensor, "way shot height width"], rows: int, columns: int
) -> UInt8[Tensor, "way shot rows columns"]:
    """Reduce masks to the feature grid: a position is what most of its pixels are.

    A class too thin to be the most anywhere keeps its fullest position, so that it is not lost.
    """
    inside = functional.adaptive_avg_pool2d((masks == 1).float(), (rows, columns))
    outside = functional.adaptive_avg_pool2d((masks == 0).float(), (rows, columns))
    fullest = inside.flatten(2).amax(dim=2)[..., None, None]
    small = torch.full_like(inside, IGNORE, dtype=torch.uint8)
    small[outside >= 0.5] = 0
    small[(inside > 0.5) | ((inside == fullest) & (fullest > 0) & (fullest <= 0.5))] = 1
    return small


def _thinned(
    features: Shaped[Tensor, "*set rows columns"],
) -> Shaped[Tensor, "*set fewer narrower"]:
    """Take every so many positions of a large grid: all pairs are compared in memory."""
    step = -(-max(features.shape[-2:]) // _SIDE)
    return features[..., ::step, ::step]


def _usual(unit: Float[Tensor, "shot channel rows columns"]) -> Float[Tensor, " position"]:
    """Best cosine of each support position with positions that are no copies of it."""
    shots, _, rows, columns = unit.shape
    flat = unit.flatten(2)
    best = []
    for shot in range(shots):
        if shots > 1:
            others = torch.cat([flat[other] for other in range(shots) if other != shot], dim=1)
            best.append((flat[shot].T @ others).amax(dim=1))
        else:
            near = _near(rows, columns).to(flat.device)
            found = (flat[0].T @ flat[0]).masked_fill(near, -1).amax(dim=1)
            alone = near.all(dim=1)  # in small grids, the middle has nothing far from it
            best.append(found[~alone] if not alone.all() else found)
    return torch.cat(best)


def _near(rows: int, columns: int) -> Bool[Tensor, "position other"]:
    row = torch.arange(rows).repeat_interleave(columns)
    column = torch.arange(columns).repeat(rows)
    apart = torch.maximum((row[:, None] - row[None]).abs(), (column[:, None] - column[None]).abs())
    return apart < _APART


def _inside(inside: Tensor | None, features: Tensor) -> Tensor | None:
    """Bring a map of the square to the grid of features."""
    if inside is None:
        return None
    rows, columns = features.shape[-2:]
    share = functional.adaptive_avg_pool2d(inside[None].float(), (rows, columns))[0]
    return (share >= 0.5).to(features.device)


def _overlap(one: Tensor, other: Tensor) -> float:
    union = int((one | other).sum())
    return int((one & other).sum()) / union if union else 1.0
