"""Training on pictures without labels, such as those that are to be segmented."""

import json
import os
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from episodes.catalog.catalog import Catalog, Sample
from episodes.catalog.loader import Loader
from episodes.errors import DataError
from episodes.readers import naming
from episodes.sampling.superpixel_sampler import STRONG, SuperpixelSampler
from fewshot.models.checkpoint import build_network
from fewshot.models.network import FewShotNetwork
from fewshot.training.episodic import episode_task
from fewshot.training.folder import SPLIT, STATE
from fewshot.training.loop import train
from fewshot.training.settings import TrainSettings

BATCH = 4


def train_on_pictures(
    paths: Sequence[Path], minutes: float, out: Path, seed: int = 0
) -> FewShotNetwork:
    """Train the default network on superpixels of pictures, and on nothing else.

    Args:
        paths: of pictures and volumes; those that cannot be read are left out.
        minutes: that training may take.
        out: folder for the model and its log, as `fewshot train` writes them; a run that is there
            goes on until the minutes are spent, with a warning where it was of other pictures.
        seed: of the episodes.

    Returns:
        The network, in evaluation mode.

    Raises:
        DataError: no picture can be read.

    Paper: Ouyang et al., Self-supervision with superpixels, ECCV 2020.
    """
    catalog = _catalog(paths)
    network = build_network(None)
    sampler = SuperpixelSampler(
        catalog, loader=Loader(network.settings.size), seed=seed, transform=STRONG
    )
    settings = TrainSettings(minutes=minutes, batch=BATCH, seed=seed)
    split, there = {"train_fingerprint": catalog.fingerprint}, (out / STATE).exists()
    if there and json.loads((out / SPLIT).read_text(encoding="utf-8")) != split:
        warnings.warn(
            f"the network in {out} was trained on other pictures, and is used as it is; remove "
            "that folder to train again",
            stacklevel=2,
        )
    task = episode_task(network, sampler)
    if train(task, settings, out, resume=there, split=split).interrupted:
        raise KeyboardInterrupt
    return network.eval()


def _catalog(paths: Sequence[Path]) -> Catalog:
    root = Path(os.path.commonpath([path.resolve().parent for path in paths]))
    samples: list[Sample] = []
    reasons = []
    for path in map(Path.resolve, paths):
        name = path.relative_to(root).as_posix()
        try:
            samples += naming.samples_of(root, path, [], name)
        except DataError as error:
            reasons.append(str(error))
    if not samples:
        raise DataError(f"none of {len(paths)} pictures can be trained on: {reasons[0]}")
    return Catalog(tuple(replace(each, areas={}) for each in samples), (), name="pictures")
