"""`fewshot train`: episodes from a data set, held-out classes and subjects kept apart."""

import hashlib
import json
import math
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from episodes.catalog.catalog import Catalog
from episodes.catalog.loader import Loader
from episodes.catalog.splits import Split
from episodes.errors import DataError, shorten
from episodes.io.write import make_folder, write_json
from fewshot.evaluation.results import machine
from fewshot.experiments.callbacks import callbacks, keep_aside
from fewshot.experiments.options import Held, Train
from fewshot.experiments.pair_options import MatchTrain
from fewshot.experiments.sources import make_source
from fewshot.experiments.split import describe_split, hold_out, open_catalog
from fewshot.memory import check_memory
from fewshot.models.calibration import Calibration
from fewshot.models.checkpoint import build_network, load_network, save_network
from fewshot.models.encoder import EncoderSettings
from fewshot.models.heads.base import HeadSettings, head_name
from fewshot.models.network import FewShotNetwork, NetworkSettings
from fewshot.provenance import typed_command
from fewshot.registry import HEADS
from fewshot.training.callbacks.log import read_log
from fewshot.training.episodic import episode_objective, episode_task
from fewshot.training.folder import LOG, SETTINGS, SPLIT, make_room, refuse_run, run_of
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
    held = command.held
    catalog = open_catalog(
        command.data,
        held.subject_pattern,
        held.classes,
        command.cache,
        ignore_affine=held.ignore_affine,
    )
    parts = hold_out(catalog, command.held)
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
    learnt, aside = keep_aside(parts.train, command.watch, command.train.seed)
    source = make_source(learnt, command, Loader(network.settings.size))
    about = {
        "command": typed_command(),
        "earlier_commands": earlier_commands(command.model),
        **describe_split(command.data, command.held, parts),
        "validation_subjects": list(aside.subjects) if aside else [],
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
    watched = callbacks(command, network, aside)
    return run_training(
        task,
        settings,
        command.out,
        watched,
        resume=command.resume,
        overwrite=command.overwrite,
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
    make_room(make_folder(command.out), overwrite=command.overwrite, model=command.model)
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
        encoder=EncoderSettings(name=command.backbone, strides=command.strides),
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
    settings = {**shape, "sources": asdict(command.sources), "seed": command.train.seed}
    parts = json.dumps([catalog.fingerprint, settings], sort_keys=True)
    return {**settings, "hash": hashlib.sha256(parts.encode()).hexdigest()[:16]}


def read_split(folder: Path) -> dict:
    """Read what `train` remembered of its split; its sub-folders best and average share it."""
    path = run_of(folder) / SPLIT
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        missing = {"held", "data", "test_fingerprint"} - set(content)
        if missing:
            raise DataError(f"{path} lacks {sorted(missing)}; train again")
    except FileNotFoundError:
        raise DataError(
            f"there is no {SPLIT} in {folder}; expected a folder that `fewshot train` wrote"
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} cannot be used: {error!r}; train again") from error
    return content


def remembered_held(split: dict, folder: Path) -> Held:
    """What was kept from training, out of what `read_split` read.

    Raises:
        DataError: another version wrote it.
    """
    try:
        listed: dict[str, Any] = {  # JSON knows no tuples
            key: tuple(value) if isinstance(value, list) else value
            for key, value in split["held"].items()
        }
        return Held(**listed)
    except TypeError as error:
        raise DataError(f"the split in {folder} is of another version: {error}") from error


def training_seconds(folder: Path) -> float:
    """How long the run in a folder trained; 0 where it ended before its first step."""
    rows = read_log(run_of(folder) / LOG)
    return float(rows[-1]["seconds"]) if rows else 0.0


def commands_of(remembered: dict) -> list[str]:
    """What was typed to train a model: the models it went on from come first."""
    return [*remembered.get("earlier_commands", ()), remembered.get("command", "")]


def earlier_commands(model: Path | None) -> list[str]:
    """What was typed to train the model that a run goes on from."""
    if model is None or not (run_of(model) / SPLIT).exists():
        return []
    return commands_of(read_split(model))


def check_out(data: Path, command: Train | MatchTrain) -> None:
    """Refuse an --out in which something would be lost, before any work is done.

    Raises:
        DataError: it is the data's own folder, or see `refuse_run`; or --resume and --overwrite
            are both given.
    """
    if command.resume and command.overwrite:
        raise DataError("--resume goes on with a run and --overwrite replaces it; give one of them")
    if command.out.resolve() == data.resolve():
        raise DataError(
            f"--out {command.out} is the folder of the data, in which the run's pictures would be "
            "taken for images; choose another --out"
        )
    if not command.resume:
        refuse_run(command.out, overwrite=command.overwrite, model=command.model)


def same_data(folder: Path, about: dict) -> None:
    """Make sure that a run to be resumed has the data, the split and the draws of this command.

    Raises:
        DataError: it has not; or the folder holds no run.
    """
    stored = read_split(folder)
    # Another seed is found, and named, where the settings are compared.
    for kept in (stored, about):
        kept["sources"] = {**kept.get("episodes", {}), "seed": None, "hash": None}
    for name in ("held", "train_fingerprint", "sources"):
        if json.dumps(stored.get(name)) != json.dumps(about[name]):
            raise DataError(
                f"the run in {folder} has another {name} than this command; go on with the "
                "same data and split, or choose another --out"
            )
    if stored.get("plugins") != about.get("plugins"):
        had, has = (_shown_plugins(kept.get("plugins", [])) for kept in (stored, about))
        raise DataError(
            f"the run in {folder} was started with {had}, and this command has {has}; give the "
            "same files by --plugin, or choose another --out"
        )


def _shown_plugins(plugins: list[dict[str, str]]) -> str:
    files = [f"{each['file']} (sha256 {each['sha256'][:8]})" for each in plugins]
    return f"the plugins {', '.join(files)}" if files else "no plugin"
