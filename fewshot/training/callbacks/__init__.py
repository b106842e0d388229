"""Callbacks: small classes that watch a run, and may act on it, at named moments."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fewshot.training.run import Run


class Callback:
    """Override the moments that matter; each one gets the run and may call its methods.

    `run.stop(reason)` ends the run after this step, `run.checkpoint()` saves now, and
    `run.measure(values)` tells all callbacks of scores. With several processes, callbacks live in
    the first one alone, and all stop together.

    ```
    class Patience(Callback):
        def measured(self, run, values):
            if values["dice"] > 0.9:
                run.stop("good enough")
    ```
    """

    def start(self, run: "Run") -> None:
        """Before the first step of a new or resumed run."""

    def step(self, run: "Run", values: Mapping[str, float]) -> None:
        """After each optimiser step; `values` are its losses, gradient norm and learning rate."""

    def measured(self, run: "Run", values: Mapping[str, float]) -> None:
        """After something was measured, such as scores on held-out episodes."""

    def checkpoint(self, run: "Run") -> None:
        """Before the state of the run is written."""

    def end(self, run: "Run") -> None:
        """After the last step, however the run ended, unless an error did."""

    def state(self) -> dict[str, Any]:
        """What has to survive a restart: numbers, strings, tensors, lists and dictionaries."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` gave."""
