"""The visible loop: draw episodes, segment, compare, step; log and keep checkpoints."""

import json
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import torch
from tqdm import tqdm

from episodes.encode import make_folder, write_json
from episodes.episode import EpisodeBatch
from episodes.sampler import EpisodeSource
from episodes.stream import EpisodeStream
from fewshot.saving import save_segmenter
from fewshot.segmenter import Segmenter
from fewshot.training.objective import episode_loss
from fewshot.training.settings import TrainSettings

LOG = "log.jsonl"


@dataclass(frozen=True)
class TrainResult:
    """How a run ended.

    Attributes:
        steps: optimiser steps made.
        seconds: time taken.
        loss: mean loss of the last 20 steps, NaN when there was none.
        interrupted: whether Ctrl-C ended it.
    """

    steps: int
    seconds: float
    loss: float
    interrupted: bool


def train(
    segmenter: Segmenter,
    sampler: EpisodeSource,
    settings: TrainSettings,
    folder: Path,
    *,
    progress: bool = True,
) -> TrainResult:
    """Train a segmenter in place; `folder` gets a log line a step and the last checkpoint.

    Ctrl-C ends the run in good order: the checkpoint of the last whole step is written.

    Args:
        segmenter: trained in place.
        sampler: of the training catalog, drawing at the segmenter's size.
        settings: budget and optimiser.
        folder: the run's folder; made if it does not exist.
        progress: show a progress bar with the time left and the loss.

    Raises:
        DataError: the folder cannot be written.
        FloatingPointError: the loss is no number; the checkpoint of the step before stays.
    """
    make_folder(folder)
    write_json(folder / "settings.json", {"train": asdict(settings)})
    batches = iter(EpisodeStream(sampler, settings.batch).loader(settings.workers))
    run = _Run(segmenter, settings, folder)
    with (folder / LOG).open("w", encoding="utf-8") as log, _bar(settings, progress) as bar:
        try:
            while run.share() < 1:
                run.step(next(batches), log)
                bar.n = min(1.0, run.share()) * bar.total
                bar.set_postfix(loss=f"{run.recent():.3f}", step=run.steps)
        except KeyboardInterrupt:
            run.interrupted = True
        finally:
            run.checkpoint()
    segmenter.eval()
    return TrainResult(run.steps, run.seconds(), run.recent(), run.interrupted)


class _Run:
    """The state of one training run."""

    def __init__(self, segmenter: Segmenter, settings: TrainSettings, folder: Path) -> None:
        self.segmenter, self.settings, self.folder = segmenter, settings, folder
        self.optimiser = torch.optim.AdamW(
            segmenter.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        self.started = self.saved = time.monotonic()
        self.steps, self.losses, self.interrupted = 0, [float("nan")], False

    def seconds(self) -> float:
        return time.monotonic() - self.started

    def share(self) -> float:
        """How much of the budget is spent, whichever of time and steps is further."""
        limits = self.settings
        by_time = self.seconds() / (60 * limits.minutes) if limits.minutes else 0.0
        return max(by_time, self.steps / limits.steps if limits.steps else 0.0)

    def recent(self) -> float:
        """Mean loss of the last 20 steps."""
        last = self.losses[1:][-20:] or self.losses
        return sum(last) / len(last)

    def step(self, batch: EpisodeBatch, log: IO[str]) -> None:
        """One optimiser step on one batch of episodes, and its line in the log."""
        rate = self.settings.learning_rate * schedule(self.share(), self.settings.warmup)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.segmenter.train()
        loss = episode_loss(
            self.segmenter, batch.to(self.segmenter.device), self.settings.alignment
        )
        value = loss.total.item()
        if not math.isfinite(value):
            raise FloatingPointError(
                f"the loss is {value} at step {self.steps + 1}; lower the learning rate "
                f"({self.settings.learning_rate}) or look at the images of these episodes: "
                f"{[plan.index for plan in batch.plans]}"
            )
        self.optimiser.zero_grad(set_to_none=True)
        loss.total.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.segmenter.parameters(), self.settings.clip)
        self.optimiser.step()
        self.steps += 1
        self.losses.append(value)
        line = {
            "step": self.steps,
            "seconds": round(self.seconds(), 3),
            "loss": value,
            "query_loss": loss.query.item(),
            "alignment_loss": loss.alignment.item(),
            "gradient_norm": norm.item(),
            "learning_rate": rate,
        }
        log.write(json.dumps(line) + "\n")
        log.flush()  # one whole line a step, whatever ends the run
        if time.monotonic() - self.saved > self.settings.checkpoint_seconds:
            self.checkpoint()

    def checkpoint(self) -> None:
        """Replace the checkpoint by the present weights, whole or not at all."""
        save_segmenter(self.segmenter, self.folder)
        self.saved = time.monotonic()


def schedule(share: float, warmup: float) -> float:
    """Learning rate as a share of its highest: a linear rise, then half a cosine down to 1 %.

    >>> [round(schedule(share, 0.1), 3) for share in (0.05, 0.1, 1.0)]
    [0.5, 1.0, 0.01]
    """
    if share < warmup:
        return max(share / warmup, 0.01)
    rest = (min(share, 1.0) - warmup) / (1 - warmup)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * rest))


def _bar(settings: TrainSettings, progress: bool) -> tqdm:
    by_time = bool(settings.minutes)
    return tqdm(
        total=60 * settings.minutes if by_time else settings.steps,
        desc="training",
        disable=not progress,
        bar_format="{desc}: {percentage:3.0f}%|{bar}| {elapsed} of "
        + (f"{settings.minutes:g} min{{postfix}}" if by_time else "{total:.0f} steps{postfix}"),
    )
