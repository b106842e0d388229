"""Annotated images that the others do not lead to: another kind of picture, or a wrong mask."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import replace
from statistics import median

import torch

from episodes.io.pixels import IGNORE
from fewshot.inference.self_configuration.candidates import CANDIDATES
from fewshot.inference.self_configuration.evidence import dice
from fewshot.inference.self_configuration.views import Shot

_METHOD = "neighbours-256"  # the fastest
_LEAST = 3  # annotated images; of two that differ nobody knows which is wrong
_KNOWN, _SHARE = 0.4, 0.5
"""Unlike is less than half of the median Dice, where that is 0.4 and more: else all are unlike."""


def warn_of_unlike(shots: Sequence[Shot], way: int) -> None:
    """Segment each annotated image from all others, and warn of those where that fails.

    Args:
        shots: annotated planes.
        way: number of classes.
    """
    if len(shots) < _LEAST or any(shot.view.picture.volume for shot in shots):
        return  # planes of a volume differ by where they lie
    reached = []
    for number, shot in enumerate(shots):
        others = [*shots[:number], *shots[number + 1 :]]
        shown = torch.cat([other.labels.flatten() for other in others]).unique()
        judged = torch.where(torch.isin(shot.labels, shown), shot.labels, IGNORE)
        fitted = CANDIDATES[_METHOD].fit(others, way)
        reached.append(dice(fitted, replace(shot, labels=judged), way))
    known = [each for each in reached if not math.isnan(each)]
    usual = median(known) if known else 0.0
    if usual < _KNOWN:
        return
    for shot, each in zip(shots, reached, strict=True):
        if each < _SHARE * usual:
            warnings.warn(
                f"{shot.view.picture.name} is unlike the other annotated images: segmented from "
                f"them its mask is found with a Dice of {each:.2f}, theirs with {usual:.2f} "
                "(median); look at its mask, or leave it out",
                stacklevel=2,
            )
