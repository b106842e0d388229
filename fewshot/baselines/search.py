"""The search of a baseline over its own few parameters, on the annotated images alone."""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from episodes.io.pixels import IGNORE
from fewshot.metrics.overlap import confusion_matrix, dice

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Chosen:
    """What a search chose.

    Attributes:
        values: of the parameters, by their names.
        dice: on the annotated images, mean of the classes, 0 to 1; NaN where it was not measured.
        tried: how many settings were measured.
    """

    values: Values
    dice: float
    tried: int

    def record(self) -> dict[str, Any]:
        """What a JSON file keeps; a Dice that was not measured is None."""
        known = None if math.isnan(self.dice) else self.dice
        return {"values": dict(self.values), "dice": known, "tried": self.tried}

    def describe(self) -> str:
        """Tell in one line what was chosen, and why."""
        words = _words(self.values) or "nothing to choose"
        if math.isnan(self.dice):
            return f"not searched, which takes two annotated images: {words}"
        return (
            f"chosen on the annotated images: {words} (Dice there {100 * self.dice:.0f}, best of "
            f"{self.tried})"
        )


def best_setting(
    grid: Mapping[str, Sequence[Any]], score: Callable[[Values], float] | None
) -> Chosen:
    """Try every setting of a grid and keep the best; of equal ones the first.

    Args:
        grid: values of each parameter.
        score: measures a setting, higher is better; None keeps the first without measuring.

    >>> best_setting({"size": (1, 2, 3)}, lambda values: -abs(values["size"] - 2)).values
    {'size': 2}
    """
    settings = [dict(zip(grid, each, strict=True)) for each in itertools.product(*grid.values())]
    if score is None:
        return Chosen(settings[0], math.nan, 0)
    scores = [score(values) for values in settings]
    best = max(range(len(scores)), key=lambda number: (scores[number], -number))
    return Chosen(settings[best], float(scores[best]), len(settings))


def mean_dice(found: Sequence[np.ndarray], truth: Sequence[np.ndarray], ways: int) -> float:
    """Mean Dice of the classes over the known pixels of all images together, 0 to 1.

    Args:
        found: labels [height width] of each image, 0 background, 1..ways.
        truth: the same, and 255 unknown, which counts nowhere.
        ways: how many classes.

    >>> mean_dice([np.array([[1, 1, 0]])], [np.array([[1, 255, 1]])], 1)
    0.6666666666666666
    """
    table = np.zeros((ways + 1, ways + 1), np.int64)
    for labels, true in zip(found, truth, strict=True):
        known = true != IGNORE
        table += confusion_matrix(labels[known], true[known], ways + 1, None)
    scores = dice(table)[1:]
    return float(np.nanmean(scores)) if np.isfinite(scores).any() else 0.0


def _words(values: Values) -> str:
    parts = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            parts.append(f"{name} ({_words(value)})")
        else:
            shown = f"{value:.3g}" if isinstance(value, float) else str(value)
            parts.append(f"{name.replace('_', ' ')} {shown}")
    return ", ".join(parts)
