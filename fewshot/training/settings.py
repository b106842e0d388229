"""Settings of episodic training; importable without torch, so that the command answers quickly."""

from dataclasses import dataclass
from typing import Literal, get_args

from episodes.errors import FewshotError

Schedule = Literal["cosine", "linear", "constant"]


@dataclass(frozen=True)
class TrainSettings:
    """How anything is trained: budget, batch, optimiser, checkpoints.

    Attributes:
        minutes: stop after this time; 0 for no limit.
        steps: stop after so many optimiser steps; 0 for no limit.
        batch: episodes, or other items, a step; all processes together.
        accumulate: parts that each process computes a step in, one after another, to save memory.
        learning_rate: of AdamW at its highest.
        weight_decay: of AdamW.
        warmup: share of the run in which the learning rate rises.
        schedule: how it falls afterwards: "cosine", "linear", or "constant" for not at all.
        clip: largest norm of the gradient.
        checkpoint_seconds: time between checkpoints.
        checkpoint_steps: also save every so many steps; 0 for by time alone.
        workers: processes that load episodes beside the training; 0 loads in the same process.
        seed: of the episodes.
    """

    minutes: float = 3.0
    steps: int = 0
    batch: int = 4
    accumulate: int = 1
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    warmup: float = 0.05
    schedule: Schedule = "cosine"
    clip: float = 1.0
    checkpoint_seconds: float = 30.0
    checkpoint_steps: int = 0
    workers: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        positive = ("batch", "accumulate", "learning_rate", "clip", "checkpoint_seconds")
        wrong = [name for name in positive if getattr(self, name) <= 0]
        least_zero = (
            "minutes",
            "steps",
            "checkpoint_steps",
            "weight_decay",
            "workers",
            "seed",
        )
        wrong += [name for name in least_zero if getattr(self, name) < 0]
        if wrong:
            name = wrong[0]
            raise FewshotError(f"{name} is {getattr(self, name)}; expected a larger number")
        if not (self.minutes or self.steps):
            raise FewshotError("minutes and steps are both 0; set one, or training never ends")
        if self.schedule not in get_args(Schedule):
            raise FewshotError(
                f"schedule is {self.schedule!r}; expected {', '.join(get_args(Schedule))}"
            )
        if not 0 <= self.warmup < 1:
            raise FewshotError(f"warmup is {self.warmup}; expected a share from 0 to below 1")


@dataclass(frozen=True)
class EpisodeTraining(TrainSettings):
    """How a segmenter is trained on episodes.

    Attributes:
        loss: what is minimised: cross_entropy, balanced_cross_entropy, focal, dice,
            generalised_dice, tversky, focal_tversky, lovasz, boundary, cl_dice; or a sum with
            weights, e.g. dice+cross_entropy or dice+0.01*boundary (docs/losses.md).
        alignment: weight of the prototype alignment loss; 0 leaves it out.
        class_weights: of the pixels of the background and of the classes in cross_entropy and
            focal, e.g. 0.05 1 in ALPNet; by default those of the head. Gradient-based methods take
            none.
    """

    loss: str = "cross_entropy"
    alignment: float = 1.0
    class_weights: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.alignment < 0:
            raise FewshotError(f"alignment is {self.alignment}; expected a larger number")
        if self.class_weights is not None and min(self.class_weights) <= 0:
            raise FewshotError(f"class_weights are {self.class_weights}; expected numbers above 0")
