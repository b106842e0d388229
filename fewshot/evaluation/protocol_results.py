"""Tables and result files of scores under published protocols."""

import csv
import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from episodes.protocols.aggregate import ConfusionCounts, ProtocolScore, score_protocol
from episodes.protocols.base import Protocol
from fewshot.evaluation import results
from fewshot.metrics.bootstrap import Interval, bootstrap_mean
from fewshot.metrics.tables import percent, shown, with_bounds

_MAX_COLUMNS = 12  # of classes in a Markdown table
COLUMNS = ("run", "fold", "subject", "class_name", "found", "missed", "wrong", "rest")
"""Columns of a case in result files."""
UNITS = {"subject": "Dice, 0 to 100", "class": "mIoU, 0 to 100"}


@dataclass(frozen=True)
class ProtocolResult:
    """The counts of one method under one protocol, all folds together.

    Attributes:
        protocol: its name in the command.
        method: "copy-mask" or "model".
        folds: the protocol on each fold.
        counts: one row a run, fold, subject and class.
    """

    protocol: str
    method: str
    folds: tuple[Protocol, ...]
    counts: tuple[ConfusionCounts, ...]

    @cached_property
    def score(self) -> ProtocolScore:
        """Summed over the protocol's unit."""
        return score_protocol(self.counts, self.folds[0].unit)

    @cached_property
    def interval(self) -> Interval:
        """95 % bootstrap interval over subjects, each the mean over its runs and classes."""
        subjects = self.score.by_subject
        return bootstrap_mean(list(subjects.values()), list(subjects))

    @property
    def hash(self) -> str:
        """Hash of the case lists of all folds."""
        return hashlib.sha256("".join(fold.hash for fold in self.folds).encode()).hexdigest()

    def row(self) -> dict[str, Any]:
        """What a table shows, in percent."""
        runs = list(self.score.by_run.values())
        both = self.score.foreground_background
        return {
            "protocol": self.protocol,
            "method": self.method,
            "unit": UNITS[self.folds[0].unit],
            "mean": percent(self.score.value),
            "ci95": [percent(self.interval.low), percent(self.interval.high)],
            "subjects": self.interval.subjects,
            "runs": len(runs),
            "lowest_run": percent(min(runs)),
            "highest_run": percent(max(runs)),
            "by_run": {name: percent(value) for name, value in self.score.by_run.items()},
            "by_class": {name: percent(value) for name, value in self.score.by_class.items()},
            "by_subject": {name: percent(value) for name, value in self.score.by_subject.items()},
            "undefined": self.score.undefined,
            "foreground_background": None if both is None else percent(both),
        }

    def content(self) -> dict[str, Any]:
        """Everything, ready for JSON; the cases as lines of comma-separated values."""
        return {
            **self.row(),
            "settings": [dict(fold.settings) for fold in self.folds],
            "excluded": [dict(fold.excluded) for fold in self.folds],
            "training_images": [len(fold.train) for fold in self.folds],
            "notes": list(dict.fromkeys(note for fold in self.folds for note in fold.notes)),
            "hash": self.hash,
            "columns": ",".join(COLUMNS),
            "cases": [count_line(count) for count in self.counts],
        }


def write(
    path: Path,
    name: str,
    found: Sequence[ProtocolResult],
    about: dict[str, Any],
    commands: list[str],
) -> None:
    """Write a result as JSON, and the table made from it as Markdown beside it.

    Args:
        path: the JSON file.
        name: of the score in `headline`; of several protocols' scores, before their names.
        found: all methods under all protocols, copy-mask among them.
        about: data and settings.
        commands: what has to be typed to get the result again.

    Raises:
        DataError: the file cannot be written.
    """
    baseline = {one.protocol: one.row()["mean"] for one in found if one.method == "copy-mask"}
    rows = [one.row() for one in found]
    models = ([row for row in rows if row["method"] == name] for name in ("model", "untrained"))
    shown = next(filter(None, models), rows)
    several = len(baseline) > 1
    content = {
        "headline": [
            {
                "name": f"{name}_{row['protocol']}".replace("-", "_") if several else name,
                "value": row["mean"],
                "ci95": row["ci95"],
                "baseline": baseline[row["protocol"]],
                "unit": row["unit"],
            }
            for row in shown
        ],
        "baseline": "copy-mask on the same cases",
        "commands": commands,
        **results.dated(),
        **about,
        "results": [one.content() for one in found],
    }
    results.write_pair(path, content, markdown(content, name))


