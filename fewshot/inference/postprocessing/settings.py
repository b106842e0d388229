"""Which cues refine an answer; importable without torch, so that the command answers quickly."""

import math
from dataclasses import dataclass, fields
from typing import Literal

from episodes.errors import FewshotError

FEATURE_STEPS = ("flip", "proximity", "similarity", "depth_temperature")
"""Switches that need the features, the mirror images or the masks that a single model learned."""


@dataclass(frozen=True)
class PostprocessSettings:
    """Switches of the refinement, in the order in which they are applied; all are off.

    Attributes:
        flip: average with the answer to the mirrored query, the support staying as it is (query)
            or being mirrored too (both), which is right where left and right differ (symmetry).
        similarity: how much each position takes over from positions that look like it, 0 to 1.
        similarity_temperature: difference of cosines at which a position's say falls to 1/e.
        proximity: how much the logit of a class rises deep inside the place where the support
            showed it, and falls far from it.
        proximity_width: distance from the border at which that is nearly complete, as a share of
            the image's side.
        depth: standard deviation of the smoothing over neighbouring slices, in slices (common
            fate).
        depth_temperature: slices that look different take less part: difference of cosines at
            which their say falls to 1/e; 0 looks at the distance alone.
        smooth: make neighbours agree that no edge divides (common region, continuity): by a
            random walker, or by a graph cut of one class and background.
        smooth_side: side of the square in which that is done, in pixels.
        walker_length: how far the walker carries evidence where there is no edge, in pixels of
            that square; by default one position of the feature grid.
        walker_contrast: how much an edge holds the walker up.
        walker_across: how far the walker carries evidence from slice to slice, in slices.
        walker_area: leave each class the area it had before the walk, so that only its border
            moves; a walk takes from small structures, and from all where the head is unsure.
        cut_strength: what a pixel of border costs the cut where there is no edge, beside the
            logarithm of each pixel's probability.
        threshold: probability from which a class wins over background, between 0 and 1. Smoothing
            takes from small structures, and less than one half gives it back.
        keep: which connected parts of a class stay: all, the largest one, or the large ones.
        keep_share: smallest area of a large part, as a share of its class's.
        fill: close the holes of each class.
    """

    flip: Literal["none", "query", "both"] = "none"
    similarity: float = 0.0
    similarity_temperature: float = 0.05
    proximity: float = 0.0
    proximity_width: float = 0.1
    depth: float = 0.0
    depth_temperature: float = 0.0
    smooth: Literal["none", "walker", "cut"] = "none"
    smooth_side: int = 128
    walker_length: float = 4.0
    walker_contrast: float = 1.0
    walker_across: float = 0.0
    walker_area: bool = False
    cut_strength: float = 2.0
    threshold: float = 0.5
    keep: Literal["all", "largest", "large"] = "all"
    keep_share: float = 0.1
    fill: bool = False

    def __post_init__(self) -> None:
        numbers = {f.name: getattr(self, f.name) for f in fields(self)}
        for name, value in numbers.items():
            if isinstance(value, float | int) and not (math.isfinite(value) and value >= 0):
                raise FewshotError(f"{name} is {value}; expected a number of at least 0")
        for name in ("similarity", "keep_share"):
            if numbers[name] > 1:
                raise FewshotError(f"{name} is {numbers[name]}; expected a share from 0 to 1")
        for name in ("similarity_temperature", "proximity_width"):
            if numbers[name] == 0:
                raise FewshotError(f"{name} is 0; expected more")
        if not 0 < self.threshold < 1:
            raise FewshotError(f"threshold is {self.threshold}; expected more than 0, less than 1")
        if self.smooth_side < 8:
            raise FewshotError(f"smooth_side is {self.smooth_side} pixels; expected at least 8")

    @property
    def walks_across(self) -> bool:
        """Whether the walker goes from slice to slice."""
        return self.smooth == "walker" and self.walker_across > 0

    @property
    def needs_stack(self) -> bool:
        """Whether the slices of a volume have to be seen together."""
        return self.depth > 0 or self.walks_across or self.keep != "all" or self.fill
