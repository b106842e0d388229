"""Callbacks that validate during a run, keep the best model, and stop without a gain."""

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

from fewshot.training.run import Callback, Run

Best = Literal["highest", "lowest"]


class Validation(Callback):
    """Computes scores every `every` steps, and after the last one.

    Args:
        score: returns named scores of the current model, of any metric.
        every: steps between validations.
    """

    state_name = "Measure"  # of the states of earlier versions

    def __init__(self, score: Callable[[], Mapping[str, float]], every: int) -> None:
        if every < 1:
            raise ValueError(f"every is {every} steps; expected at least 1")
        self.score, self.every, self.last = score, every, 0

    def on_step_end(self, run: Run, values: Mapping[str, float]) -> None:
        """Validate if it is due."""
        if run.step % self.every == 0:
            self._validate(run)

    def on_end(self, run: Run) -> None:
        """Validate the last model, unless that was done."""
        if run.step > self.last:
            self._validate(run)

    def state(self) -> dict[str, Any]:
        """The step of the last validation."""
        return {"last": self.last}

    def restore(self, state: dict[str, Any]) -> None:
        """Restore it."""
        self.last = state["last"]

    def _validate(self, run: Run) -> None:
        self.last = run.step
        run.report_scores(self.score())


class KeepBest(Callback):
    """Keeps the model with the best score in the sub-folder `best`.

    Args:
        name: of the score.
        best: whether the highest or the lowest is best.

    Attributes:
        value: the best score so far; NaN before the first.
    """

    def __init__(self, name: str, best: Best = "highest") -> None:
        self.name, self.best, self.value = name, best, math.nan

    def on_validation(self, run: Run, values: Mapping[str, float]) -> None:
        """Save the model if no earlier one was as good."""
        value = _named(values, self.name)
        if not math.isnan(value) and (math.isnan(self.value) or self._better(value)):
            self.value = value
            run.task.save(run.folder / "best")

    def _better(self, value: float) -> bool:
        return value > self.value if self.best == "highest" else value < self.value

    def state(self) -> dict[str, Any]:
        """The best score."""
        return {"value": self.value}

    def restore(self, state: dict[str, Any]) -> None:
        """Restore it."""
        self.value = state["value"]


class EarlyStopping(Callback):
    """Stops when a score has not improved for some validations.

    Args:
        name: of the score.
        patience: number of validations without an improvement before the run is stopped.
        min_change: smallest improvement, in units of the score.
        best: whether the highest or the lowest is best.
    """

    def __init__(
        self, name: str, patience: int = 5, min_change: float = 0.0, best: Best = "highest"
    ) -> None:
        if patience < 1 or min_change < 0:
            raise ValueError(
                f"patience is {patience} and min_change {min_change}; expected at least 1 and 0"
            )
        self.name, self.patience, self.min_change = name, patience, min_change
        self.sign = 1.0 if best == "highest" else -1.0
        self.value, self.patience_count = -math.inf, 0

    def on_validation(self, run: Run, values: Mapping[str, float]) -> None:
        """Count validations without an improvement (NaN is none), and stop after `patience`."""
        value = self.sign * _named(values, self.name)
        if value > self.value + self.min_change or (self.value == -math.inf and value > -math.inf):
            self.value, self.patience_count = value, 0
            return
        self.patience_count += 1
        if self.patience_count >= self.patience:
            run.stop(
                f"{self.name} did not improve on {self.sign * self.value:.4g} in "
                f"{self.patience_count} validations"
            )

    def state(self) -> dict[str, Any]:
        """The best score, and the number of validations since."""
        return {"value": self.value, "waited": self.patience_count}

    def restore(self, state: dict[str, Any]) -> None:
        """Restore both."""
        self.value, self.patience_count = state["value"], state["waited"]


def _named(values: Mapping[str, float], name: str) -> float:
    if name not in values:
        raise KeyError(f"there is no score {name!r}; there are {sorted(values)}")
    return float(values[name])
