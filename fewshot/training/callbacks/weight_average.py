"""An exponential moving average of the weights, which often scores better than the last ones."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from fewshot.training.run import Callback, Run


class WeightAverage(Callback):
    """Averages the weights, average = decay · average + (1 - decay) · weights, into `average/`.

    Args:
        decay: how much of the average stays in a step, from 0 to below 1. The first steps use
            (1 + step) / (10 + step) where that is smaller, so that the start is forgotten.

    Paper: Polyak and Juditsky, Acceleration of stochastic approximation by averaging, 1992.
    """

    def __init__(self, decay: float = 0.99) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"decay is {decay}; expected from 0 to below 1")
        self.decay = decay
        self.average: dict[str, Tensor] = {}

    def on_start(self, run: Run) -> None:
        """Begin with the weights as they are."""
        weights = _weights(run)
        if not self.average:
            self.average = {name: tensor.clone() for name, tensor in weights.items()}
        self.average = {name: t.to(weights[name].device) for name, t in self.average.items()}

    def on_step_end(self, run: Run, values: Mapping[str, float]) -> None:
        """Move the average towards the weights."""
        decay = min(self.decay, (1 + run.step) / (10 + run.step))
        weights = _weights(run)
        torch._foreach_lerp_(
            list(self.average.values()), [weights[name] for name in self.average], 1 - decay
        )

    def on_checkpoint(self, run: Run) -> None:
        """Save the model with the averaged weights."""
        self._save(run)

    def _save(self, run: Run) -> None:
        kept = {name: tensor.clone() for name, tensor in _weights(run).items()}
        _set(run, self.average)
        try:
            run.task.save(run.folder / "average")
        finally:
            _set(run, kept)

    def state(self) -> dict[str, Any]:
        """The average."""
        return {"average": self.average}

    def restore(self, state: dict[str, Any]) -> None:
        """Take it back."""
        self.average = state["average"]


def _weights(run: Run) -> dict[str, Tensor]:
    return {name: tensor.detach() for name, tensor in run.task.objective.named_parameters()}


def _set(run: Run, values: Mapping[str, Tensor]) -> None:
    with torch.no_grad():
        for name, tensor in run.task.objective.named_parameters():
            tensor.copy_(values[name])
