"""`fewshot train`: episodes from a data set, held-out classes and subjects kept apart."""

import hashlib
import json
import math
import os
from dataclasses import asdict
from typing import Any

from episodes.catalog.catalog import Catalog
from episodes.catalog.loader import Loader
from episodes.catalog.splits import Split
from episodes.errors import shorten
from episodes.io.write import make_folder, write_json
from fewshot.evaluation.results import machine
from fewshot.experiments.callbacks import callbacks, validation_split
from fewshot.experiments.episode_mix import make_source
from fewshot.experiments.options import Train
from fewshot.experiments.run_record import check_out, earlier_commands, same_data
from fewshot.experiments.split import describe_split, make_split, open_catalog
from fewshot.memory import check_memory
from fewshot.models.calibration import Calibration
from fewshot.models.checkpoint import build_network, load_network, save_network
from fewshot.models.encoder import EncoderSettings
from fewshot.models.heads.base import HeadSettings, head_name
from fewshot.models.levels import strides_of
from fewshot.models.network import FewShotNetwork, NetworkSettings
from fewshot.provenance import typed_command
from fewshot.registry import HEADS
from fewshot.training.episodic import episode_objective, episode_task
from fewshot.training.folder import LOG, SETTINGS, SPLIT, make_room
from fewshot.training.loop import TrainResult, peak_memory
from fewshot.training.loop import train as run_training
from fewshot.training.seeding import seeded_weights


def train(command: Train) -> int:
    """Train, and say where everything is."""
    first = os.environ.get("RANK", "0") == "0"  # of several processes under torchrun, one speaks
    if first:
        check_out(command.data, command)
    make_folder(command.out)
    network = make_network(command)
    loss = (command.train.alignment, command.train.class_weights, command.train.loss)
    episode_objective(network, *loss)  # what does not fit is refused before the data is read
    catalog = open_catalog(command.data, command.dataset)
    parts = make_split(catalog, command.hold_out)
    if first:
        print(split_text(parts))
    result = fit(network, parts, command)
    if first:
        if not network.head.trainable:
            print(
                f"{head_name(network.settings.head)} learns nothing before it is given a support "
                "set: the model is saved as it is"
            )
        else:
            print(f"{result}\nmodel, log and curves in {command.out}")
        scored = parts.test.subjects and parts.test.classes
        use = "segment --support PICTURE --mask MASK --query PICTURES --out MASKS --model"
        print(f"next: fewshot {'evaluate' if scored else use} {command.out}")
    if result.interrupted:
        raise KeyboardInterrupt
    return 0


def split_text(parts: Split) -> str:
    """Say what is trained on, and what is held out."""

    def classes(names: tuple[str, ...], kind: str) -> str:
        return f"{len(names)} {kind}: {shorten(names)}" if names else f"no {kind}"

    held = (
        f"{len(parts.test.subjects)} subjects, {classes(parts.test.classes, 'classes')}"
        if parts.test.subjects
        else "no subject, so there is none to evaluate on"
    )
    return (
        f"{len(parts.train)} training images of {len(parts.train.subjects)} subjects, "
        f"{classes(parts.train.classes, 'base classes')}\nheld out: {held}"
    )


def fit(network: FewShotNetwork, parts: Split, command: Train) -> TrainResult:
    """Train on one side of a split, and remember the split; prints nothing but the progress.

    Args:
        network: trained in place.
        parts: the test side is described only.
        command: says how, and into which folder.

    Raises:
        DataError: nothing can be drawn from the training images, the folder holds a run that may
            not be replaced, or a run to be resumed had other data.
    """
    first = os.environ.get("RANK", "0") == "0"
    _check_memory(network, command)
    learnt, validation = validation_split(parts.train, command.monitor, command.train.seed)
    source = make_source(learnt, command, Loader(network.settings.size))
    about = {
        "command": typed_command(),
        "earlier_commands": earlier_commands(command.model),
        **describe_split(command.data, command.dataset, command.hold_out, parts),
        "validation_subjects": list(validation.subjects) if validation else [],
        "episodes": episode_source(learnt, command),
        "machine": machine(),
    }
    if command.resume:
        same_data(command.out, dict(about))
    if not network.head.trainable:
        if first:
            _only_save(network, command, about)
        return TrainResult(0, 0.0, math.nan, "it learns from supports", False, peak_memory())
    settings = command.train
    task = episode_task(network, source, settings.alignment, settings.class_weights, settings.loss)
    watched = callbacks(command, network, validation)
    return run_training(
        task,
        settings,
        command.out,
        watched,
        resume=command.resume,
        overwrite=command.output.overwrite,
        split=about,
    )


def _check_memory(network: FewShotNetwork, command: Train) -> None:
    """Refuse a size and batch that would not fit; every episode has one query."""
    episodes = math.ceil(command.train.batch / command.train.accumulate)
    images = episodes * (command.way * command.shot + 1)
    check_memory(
        *(network.encoder, network.settings.size, images, network.device),
        training=network.head.trainable,
    )


def _only_save(network: FewShotNetwork, command: Train, about: dict[str, Any]) -> None:
    make_room(make_folder(command.out), overwrite=command.output.overwrite, model=command.model)
    write_json(command.out / SPLIT, about)
    write_json(command.out / SETTINGS, {"train": asdict(command.train)})
    (command.out / LOG).write_text("", encoding="utf-8")
    save_network(network, command.out)


def make_network(command: Train) -> FewShotNetwork:
    """Build the network, or load the one to go on from."""
    if command.model is not None:
        network = load_network(command.model)
        network.calibration = Calibration()  # the old one is of weights that are about to change
        return network
    with seeded_weights(command.train.seed):
        return build_network(network_settings(command))


def network_settings(command: Train) -> NetworkSettings:
    """What the segmenter of a command is made of, if it does not go on from a model."""
    return NetworkSettings(
        encoder=EncoderSettings(command.backbone, strides_of(command.backbone, command.strides)),
        head=make_head_settings(command.head),
        size=command.size,
    )


def make_head_settings(name: str) -> HeadSettings:
    """The settings that a head's name on the command line stands for.

    Raises:
        UnknownPartError: there is no such head.
    """
    return HEADS[name].settings


def episode_source(catalog: Catalog, command: Train) -> dict[str, Any]:
    """What the training episodes depend on, and its hash: equal hash, equal episodes."""
    shape = {"way": command.way, "shot": command.shot, "size": command.size}
    settings = {**shape, "sources": asdict(command.mix), "seed": command.train.seed}
    parts = json.dumps([catalog.fingerprint, settings], sort_keys=True)
    return {**settings, "hash": hashlib.sha256(parts.encode()).hexdigest()[:16]}
