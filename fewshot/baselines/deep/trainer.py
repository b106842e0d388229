"""Training of a network on annotated images, in the package's own loop."""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch import Tensor, nn

from episodes.errors import DataError
from fewshot.baselines.deep.settings import DeepSettings
from fewshot.losses.episode_loss import EpisodeLoss
from fewshot.models.precision import autocast
from fewshot.training.episodic import Task
from fewshot.training.folder import SPLIT, STATE
from fewshot.training.loop import TrainResult, train
from fewshot.training.run import Callback
from fewshot.training.seeding import seeded_weights
from fewshot.training.settings import TrainSettings

_BUDGET = ("steps", "minutes", "run")  # settings that may differ when a run goes on
_NEVER = 1e9  # seconds between checkpoints of a run that is not kept


class PixelObjective(nn.Module):
    """The loss of a network's logits on labelled patches; each patch counts alike.

    Args:
        network: gives logits [batch label rows columns] for images [batch 3 height width]; coarser
            ones are enlarged.
        loss: see `EpisodeLoss`.
    """

    def __init__(self, network: nn.Module, loss: str) -> None:
        super().__init__()
        self.network, self.loss = network, EpisodeLoss(loss)

    def forward(self, batch: Sequence[Tensor]) -> dict[str, Tensor]:
        """Return the "loss"."""
        images, labels = batch
        with autocast(images.device, training=True):
            logits = self.network(images)
        return {"loss": self.loss(logits.float()[:, None], labels[:, None])}


def train_network(
    objective: nn.Module,
    load: Callable[[Sequence[int]], Any],
    save: Callable[[Path], object],
    settings: DeepSettings,
    *,
    data: str,
    folder: Path | None = None,
    callbacks: Sequence[Callback] = (),
    workers: int = 0,
) -> TrainResult:
    """Train in place, from the start or from where a run in the folder was stopped.

    Args:
        objective: see `Task`.
        load: loads a batch by item numbers.
        save: writes the model into a folder.
        settings: budget, optimiser and seed.
        data: fingerprint of what is trained on.
        folder: of the run; None keeps nothing but the weights in memory.
        callbacks: of the run.
        workers: processes that load batches.

    Raises:
        DataError: the folder holds a run of other images or settings.
        KeyboardInterrupt: training was interrupted; a run in a folder can go on.
    """
    split = {"train_fingerprint": data, "baseline": _fixed(settings)}
    there = folder is not None and (folder / STATE).exists()
    if folder is not None and there:
        _check_same(folder, split)
    with ExitStack() as stack:
        stack.enter_context(seeded_weights(settings.seed))  # dropout and samples of boxes
        kept = folder or Path(stack.enter_context(TemporaryDirectory()))
        result = train(
            Task(objective, load, save if folder else _nothing),
            *(_budget(settings, workers, keep=folder is not None), kept, callbacks),
            resume=there,
            split=split,
            log=folder is not None,
        )
    if result.interrupted:
        raise KeyboardInterrupt
    return result


def _budget(settings: DeepSettings, workers: int, *, keep: bool) -> TrainSettings:
    return TrainSettings(
        minutes=settings.minutes,
        steps=settings.steps,
        batch=settings.batch,
        learning_rate=settings.learning_rate,
        seed=settings.seed,
        workers=workers,
        checkpoint_seconds=TrainSettings.checkpoint_seconds if keep else _NEVER,
    )


def _fixed(settings: DeepSettings) -> dict[str, Any]:
    """The settings that make a run, as JSON has them."""
    values = {name: value for name, value in asdict(settings).items() if name not in _BUDGET}
    return json.loads(json.dumps(values))


def _check_same(folder: Path, split: Mapping[str, Any]) -> None:
    try:
        before = json.loads((folder / SPLIT).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{folder / SPLIT} cannot be read ({error}); choose another run") from error
    if before == split:
        return
    theirs, ours = before.get("baseline") or {}, split["baseline"]
    names = [n for n in ours if n in theirs and theirs[n] != ours[n]]
    if not isinstance(theirs, dict) or theirs.keys() != ours.keys():
        what = "is not of this network"
    elif names:
        what = f"has {names[0]} {theirs[names[0]]}, and now it is {ours[names[0]]}"
    else:
        what = "was of other annotated images"
    raise DataError(f"the run in {folder} {what}; choose another folder for run, or remove it")


def _nothing(folder: Path) -> None:
    """Keep no model: its weights stay in memory."""
