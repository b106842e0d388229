"""What is computed once and kept: the counts of one method under one protocol, fold and support."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from episodes.catalog.splits import TrainingExclusion
from episodes.errors import DataError
from episodes.io.write import make_folder, write_json
from episodes.protocols.aggregate import ConfusionCounts
from episodes.protocols.base import Protocol
from fewshot.evaluation.protocol_results import COLUMNS, count_line, read_count

FORMAT = 1


@dataclass(frozen=True)
class Setting:
    """What is tested: everything but the method.

    Attributes:
        protocol: its name on the command line.
        training_exclusion: which training slices are dropped.
        support: published, all or a place, as typed.
        group: classes that are held out together, joined by +; "" for all tested ones.
        fold: which fold.
    """

    protocol: str
    training_exclusion: TrainingExclusion
    support: str
    group: str
    fold: int

    def __str__(self) -> str:
        group = f" {self.group}" if self.group else ""
        return (
            f"{self.protocol}, training exclusion {self.training_exclusion}, support {self.support}"
            f"{group}, fold {self.fold}"
        )


@dataclass(frozen=True)
class Cell:
    """One method in one setting.

    Attributes:
        method: its name.
        setting: what is tested.
        seed: of its training; None where nothing is drawn.
        protocol_hash: of the case list.
        train: fingerprint of the training catalog.
        model: name of the folder in `models`; "" without training.
        counts: one row a run, subject and class.
        milliseconds: of a query slice; None where the method does not tell.
        peak_mib: most memory held while scoring.
        seconds: of scoring.
        chosen: settings at test time that its model chose on training scans; None where nothing
            was to be chosen.
        choosing_seconds: of that.
        measured_on: identity of the model that was scored (`fewshot.provenance`); None without
            training, and in cells of earlier versions.
    """

    method: str
    setting: Setting
    seed: int | None
    protocol_hash: str
    train: str
    model: str
    counts: tuple[ConfusionCounts, ...]
    milliseconds: float | None
    peak_mib: float | None
    seconds: float
    chosen: dict[str, Any] | None = None
    choosing_seconds: float = 0.0
    measured_on: dict[str, Any] | None = None


def cell_path(
    out: Path, method: str, setting: Setting, seed: int | None, kind: str = "cells"
) -> Path:
    """Name the file of a cell, or of what else is kept of it."""
    group = f"_{quote(setting.group, safe=' +')}" if setting.group else ""
    drawn = "" if seed is None else f"_seed{seed}"
    name = f"{exclusion_tag(setting)}_{setting.support}{group}_fold{setting.fold}{drawn}.json"
    return out / kind / method / setting.protocol / name


def exclusion_tag(setting: Setting) -> str:
    """The rule for training slices in names of files: "none" for keep, as in earlier versions."""
    return "none" if setting.training_exclusion == "keep" else setting.training_exclusion


def write_cell(path: Path, cell: Cell) -> None:
    """Write a cell, whole or not at all."""
    content = asdict(cell)
    content["columns"] = ",".join(COLUMNS)
    content["counts"] = [count_line(count) for count in cell.counts]
    make_folder(path.parent)
    write_json(path, {"format": FORMAT, **content})


def read_cell(path: Path, protocol: Protocol) -> Cell | None:
    """Read a cell, or None where it was not computed yet.

    Raises:
        DataError: the file is damaged, or belongs to another case list or training catalog.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.pop("format") != FORMAT or content.pop("columns") != ",".join(COLUMNS):
            raise ValueError(f"its format is not {FORMAT}")
        setting = _read_setting(content.pop("setting"))
        counts = tuple(map(read_count, content.pop("counts")))
        cell = Cell(setting=setting, counts=counts, **content)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path} cannot be used ({error!r}); remove it, and it is remade"
        ) from error
    expected: Sequence[tuple[str, str, str]] = (
        ("list of cases", cell.protocol_hash, protocol.hash),
        ("training catalog", cell.train, protocol.train.fingerprint),
    )
    for what, stored, now in expected:
        if stored != now:
            raise DataError(
                f"{path} has another {what} ({stored[:16]}) than this command ({now[:16]}); "
                "the data or the protocol changed, so choose another --out"
            )
    return cell


def _read_setting(content: dict[str, Any]) -> Setting:
    """Read what is tested; earlier versions wrote `exclude`, "none" being keep."""
    if "exclude" in content:
        rule = content.pop("exclude")
        content["training_exclusion"] = "keep" if rule == "none" else rule
    return Setting(**content)
