"""The state of a training run, and its callbacks."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch

from fewshot.training.episodic import Task
from fewshot.training.settings import TrainSettings

RECENT = 20
"""Steps over which the displayed loss is averaged."""


class Callback:
    """Base class of callbacks: override the methods that are needed.

    `run.stop(reason)` ends the run after this step, `run.checkpoint()` saves after it, and
    `run.report_scores(values)` calls `on_validation` of all callbacks. With several processes,
    only the first has callbacks, and all stop together.

    Attributes:
        state_name: of the callback in saved states; "" for the name of its class.

    ```
    class Patience(Callback):
        def on_validation(self, run, values):
            if values["dice"] > 0.9:
                run.stop("good enough")
    ```
    """

    state_name: ClassVar[str] = ""

    def on_start(self, run: "Run") -> None:
        """Before the first step of a new or resumed run."""

    def on_step_end(self, run: "Run", values: Mapping[str, float]) -> None:
        """After each optimiser step; `values` are its losses, gradient norm and learning rate."""

    def on_validation(self, run: "Run", values: Mapping[str, float]) -> None:
        """After scores were reported, e.g. of validation episodes."""

    def on_checkpoint(self, run: "Run") -> None:
        """Before the state of the run is written."""

    def on_end(self, run: "Run") -> None:
        """After the last step, unless an error ended the run."""

    def state(self) -> dict[str, Any]:
        """State to resume from: numbers, strings, tensors, lists and dictionaries."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned."""


class Run:
    """The state of one training run.

    Args:
        task: what is trained.
        settings: budget and optimiser.
        folder: of all files of the run.
        callbacks: empty in all processes but the first.

    Attributes:
        step: number of optimiser steps, those before a resume included.
        optimiser: AdamW over the objective's weights.
        reason: for which the run stops; "" while it continues.
        losses: the last ones.
        scores: the last that were reported.
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
            fused=True,  # a quarter of the time, which is a tenth of a step on processors
        )
        self.step, self.reason = 0, ""
        self.losses: list[float] = []
        self.scores: dict[str, float] = {}
        self.earlier = 0.0  # seconds spent before a resume
        self.save_requested = False
        self.started = self.saved = time.monotonic()

    # -- what callbacks may call -----------------------------------------------------------------

    def seconds(self) -> float:
        """Duration of the run, that before a resume included."""
        return self.earlier + time.monotonic() - self.started

    def stop(self, reason: str) -> None:
        """End the run after this step; the first reason counts."""
        self.reason = self.reason or reason

    def checkpoint(self) -> None:
        """Save the state of the run after this step."""
        self.save_requested = True

    def report_scores(self, values: Mapping[str, float]) -> None:
        """Call `on_validation` of all callbacks; the progress bar shows the last scores."""
        self.scores = dict(values)
        for callback in self.callbacks:
            callback.on_validation(self, values)

    def recent(self) -> float:
        """Mean loss of the last steps; NaN before the first."""
        return sum(self.losses) / len(self.losses) if self.losses else float("nan")

    # -- what the loop calls ---------------------------------------------------------------------

    def progress(self) -> float:
        """Fraction of the budget that is used: the larger of time and steps."""
        limits = self.settings
        by_time = self.seconds() / (60 * limits.minutes) if limits.minutes else 0.0
        return max(by_time, self.step / limits.steps if limits.steps else 0.0)

    def save_is_due(self) -> bool:
        """Whether a checkpoint was requested, or the last one is old."""
        limits = self.settings
        by_steps = (
            limits.checkpoint_steps and self.step and self.step % limits.checkpoint_steps == 0
        )
        return bool(
            self.save_requested
            or by_steps
            or time.monotonic() - self.saved > limits.checkpoint_seconds
        )

    def finish_step(self, values: Mapping[str, float]) -> None:
        """Count a step, and call `on_step_end` of all callbacks."""
        self.step += 1
        self.losses = [*self.losses, values["loss"]][-RECENT:]
        for callback in self.callbacks:
            callback.on_step_end(self, values)