def markdown(content: dict[str, Any], name: str) -> str:
    """Make the tables of a result file."""
    found = content["results"]
    classes = list(dict.fromkeys(name for row in found for name in row["by_class"]))
    if len(classes) > _MAX_COLUMNS:
        classes = []
    lines = [
        f"# {name}",
        "",
        f"{content['data']}; overlap (0 to 100) as each protocol sums it, mean over runs (support "
        "scans) with a 95 % bootstrap interval over subjects, and the lowest and highest run.",
        "",
        "| " + " | ".join(["protocol", "method", "mean", "lowest to highest run", *classes]) + " |",
        "|---|---|---|---|" + "---|" * len(classes),
    ]
    lines += [
        f"| {row['protocol']} | {row['method']} | {_mean(row)} | {_range(row)} |"
        + "".join(f" {shown(row['by_class'].get(name))} |" for name in classes)
        for row in found
    ]
    lines += ["", "| protocol | subjects | case list | left out of training (all folds) |"]
    lines += ["|---|---|---|---|"]
    lines += [
        f"| {row['protocol']} | {row['subjects']} | {row['hash'][:16]} | {_reasons(row)} |"
        for row in {row["protocol"]: row for row in found}.values()
    ]
    where = content["machine"]
    lines += [
        "",
        f"{content['date']}, {where['processor']}, {where['threads']} threads, torch "
        f"{where['torch']}, {content['seconds']:.0f} s.",
        *("", "```", *content["commands"], "```", ""),
    ]
    return "\n".join(lines)


def text(found: Sequence[ProtocolResult]) -> str:
    """The tables for a terminal."""
    lines = []
    for one in found:
        row = one.row()
        lines.append(f"{one.protocol}, {one.method} ({row['unit']})")
        lines.append(f"  {'all':24}{_mean(row):>24}   runs {_range(row)}")
        lines += [f"  {name[:23]:24}{shown(v):>10}" for name, v in row["by_class"].items()]
        if one.score.foreground_background is not None:
            lines.append(f"  {'FB-IoU':24}{100 * one.score.foreground_background:>10.1f}")
        lines.append(
            f"  {row['subjects']} subjects, {row['runs']} runs, "
            f"{sum(len(fold.cases) for fold in one.folds)} cases, list {one.hash[:16]}"
        )
        notes = dict.fromkeys(note for fold in one.folds for note in fold.notes)
        lines += [f"  note: {note}" for note in notes]
    return "\n".join(lines)


def count_line(count: ConfusionCounts) -> str:
    """Write a count as a line of comma-separated values.

    >>> count_line(ConfusionCounts("support 0", "7", "liver, left", 5, 1, 2, 92))
    'support 0,0,7,"liver, left",5,1,2,92'
    """
    line = io.StringIO()
    case = (count.run, count.fold, count.subject, count.class_name)
    numbers = (count.tp, count.fn, count.fp, count.tn)
    csv.writer(line, lineterminator="").writerow([*case, *numbers])
    return line.getvalue()


def read_count(line: str) -> ConfusionCounts:
    """Read what `count_line` wrote.

    Raises:
        ValueError: the line has other columns.
    """
    run, fold, subject, name, *numbers = next(csv.reader([line]))
    tp, fn, fp, tn = map(int, numbers)
    return ConfusionCounts(run, subject, name, tp, fn, fp, tn, int(fold))


def _mean(row: dict[str, Any]) -> str:
    return with_bounds(row["mean"], *row["ci95"])


def _range(row: dict[str, Any]) -> str:
    if row["runs"] == 1:
        return "one run"
    return f"{shown(row['lowest_run'])} to {shown(row['highest_run'])}"


def _reasons(row: dict[str, Any]) -> str:
    sums: dict[str, int] = {}
    for fold in row["excluded"]:
        for reason, count in fold.items():
            sums[reason] = sums.get(reason, 0) + count
    return json.dumps(sums).strip("{}").replace('"', "")
