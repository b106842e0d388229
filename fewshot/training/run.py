"""A run in progress, and callbacks: what they see of it, and what they may do to it."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from fewshot.training.episodic import Task
from fewshot.training.settings import TrainSettings

RECENT = 20
"""Steps over which the loss is averaged for the eye."""


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


class Run:
    """The state of one training run.

    Args:
        task: what is trained.
        settings: budget and optimiser.
        folder: for everything that the run leaves behind.
        callbacks: told of every moment; empty in all processes but the first.

    Attributes:
        step: optimiser steps made, those before a resume included.
        optimiser: AdamW over the objective's weights.
        reason: why the run shall stop; "" while it goes on.
        losses: the last ones.
        scores: what was measured last.
    """

    def __init__(
        self, task: Task, settings: TrainSettings, folder: Path, callbacks: Sequence[Callback]
    ) -> None:
        self.task, self.settings, self.folder = task, settings, folder
        self.callbacks = tuple(callbacks)
        self.optimiser = torch.optim.AdamW(
            task.objective.parameters(),
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
        )
        self.step, self.reason = 0, ""
        self.losses: list[float] = []
        self.scores: dict[str, float] = {}
        self.earlier = 0.0  # seconds spent before a resume
        self.save_wanted = False
        self.started = self.saved = time.monotonic()

    # -- what callbacks may call -----------------------------------------------------------------

    def seconds(self) -> float:
        """Time spent, that before a resume included."""
        return self.earlier + time.monotonic() - self.started

    def stop(self, reason: str) -> None:
        """End the run after this step; the first reason counts."""
        self.reason = self.reason or reason

    def checkpoint(self) -> None:
        """Save the state of the run after this step."""
        self.save_wanted = True

    def measure(self, values: Mapping[str, float]) -> None:
        """Tell all callbacks of scores; the progress bar shows the last ones."""
        self.scores = dict(values)
        for callback in self.callbacks:
            callback.measured(self, values)

    def recent(self) -> float:
        """Mean loss of the last steps; NaN before the first."""
        return sum(self.losses) / len(self.losses) if self.losses else float("nan")

    # -- what the loop calls ---------------------------------------------------------------------

    def share(self) -> float:
        """How much of the budget is spent, whichever of time and steps is further."""
        limits = self.settings
        by_time = self.seconds() / (60 * limits.minutes) if limits.minutes else 0.0
        return max(by_time, self.step / limits.steps if limits.steps else 0.0)

    def save_is_due(self) -> bool:
        """Whether a checkpoint was asked for, or the last one is old."""
        limits = self.settings
        by_steps = (
            limits.checkpoint_steps and self.step and self.step % limits.checkpoint_steps == 0
        )
        return bool(
            self.save_wanted
            or by_steps
            or time.monotonic() - self.saved > limits.checkpoint_seconds
        )

    def stepped(self, values: Mapping[str, float]) -> None:
        """Note a step, and tell the callbacks."""
        self.step += 1
        self.losses = [*self.losses, values["loss"]][-RECENT:]
        for callback in self.callbacks:
            callback.step(self, values)
