"""`fewshot runs`: trained models side by side."""

import csv
import json
from pathlib import Path
from typing import Any

from episodes.encode import make_folder, whole_file
from episodes.errors import DataError, shorten
from fewshot.commands.options import Runs
from fewshot.training.callbacks.log import LOG, MEASURED, read_log

SETTINGS, SPLIT, MODEL, SCORES = (
    "settings.json",
    "split.json",
    "segmenter.json",
    "evaluation/scores.json",
)


def runs(command: Runs) -> int:
    """Print a table: what differs between the runs, and what came of them."""
    found = [folder for root in command.folders for folder in find(root)]
    if not found:
        names = ", ".join(map(str, command.folders))
        raise DataError(f"no run in {names}; expected folders that `fewshot train` wrote")
    rows = [describe(folder) for folder in found]
    settings = differing([row["settings"] for row in rows])
    table = [
        {
            "run": row["run"],
            **{name: row["settings"].get(name, "") for name in settings},
            **row["outcome"],
        }
        for row in rows
    ]
    columns = list(dict.fromkeys(name for row in table for name in row))
    print(text(columns, table))
    if command.csv is not None:
        make_folder(command.csv.parent)
        with whole_file(command.csv) as partial, partial.open("w", newline="") as file:
            writer = csv.DictWriter(file, columns, restval="")
            writer.writeheader()
            writer.writerows(table)
    return 0


def find(root: Path) -> list[Path]:
    """List the run folders in a folder, sorted by name; a run's own folder is one."""
    if not root.is_dir():
        raise DataError(f"{root} is not a folder; expected one that holds runs")
    return sorted(path.parent for path in root.rglob(SETTINGS) if (path.parent / LOG).exists())


def describe(folder: Path) -> dict[str, Any]:
    """Gather the settings of a run, flat, and its outcome."""
    settings = flatten(_read(folder / SETTINGS).get("train", {}))
    model, split = _read(folder / MODEL), _read(folder / SPLIT)
    settings |= flatten({name: model.get(name) for name in ("encoder", "head", "size")})
    settings |= {"data": Path(split.get("data", "")).name}
    settings |= {"novel": shorten(split.get("held", {}).get("novel", ()))}
    log = read_log(folder / LOG)
    outcome: dict[str, Any] = {"steps": len(log)}
    if log:
        last = [row["loss"] for row in log[-20:]]
        outcome |= {"minutes": round(log[-1]["seconds"] / 60, 2)}
        outcome |= {"loss": round(sum(last) / len(last), 4)}
    for row in read_log(folder / MEASURED)[-1:]:
        outcome |= {name: value for name, value in row.items() if name != "step"}
    scores = _read(folder / SCORES)
    if scores:
        overall = scores["table"][-1]
        for method in ("model", "copy_mask"):
            part = overall[method]
            shown = [
                f"{100 * part[key]:.1f}" for key in ("mean", "low", "high") if part[key] is not None
            ]
            outcome[f"Dice {method}"] = f"{shown[0]} [{', '.join(shown[1:])}]" if shown else ""
    return {"run": str(folder), "settings": settings, "outcome": outcome}


def flatten(content: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Name nested settings by their path.

    >>> flatten({"head": {"kind": "local", "window": 2}, "size": 64})
    {'head.kind': 'local', 'head.window': 2, 'size': 64}
    """
    flat: dict[str, Any] = {}
    for name, value in content.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def differing(settings: list[dict[str, Any]]) -> list[str]:
    """Name the settings that are not the same in all runs.

    >>> differing([{"seed": 0, "batch": 4}, {"seed": 1, "batch": 4}])
    ['seed']
    """
    names = dict.fromkeys(name for each in settings for name in each)
    return [name for name in names if len({json.dumps(each.get(name)) for each in settings}) > 1]


def text(columns: list[str], rows: list[dict[str, Any]]) -> str:
    """The table for a terminal."""
    lines = [columns, *([str(row.get(name, "")) for name in columns] for row in rows)]
    widths = [max(len(line[index]) for line in lines) for index in range(len(columns))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _read(path: Path) -> dict[str, Any]:
    """Read a JSON object; one that is not there is empty."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error}); remove it or train again") from error
    if not isinstance(content, dict):
        raise DataError(f"{path} holds no JSON object; remove it or train again")
    return content
