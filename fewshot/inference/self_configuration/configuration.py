"""Which candidates are mixed, and with what weights: a prior of each, moved by the evidence."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

TRAINED = "trained"  # the candidate that a trained network is
PRIORS: Mapping[str, float] = {
    "neighbours-256": -1.47,
    "neighbours-512": -1.48,
    "deep-logistic": -1.39,
    "perceptron": -1.31,
    "place": -1.49,
    TRAINED: -1.40,
}
"""Of the candidates: the weight without evidence is log(1 + exp(prior)). That of a trained network
was not fitted; it is the mean of those that compare features."""
ON_COPIES, ON_PARTS = 3.79, 3.55
"""What a Dice one higher than the candidates' mean, on changed copies or disjoint parts, adds."""
BIAS = 0.13
"""Added to the mixed log odds.

Priors, slopes and bias maximise the mean soft Dice of development tasks alone, see
tools/fit_self_configuration.py and docs/self-configuration.md."""
_LEAST = 0.05  # share of the weights below which a candidate is left out: it only costs time


@dataclass(frozen=True)
class Configuration:
    """What was chosen.

    Attributes:
        weights: of the candidates' log odds; names of `CANDIDATES`.
        bias: added to the sum.
        on_copies: Dice of each candidate on changed copies of the annotated images, 0 to 1.
        on_parts: the same on disjoint parts of them; NaN where there are none.
    """

    weights: Mapping[str, float]
    bias: float
    on_copies: Mapping[str, float]
    on_parts: Mapping[str, float]

    def mix(self, odds: Mapping[str, Float[Tensor, "way *grid"]]) -> Float[Tensor, "way *grid"]:
        """Add log odds of the candidates on one grid with their weights, and the bias."""
        return torch.stack([w * odds[name] for name, w in self.weights.items()]).sum(0) + self.bias

    def record(self) -> dict[str, Any]:
        """What a JSON file keeps; what was not measured is None."""
        found = asdict(self)
        for measured in (found["on_copies"], found["on_parts"]):
            measured |= {name: None for name, value in measured.items() if math.isnan(value)}
        return found

    def describe(self) -> str:
        """Tell in one line what was chosen, and why."""
        total = sum(self.weights.values())
        if not self.on_copies:
            return "methods, not chosen on the annotated images: " + ", ".join(self.weights)
        parts = []
        for name, weight in sorted(self.weights.items(), key=lambda item: -item[1]):
            tested = [f"copies {100 * self.on_copies[name]:.0f}"]
            if not math.isnan(self.on_parts[name]):
                tested.append(f"disjoint parts {100 * self.on_parts[name]:.0f}")
            parts.append(f"{name} {weight / total:.0%} (Dice on {', on '.join(tested)})")
        return "chosen on the annotated images: " + "; ".join(parts)


def configure(on_copies: Mapping[str, float], on_parts: Mapping[str, float]) -> Configuration:
    """Weigh candidates by what they reach on the annotated images.

    A weight is log(1 + exp(prior + slope · (Dice - mean Dice of the candidates))), with one slope
    for changed copies and one for disjoint parts: it grows with the evidence and is never negative.

    Args:
        on_copies, on_parts: Dice by name of candidate, 0 to 1; NaN where it was not measured.
    """
    gains = [
        {name: slope * value for name, value in above_mean(measured).items()}
        for slope, measured in ((ON_COPIES, on_copies), (ON_PARTS, on_parts))
    ]
    weights = {
        name: math.log1p(math.exp(PRIORS[name] + sum(gain[name] for gain in gains)))
        for name in on_copies
    }
    least = _LEAST * sum(weights.values())
    kept = {name: weight for name, weight in weights.items() if weight >= least}
    return Configuration(kept, BIAS, dict(on_copies), dict(on_parts))


def by_hand(names: Sequence[str]) -> Configuration:
    """Mix candidates in equal parts.

    Args:
        names: of them.
    """
    return Configuration(dict.fromkeys(names, 1 / len(names)), 0.0, {}, {})


def above_mean(measured: Mapping[str, float]) -> dict[str, float]:
    """How much each value is above the mean of those that there are; 0 where it is not there."""
    known = [value for value in measured.values() if not math.isnan(value)]
    mean = sum(known) / len(known) if known else 0.0
    return {n: 0.0 if math.isnan(value) else value - mean for n, value in measured.items()}
