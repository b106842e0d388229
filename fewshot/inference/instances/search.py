"""Chooses how objects are made: what scores best on the annotated objects."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fewshot.inference.instances.sizes import ObjectSizes
from fewshot.inference.instances.splitting import (
    SplitMethod,
    Splitting,
    finish_objects,
    split_objects,
)
from fewshot.metrics.instances import dsb_score
from fewshot.metrics.overlap_table import overlap_table

THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95)
NECKS = (None, 0.05, 0.1, 0.15, 0.2, 0.3, 0.45)
CORES = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
LEAST = (0.0, 0.3, 0.6)
"""Least areas, in shares of the small annotated objects' area."""
LEAST_OF_ONE = (0.1, 20)
"""At most so large is the least area where one image is annotated: this share of the small objects'
area, or so many pixels where that is more; objects of other images may be far smaller."""
EDGES = (None, 0.3, 0.4, 0.5, 0.6)
_ROUNDS = 2
_MARGIN = 0.002  # a further value has to gain so much


@dataclass(frozen=True, eq=False)
class Annotated:
    """The objects of one annotated image, and what a segmenter finds there.

    Attributes:
        numbers: the objects [height width] or [depth height width], 0 background.
        foreground: probability of the class, of a segmenter that did not learn this image where
            that is possible.
        inside: of its insides, where those were learned.
        spacing: of the axes.
        image: [height width] or [height width 3], by which outlines are refined.
    """

    numbers: np.ndarray
    foreground: np.ndarray
    inside: np.ndarray | None = None
    spacing: tuple[float, ...] | None = None
    image: np.ndarray | None = None


def choose_splitting(
    method: SplitMethod, images: Sequence[Annotated], sizes: ObjectSizes, *, threshold: bool = False
) -> tuple[Splitting, float]:
    """Search threshold, split strength, outline and least area, one after the other, twice.

    The score is that of the 2018 Data Science Bowl, a mean over images; of "distance" the mean of
    that of the answers and that of the true masks, so that one poor answer does not decide where
    objects are split.

    Args:
        method: of splitting.
        images: at least one.
        sizes: of their objects.
        threshold: search this alone, to compare answers in a fraction of the time.

    Returns:
        The choice, and the score of the answers alone, 0 to 1.
    """
    areas = _least_areas(sizes, len(images))
    start = Splitting(method, least_area=areas[1])
    rating = _Rating(images)
    best, reached = start, rating(start)
    for _ in range(_ROUNDS):
        before = best
        for name, values in _values(method, areas)[: 1 if threshold else None]:
            for value in values:
                changed: Splitting = replace(best, **{name: value})  # type: ignore[arg-type]
                if changed == best:
                    continue
                score = rating(changed)
                if score > reached + _MARGIN:
                    best, reached = changed, score
        if best == before:
            break
    return best, rating.answers(best)


def _least_areas(sizes: ObjectSizes, images: int) -> list[int]:
    areas = [share * sizes.small for share in LEAST]
    if images == 1:
        share, pixels = LEAST_OF_ONE
        areas = [min(area, max(share * sizes.small, pixels)) for area in areas]
    return list(map(round, areas))


def _values(method: SplitMethod, areas: Sequence[int]) -> list[tuple[str, Sequence[float | None]]]:
    """List the settings of a method, each with the values that are tried."""
    return [
        ("threshold", THRESHOLDS),
        ("neck", NECKS) if method == "distance" else ("core", CORES),
        ("edge", EDGES),
        ("least_area", areas),
    ]


class _Rating:
    """Rates splittings; what is split once is kept, since outlines and least area come after it."""

    def __init__(self, images: Sequence[Annotated]) -> None:
        self.images = images
        self.true = [
            replace(each, foreground=(each.numbers > 0).astype(np.float32), inside=None)
            for each in images
        ]
        self.split: dict[Splitting, list[np.ndarray]] = {}
        self.known: dict[Splitting, float] = {}

    def __call__(self, splitting: Splitting) -> float:
        score = self.answers(splitting)
        if splitting.method != "distance":
            return score
        key = replace(splitting, threshold=0.5, edge=None)
        if key not in self.known:
            found = [_split(each, key) for each in self.true]
            self.known[key] = self._score(found, key)
        return (score + self.known[key]) / 2

    def answers(self, splitting: Splitting) -> float:
        """Score the answers of annotated images, the mean over those with any object, 0 to 1."""
        key = replace(splitting, edge=None, least_area=0)
        if key not in self.split:
            self.split[key] = [_split(each, key) for each in self.images]
        return self._score(self.split[key], splitting)

    def _score(self, found: Sequence[np.ndarray], splitting: Splitting) -> float:
        scores = []
        for labels, each in zip(found, self.images, strict=True):
            objects = finish_objects(labels, splitting, each.image)
            scores.append(dsb_score(overlap_table(objects, each.numbers)))
        known = [score for score in scores if not np.isnan(score)]
        return float(np.mean(known)) if known else 0.0


def _split(each: Annotated, splitting: Splitting) -> np.ndarray:
    return split_objects(each.foreground, each.inside, splitting, each.spacing)
