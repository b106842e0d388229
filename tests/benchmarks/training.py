"""What the training loop costs a step, beside plain torch and Lightning's Trainer, in one process.

All three train the same tiny model on the same batches with the same optimiser, clipping and
learning rates, so that nearly all of a step is the loop's own; the final weights are checked to be
equal. Ours and Lightning's log the loss of every step to a file; plain torch does nothing that
training does not need. Rounds alternate between the three; a figure is the median over rounds of
the mean time a step, without start and end.

    python tests/benchmarks/training.py [--quick]

Needs the extra ``bench`` and Linux (/proc).
"""

import argparse
import contextlib
import json
import logging
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch import callbacks as lightning_callbacks
from lightning.pytorch.loggers import CSVLogger
from shared import observe
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from fewshot.training.episodic import Task
from fewshot.training.loop import schedule, train
from fewshot.training.run import Callback
from fewshot.training.settings import TrainSettings

BATCH, WARM = 8, 20


class Objective(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 1))

    def forward(self, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        return {"loss": (self.layers(batch[0]) - batch[1]).square().mean()}


def load(indices: Any) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(indices[0])
    inputs = torch.randn(len(indices), 4, generator=generator)
    return inputs, inputs.prod(dim=1, keepdim=True).sin()


class Batches(IterableDataset):
    def __init__(self, steps: int) -> None:
        self.steps = steps

    def __iter__(self) -> Any:
        for step in range(self.steps):
            yield load(range(step * BATCH, (step + 1) * BATCH))


def settings(steps: int) -> TrainSettings:
    return TrainSettings(minutes=0.0, steps=steps, batch=BATCH, checkpoint_seconds=1e9)


def optimiser_of(model: nn.Module, chosen: TrainSettings) -> torch.optim.Optimizer:
    return torch.optim.AdamW(
        model.parameters(),
        lr=chosen.learning_rate,
        weight_decay=chosen.weight_decay,
        fused=True,  # as ours
    )


def plain(steps: int) -> tuple[nn.Module, float]:
    objective, chosen = Objective(), settings(steps)
    optimiser = optimiser_of(objective, chosen)
    for step, batch in enumerate(DataLoader(Batches(steps), None)):
        if step == WARM:
            started = time.perf_counter()
        for group in optimiser.param_groups:
            group["lr"] = chosen.learning_rate * schedule(step / steps, chosen.warmup)
        optimiser.zero_grad(set_to_none=True)
        objective(batch)["loss"].backward()
        nn.utils.clip_grad_norm_(objective.parameters(), chosen.clip)
        optimiser.step()
    return objective, (time.perf_counter() - started) / (steps - WARM)


class Clock(Callback):
    def __init__(self, steps: int) -> None:
        self.steps = steps

    def on_step_end(self, run: Any, values: Any) -> None:
        if run.step == WARM:
            self.started = time.perf_counter()
        if run.step == self.steps:
            self.ended = time.perf_counter()


def ours(steps: int) -> tuple[nn.Module, float]:
    objective, clock = Objective(), Clock(steps)
    with tempfile.TemporaryDirectory() as folder:
        task = Task(objective, load, lambda _: None)
        train(task, settings(steps), Path(folder), [clock], progress=True)
    return objective, (clock.ended - clock.started) / (steps - WARM)


class Module(LightningModule):
    def __init__(self, steps: int) -> None:
        super().__init__()
        self.objective, self.chosen, self.steps = Objective(), settings(steps), steps

    def training_step(self, batch: Any, number: int) -> Tensor:
        loss = self.objective(batch)["loss"]
        self.log("loss", loss, prog_bar=True)
        return loss

    def configure_optimizers(self) -> Any:
        optimiser = optimiser_of(self.objective, self.chosen)
        rate = torch.optim.lr_scheduler.LambdaLR(
            optimiser, lambda step: schedule(step / self.steps, self.chosen.warmup)
        )
        return [optimiser], [{"scheduler": rate, "interval": "step"}]


class LightningClock(lightning_callbacks.Callback):
    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        if trainer.global_step == WARM:
            self.started = time.perf_counter()
        self.ended = time.perf_counter()


def lightning(steps: int) -> tuple[nn.Module, float]:
    module, clock = Module(steps), LightningClock()
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            accelerator="cpu",
            max_steps=steps,
            logger=CSVLogger(folder),
            log_every_n_steps=1,
            gradient_clip_val=module.chosen.clip,
            callbacks=[clock],
            enable_checkpointing=False,
            enable_progress_bar=True,
            enable_model_summary=False,
        )
        with contextlib.redirect_stdout(sys.stderr):  # its progress bar
            trainer.fit(module, DataLoader(Batches(steps), None))
    return module.objective, (clock.ended - clock.started) / (steps - WARM)


def check_equal(first: nn.Module, second: nn.Module) -> None:
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer steps: within 50 seconds")
    arguments = parser.parse_args()
    steps, rounds = (400, 3) if arguments.quick else (2000, 9)
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    kinds: dict[str, Callable] = {"ours": ours, "plain": plain, "lightning": lightning}
    times: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(rounds):
        models = {}
        for name, kind in kinds.items():
            models[name], seconds = kind(steps)
            times[name].append(1e3 * seconds)
        check_equal(models["ours"], models["plain"])
        check_equal(models["lightning"], models["plain"])
    median = {name: statistics.median(values) for name, values in times.items()}
    over = {name: median[name] - median["plain"] for name in ("ours", "lightning")}
    peak = {name: observe(partial(kind, steps)).peak_mib for name, kind in kinds.items()}
    for kind, peer, value, own in (
        ("plain", "plain torch, the whole step", median["plain"], median["ours"]),
        ("lightning", "Lightning Trainer, above plain torch", over["lightning"], over["ours"]),
    ):
        line = {
            "name": f"training loop, {steps} steps of a tiny model",
            "unit": "ms a step",
            "ours": round(own, 4),
            "peer": peer,
            "peer_value": round(value, 4),
            "ratio": round(value / own, 2),
            "peak_mib_ours": round(peak["ours"], 2),
            "peak_mib_peer": round(peak[kind], 2),
        }
        sys.stdout.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
