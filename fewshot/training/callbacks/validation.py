"""Callbacks that measure during a run, keep the best model, and stop when there is no gain."""

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

from fewshot.training.run import Callback, Run

Best = Literal["highest", "lowest"]


class Measure(Callback):
    """Measures every so many steps, and after the last one.

    Args:
        score: returns named scores of the model as it is; any metric will do.
        every: steps between measurements.
    """

    def __init__(self, score: Callable[[], Mapping[str, float]], every: int) -> None:
        if every < 1:
            raise ValueError(f"every is {every} steps; expected at least 1")
        self.score, self.every, self.last = score, every, 0

    def step(self, run: Run, values: Mapping[str, float]) -> None:
        """Measure if it is time."""
        if run.step % self.every == 0:
            self._measure(run)

    def end(self, run: Run) -> None:
        """Measure the last model, unless that was done."""
        if run.step > self.last:
            self._measure(run)

    def state(self) -> dict[str, Any]:
        """The step of the last measurement."""
        return {"last": self.last}

    def restore(self, state: dict[str, Any]) -> None:
        """Take it back."""
        self.last = state["last"]

    def _measure(self, run: Run) -> None:
        self.last = run.step
        run.measure(self.score())


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

    def measured(self, run: Run, values: Mapping[str, float]) -> None:
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
        """Take it back."""
        self.value = state["value"]


class EarlyStopping(Callback):
    """Stops when a score has not become better for some measurements.

    Args:
        name: of the score.
        patience: measurements without a gain that are waited for.
        minimum_change: what counts as a gain, in units of the score.
        best: whether the highest or the lowest is best.
    """

    def __init__(
        self, name: str, patience: int = 5, minimum_change: float = 0.0, best: Best = "highest"
    ) -> None:
        if patience < 1 or minimum_change < 0:
            raise ValueError(
                f"patience is {patience} and minimum_change {minimum_change}; expected at least "
                "1 and 0"
            )
        self.name, self.patience, self.minimum_change = name, patience, minimum_change
        self.sign = 1.0 if best == "highest" else -1.0
        self.value, self.waited = -math.inf, 0

    def measured(self, run: Run, values: Mapping[str, float]) -> None:
        """Count, and stop the run if the patience is at its end; NaN is no gain."""
        value = self.sign * _named(values, self.name)
        if value > self.value + self.minimum_change or (
            self.value == -math.inf and value > -math.inf
        ):
            self.value, self.waited = value, 0
            return
        self.waited += 1
        if self.waited >= self.patience:
            run.stop(
                f"{self.name} did not become better than {self.sign * self.value:.4g} in "
                f"{self.waited} measurements"
            )

    def state(self) -> dict[str, Any]:
        """The best score, and how long it has been waited for another."""
        return {"value": self.value, "waited": self.waited}

    def restore(self, state: dict[str, Any]) -> None:
        """Take both back."""
        self.value, self.waited = state["value"], state["waited"]


def _named(values: Mapping[str, float], name: str) -> float:
    if name not in values:
        raise KeyError(f"no score {name!r} was measured; there are {sorted(values)}")
    return float(values[name])
