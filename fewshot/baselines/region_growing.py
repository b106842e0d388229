"""Region growing: from certain pixels to connected ones of similar intensity.

Paper: Adams and Bischof, Seeded region growing, 1994; Zucker, Region growing, 1976.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy import ndimage

from episodes.io.pixels import IGNORE
from fewshot.baselines.appearance import (
    Appearance,
    AppearancePredictor,
    AppearanceSettings,
    Seen,
    one_against_rest,
    softened,
)
from fewshot.baselines.markers import seeds_of
from fewshot.baselines.search import Values
from fewshot.baselines.searched_predictor import Annotated
from fewshot.inference.predictors.build import register_predictor
from fewshot.lazily import lazily

discriminant = lazily("sklearn.discriminant_analysis")
segmentation = lazily("skimage.segmentation")

_SMOOTHING = 1.5  # of the grown image, in pixels; single noisy pixels would stop the growth
_SEEDS = 64  # components that seeds are taken of, the largest first
_DRAWN = 20_000  # known pixels that the direction is found on


@dataclass(frozen=True)
class RegionGrowingSettings(AppearanceSettings):
    """What is tried.

    Attributes:
        certainties: probability by appearance from which a pixel is part of a seed.
        tolerances: largest difference to the seed, in standard deviations of the class.
    """

    certainties: tuple[float, ...] = (0.5, 0.8, 0.95)
    tolerances: tuple[float, ...] = (0.75, 1.5, 2.5, 4.0)


@dataclass(frozen=True, eq=False)
class GrowingAppearance(Appearance):
    """Appearance, and for each class what is grown on.

    Attributes:
        directions: weights of the channels whose sum separates the class best [way channel].
        spreads: standard deviation of that sum within the class [way].
    """

    directions: np.ndarray
    spreads: np.ndarray


@register_predictor("region-growing")
class RegionGrowingPredictor(AppearancePredictor):
    """Grow regions from seeds that look like the class (`skimage.segmentation.flood`).

    A region is what hangs together with its seed and differs from it by no more than the tolerance,
    in the linear combination of the channels that separates the class best. It takes structures of
    even intensity; at a gap in the edge a region leaks. Chosen on the annotated images are the
    certainty of seeds and the tolerance.
    """

    Settings: ClassVar = RegionGrowingSettings
    searched: ClassVar = ("certainties", "tolerances")

    def learn_from(self, images: Sequence[Annotated], ways: int) -> GrowingAppearance:
        """Fit the appearance, and find the direction and the spread of each class."""
        seen = super().learn_from(images, ways)
        smooth = [_smooth(image).reshape(-1, image.shape[2]) for image, _ in images]
        labels = np.concatenate([each.ravel() for _, each in images])
        known = np.flatnonzero(labels != IGNORE)
        pixels, labels = np.concatenate(smooth)[known], labels[known]
        directions = [_direction(pixels, labels == way) for way in range(1, ways + 1)]
        spreads = [
            max(float((pixels[labels == way] @ each).std()), 1e-3)
            for way, each in enumerate(directions, 1)
        ]
        return GrowingAppearance(
            seen.mixtures, seen.shares, np.stack(directions), np.array(spreads)
        )

    def label(self, seen: Seen, learned: Appearance, values: Values) -> np.ndarray:
        """Grow the regions of each class."""
        assert isinstance(learned, GrowingAppearance)
        posterior, smooth = seen.posterior(), _smooth(seen.image)
        masks = []
        for way, (direction, spread) in enumerate(
            zip(learned.directions, learned.spreads, strict=True), 1
        ):
            certain = posterior[way] >= values["certainties"]
            view = np.ascontiguousarray(smooth @ direction)
            seeds = seeds_of(certain, view, _SEEDS)
            masks.append(_grown(view, seeds, values["tolerances"] * spread))
        return softened(one_against_rest(masks, posterior), posterior)


def _grown(view: np.ndarray, seeds: Sequence[tuple[int, int]], tolerance: float) -> np.ndarray:
    """Join the regions of all seeds; a seed within a region grows none of its own."""
    found = np.zeros(view.shape, bool)
    for seed in seeds:
        if not found[seed]:
            found |= segmentation.flood(view, seed, tolerance=tolerance)
    return found


def _smooth(image: np.ndarray) -> np.ndarray:
    return ndimage.gaussian_filter(image, (_SMOOTHING, _SMOOTHING, 0))


def _direction(pixels: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Find the weights of the channels whose sum separates a class best, of length 1."""
    if pixels.shape[1] == 1 or inside.all():
        return np.ones(pixels.shape[1], np.float32) / pixels.shape[1]
    step = max(1, len(pixels) // _DRAWN)
    some = np.unique(np.concatenate([np.arange(0, len(pixels), step), np.flatnonzero(inside)]))
    made: Any = discriminant.LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.1)
    found = made.fit(pixels[some], inside[some]).coef_[0]
    length = float(np.linalg.norm(found))
    return (found / length if length else np.ones(len(found))).astype(np.float32)
