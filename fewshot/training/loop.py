"""The visible loop: take a batch, lower its loss; log, save, and stop when it is time."""

import contextlib
import math
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from episodes.errors import FewshotError
from episodes.io.write import make_folder, write_json
from episodes.sampling.dataloader import BatchLoader
from fewshot.training.callbacks.log import Curves, JsonLog
from fewshot.training.distributed import Processes
from fewshot.training.episodic import Task
from fewshot.training.folder import SETTINGS, SPLIT, held, make_room
from fewshot.training.resume import load_state, save_state
from fewshot.training.run import Callback, Run
from fewshot.training.settings import TrainSettings


@dataclass(frozen=True)
class TrainResult:
    """How a run ended.

    Attributes:
        steps: optimiser steps made.
        seconds: time taken.
        loss: mean loss of the last 20 steps, NaN when there was none.
        reason: why it ended.
        interrupted: whether Ctrl-C, or a signal to end, was the reason.
        peak_mib: most memory that this process held at once, whatever came before included.
    """

    steps: int
    seconds: float
    loss: float
    reason: str
    interrupted: bool
    peak_mib: float

    def __str__(self) -> str:
        return (
            f"{self.steps} steps in {self.seconds:.0f} s, loss {self.loss:.3f}: {self.reason}; at "
            f"most {self.peak_mib:,.0f} MiB of memory"
        )


def train(
    task: Task,
    settings: TrainSettings,
    folder: Path,
    callbacks: Sequence[Callback] = (),
    *,
    resume: bool = False,
    overwrite: bool = False,
    split: Mapping[str, Any] | None = None,
    progress: bool = True,
    log: bool = True,
) -> TrainResult:
    """Train in place; `folder` gets a log line a step, the model and the state of the run.

    Step s works on the items s · batch to (s + 1) · batch - 1, whatever the number of processes,
    workers and restarts. Ctrl-C and SIGTERM end the run after the step in progress.

    Args:
        task: what is trained on what.
        settings: budget and optimiser.
        folder: the run's folder; made if it does not exist.
        callbacks: called after the log.
        resume: go on from the state in the folder.
        overwrite: remove what an earlier run left in the folder, instead of refusing it.
        split: what is remembered of the data, in `split.json`.
        progress: show a progress bar with the time left and the loss.
        log: write a log, with its table and curves; a folder that is not kept needs none.

    Raises:
        DataError: the folder cannot be written, holds a run that may not be replaced, or another
            process is training into it.
        ModelError: there is nothing to resume, or it does not fit.
        FewshotError: the batch cannot be shared between the processes.
        FloatingPointError: the loss is no number; the checkpoint before stays.
    """
    make_folder(folder)
    processes = Processes(_device(task.objective))
    _check_micro_batches(settings, processes.world)
    first = processes.rank == 0
    logs = (JsonLog(), Curves()) if log else ()
    run = Run(task, settings, folder, [*logs, *callbacks] if first else [])
    objective = processes.wrap(task.objective)
    with held(folder) if first else contextlib.nullcontext():
        if resume:
            load_state(run, processes)
        elif first:
            make_room(folder, overwrite=overwrite)
            if split is not None:
                write_json(folder / SPLIT, split)
            write_json(folder / SETTINGS, {"train": asdict(settings)})
        for callback in run.callbacks:
            callback.on_start(run)
        with _bar(settings, progress and first) as bar, _signals(run):
            stopped = _steps(run, objective, processes, bar)
        interrupted = run.reason in _SIGNALS.values()
        for callback in reversed(run.callbacks):  # the log, which comes first, records all others
            callback.on_end(run)
        save_state(run, processes, finished=not interrupted)
    task.objective.eval()
    reason = run.reason or ("another process stopped" if stopped else "the budget is spent")
    return TrainResult(run.step, run.seconds(), run.recent(), reason, interrupted, peak_memory())


def _steps(run: Run, objective: nn.Module, processes: Processes, bar: tqdm) -> bool:
    """Make steps until the budget is spent or a process stops; returns whether one stopped."""
    batches = _batches(run, processes)
    while True:
        share, save, stop = processes.synchronise(
            run.progress(), run.save_is_due(), bool(run.reason)
        )
        if share >= 1 or stop:
            return stop
        if save:
            save_state(run, processes, finished=False)
        _step(run, objective, processes, batches, share)
        numbers = {"loss": run.recent(), **run.scores}
        shown = {name: f"{value:.3f}" for name, value in numbers.items()}
        bar.set_postfix({**shown, "step": run.step}, refresh=False)
        bar.update(min(1.0, run.progress()) * bar.total - bar.n)


