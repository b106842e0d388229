"""What a run's folder records of its data and its commands, and what a new command may do to it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from episodes.errors import DataError, shorten
from fewshot.experiments.options import Train
from fewshot.experiments.pair_options import MatchTrain
from fewshot.experiments.settings import DatasetSettings, HoldOut
from fewshot.training.callbacks.log import read_log
from fewshot.training.folder import LOG, SPLIT, refuse_run, run_of

Settings = TypeVar("Settings")

_RENAMED = {
    "exclude": "training_exclusion",
    "classes_a_batch": "classes_per_batch",
    "images_a_class": "images_per_class",
    "turns": "rotation_classes",
}
"""Settings by the names that they have in records of earlier versions."""
_READING = ("subject_pattern", "classes", "ignore_affine")
"""Settings of reading a data set on which its split depends; earlier versions recorded them with
what is held out."""


def read_split(folder: Path) -> dict[str, Any]:
    """Read what `train` recorded of its split; its sub-folders best and average share it."""
    path = run_of(folder) / SPLIT
    try:
        content = with_present_names(json.loads(path.read_text(encoding="utf-8")))
        missing = {"hold_out", "dataset", "data", "test_fingerprint"} - set(content)
        if missing:
            raise DataError(f"{path} lacks {sorted(missing)}; train again")
    except FileNotFoundError:
        raise DataError(
            f"there is no {SPLIT} in {folder}; expected a folder that `fewshot train` wrote"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} cannot be used: {error!r}; train again") from error
    return content


def with_present_names(split: Mapping[str, Any]) -> dict[str, Any]:
    """Bring what an earlier version recorded to the present names; nothing else is changed."""
    content = dict(split)
    if "held" in content:
        held = {_RENAMED.get(name, name): value for name, value in content.pop("held").items()}
        if held.get("training_exclusion") == "none":
            held["training_exclusion"] = "keep"
        content["dataset"] = {name: held.pop(name) for name in _READING if name in held}
        content["hold_out"] = held
    if "episodes" in content:
        drawn = content["episodes"].items()
        content["episodes"] = {_RENAMED.get(name, name): value for name, value in drawn}
    return content


def recorded_hold_out(split: dict[str, Any], folder: Path) -> HoldOut:
    """What was kept from training, out of what `read_split` read.

    Raises:
        DataError: another version wrote it.
    """
    return _settings(HoldOut, split["hold_out"], folder)


def recorded_dataset(split: dict[str, Any], folder: Path, *, cache: bool = True) -> DatasetSettings:
    """How the training data were read, out of what `read_split` read.

    Raises:
        DataError: another version wrote it.
    """
    return _settings(DatasetSettings, {**split["dataset"], "cache": cache}, folder)


def dataset_record(dataset: DatasetSettings) -> dict[str, Any]:
    """What is recorded of how a data set was read: all that its split depends on."""
    return {name: getattr(dataset, name) for name in _READING}


def _settings(kind: type[Settings], content: dict[str, Any], folder: Path) -> Settings:
    listed = {  # JSON knows no tuples
        key: tuple(value) if isinstance(value, list) else value for key, value in content.items()
    }
    try:
        return kind(**listed)
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
    if command.resume and command.output.overwrite:
        raise DataError("--resume goes on with a run and --overwrite replaces it; give one of them")
    if command.out.resolve() == data.resolve():
        raise DataError(
            f"--out {command.out} is the folder of the data, in which the run's pictures would be "
            "taken for images; choose another --out"
        )
    if not command.resume:
        refuse_run(command.out, overwrite=command.output.overwrite, model=command.model)


def same_data(folder: Path, about: dict) -> None:
    """Make sure that a run to be resumed has the data, the split and the draws of this command.

    Raises:
        DataError: it has not; or the folder holds no run.
    """
    stored = read_split(folder)
    # Another seed is found, and named, where the settings are compared.
    for kept in (stored, about):
        kept["sources"] = {**kept.get("episodes", {}), "seed": None, "hash": None}
    for name in ("hold_out", "dataset", "train_fingerprint", "sources"):
        theirs, mine = stored.get(name), json.loads(json.dumps(about[name]))
        if theirs != mine:
            raise DataError(
                f"the run in {folder} has another {_differing(name, theirs, mine)} than this "
                "command; go on with the same data and split, or choose another --out"
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


def _differing(name: str, theirs: Any, mine: Any) -> str:
    """Name what differs: of settings, those that do."""
    if not (isinstance(theirs, dict) and isinstance(mine, dict)):
        return name
    return shorten(key for key in {**theirs, **mine} if theirs.get(key) != mine.get(key))