def _step(
    run: Run,
    objective: nn.Module,
    processes: Processes,
    batches: Iterator[Any],
    progress: float,
) -> None:
    """One optimiser step."""
    settings = run.settings
    rate = settings.learning_rate * schedule(progress, settings.warmup, settings.schedule)
    for group in run.optimiser.param_groups:
        group["lr"] = rate
    objective.train()
    run.optimiser.zero_grad(set_to_none=True)
    sums: dict[str, torch.Tensor] = {}
    for part in range(settings.accumulate):
        batch = processes.move(next(batches))
        with processes.micro_batch(objective, last=part == settings.accumulate - 1):
            losses = objective(batch)
            (losses["loss"] / settings.accumulate).backward()
        for name, value in losses.items():
            sums[name] = sums.get(name, 0) + value.detach() / settings.accumulate
    values = processes.mean(sums)
    if not math.isfinite(values["loss"]):
        first = run.step * settings.batch
        raise FloatingPointError(
            f"the loss is {values['loss']} at step {run.step + 1}; lower the learning rate "
            f"({settings.learning_rate}) or check the images of the items {first} to "
            f"{first + settings.batch - 1}"
        )
    norm = nn.utils.clip_grad_norm_(run.task.objective.parameters(), settings.clip)
    run.optimiser.step()
    run.finish_step({**values, "gradient_norm": norm.item(), "learning_rate": rate})


def _batches(run: Run, processes: Processes) -> Iterator[Any]:
    """The micro-batches of this process, from the next step on."""
    settings = run.settings
    return iter(
        BatchLoader(
            run.task.load,
            settings.batch // (processes.world * settings.accumulate),
            workers=settings.workers,
            rank=processes.rank,
            world=processes.world,
            start=run.step * settings.batch,
        )
    )


def _check_micro_batches(settings: TrainSettings, world: int) -> None:
    parts = world * settings.accumulate
    if settings.batch % parts:
        raise FewshotError(
            f"a batch of {settings.batch} cannot be divided among {world} processes in "
            f"{settings.accumulate} micro-batches each; expected a multiple of {parts}"
        )


def peak_memory() -> float:
    """Peak memory of this process, in MiB; NaN where it is not known."""
    try:
        import resource
    except ImportError:  # not on Windows
        return math.nan
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def schedule(progress: float, warmup: float, kind: str = "cosine") -> float:
    """Learning rate as a fraction of its maximum: linear warm-up, then decay of this kind.

    "cosine" and "linear" decay to 1 %; "constant" does not decay.

    >>> [round(schedule(progress, 0.1), 3) for progress in (0.05, 0.1, 1.0)]
    [0.5, 1.0, 0.01]
    >>> [round(schedule(0.55, 0.1, kind), 3) for kind in ("cosine", "linear", "constant")]
    [0.505, 0.505, 1.0]
    """
    if progress < warmup:
        return max(progress / warmup, 0.01)
    decay = (min(progress, 1.0) - warmup) / (1 - warmup)
    falls = {"cosine": 0.5 * (1 + math.cos(math.pi * decay)), "linear": 1 - decay, "constant": 1.0}
    return 0.01 + 0.99 * falls[kind]


_SIGNALS = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "a signal to end"}


@contextlib.contextmanager
def _signals(run: Run) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end the run after the step in progress; a second one ends it now."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals reach the main thread alone
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}

    def request_stop(number: int, _: object) -> None:
        run.stop(_SIGNALS[signal.Signals(number)])
        for each, handler in before.items():
            signal.signal(each, handler)

    for number in _SIGNALS:
        signal.signal(number, request_stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _device(objective: nn.Module) -> torch.device:
    return next(objective.parameters()).device


def _bar(settings: TrainSettings, progress: bool) -> tqdm:
    by_time = bool(settings.minutes)
    return tqdm(
        total=60 * settings.minutes if by_time else settings.steps,
        desc="training",
        disable=not progress,
        mininterval=0.2 if sys.stderr.isatty() else 10.0,  # a file need not hold every step
        bar_format="{desc}: {percentage:3.0f}%|{bar}| {elapsed} of "
        + (f"{settings.minutes:g} min{{postfix}}" if by_time else "{total:.0f} steps{postfix}"),
    )
