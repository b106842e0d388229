"""`fewshot runs`: trained models side by side."""

import json
from pathlib import Path
from typing import Any

from episodes.errors import DataError, FewshotError, shorten
from episodes.io.write import atomic_write, make_folder
from fewshot.experiments.run_record import with_present_names
from fewshot.experiments.runs_settings import Runs
from fewshot.metrics.tables import cell, csv_table, text_table
from fewshot.provenance import EMBEDDING, SEGMENTER, WEIGHTS, why_not_of
from fewshot.training.callbacks.log import read_log
from fewshot.training.folder import LOG, SCORES, SETTINGS, SPLIT, STATE, VALIDATION_LOG, is_run


def runs(command: Runs) -> int:
    """Print a table: what differs between the runs, and what came of them."""
    found = list(dict.fromkeys(folder for root in command.folders for folder in find(root)))
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
            **({"note": "; ".join(row["notes"])} if row["notes"] else {}),
        }
        for row in rows
    ]
    columns = list(dict.fromkeys(name for row in table for name in row))
    columns.sort(key="note".__eq__)  # last, being long
    cells = [[str(row.get(name, "")) for name in columns] for row in table]
    print("\n".join(text_table(columns, cells)))
    if command.csv is not None:
        make_folder(command.csv.parent)
        with atomic_write(command.csv) as partial, partial.open("w", newline="") as file:
            file.write(csv_table(columns, table, end="\r\n"))
    return 0


def find(root: Path) -> list[Path]:
    """List the run folders in a folder, sorted by name; a run's own folder is one.

    Raises:
        DataError: it is no folder.
    """
    if not root.is_dir():
        raise DataError(f"{root} is not a folder; expected one that holds runs")
    marks = (path for name in (SPLIT, SETTINGS, LOG) for path in root.rglob(name))
    return sorted({path.parent for path in marks if is_run(path.parent) or _logged(path.parent)})


def _logged(folder: Path) -> bool:
    """Whether it looks like a run whose own description is damaged or lost; that is told."""
    return (folder / LOG).exists() and any((folder / name).exists() for name in (STATE, SETTINGS))


def describe(folder: Path) -> dict[str, Any]:
    """Gather the settings of a run, flat, and its outcome; what cannot be read is a note."""
    parts = (_settings, _steps, _measured, _scores)
    row: dict[str, dict[str, Any]] = {"settings": {}, "outcome": {}}
    notes = []
    for part in parts:
        try:
            for name, values in part(folder).items():
                row[name] |= values
        except FewshotError as error:
            notes.append(str(error))
        except (OSError, KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            notes.append(f"not as this version writes it: {part.__name__[1:]} ({error!r})")
    outcome = dict(row["outcome"])
    notes += [outcome.pop("note")] if "note" in outcome else []
    return {"run": str(folder), "settings": row["settings"], "outcome": outcome, "notes": notes}


def _settings(folder: Path) -> dict[str, Any]:
    model, split = (
        _read(folder / SEGMENTER) or _read(folder / EMBEDDING),
        with_present_names(_read(folder / SPLIT)),
    )
    return {
        "settings": {
            **_trained(_read(folder / SETTINGS).get("train", {})),
            **flatten({name: model.get(name) for name in ("encoder", "head", "size")}),
            "data": Path(split.get("data", "")).name,
            "novel": shorten(split.get("hold_out", {}).get("novel", ())),
        },
        "outcome": {} if (folder / WEIGHTS).exists() else {"note": "no model was saved"},
    }


def _trained(settings: dict[str, Any]) -> dict[str, Any]:
    """The loss function by a name of its own: "loss" is the column of its value."""
    renamed = {"loss": "loss_function"}
    return flatten({renamed.get(name, name): value for name, value in settings.items()})


def _steps(folder: Path) -> dict[str, Any]:
    log = read_log(folder / LOG)
    outcome: dict[str, Any] = {"steps": len(log)}
    if log:
        last = [row["loss"] for row in log[-20:]]
        outcome |= {"minutes": f"{log[-1]['seconds'] / 60:.2f}"}
        outcome |= {"loss": f"{sum(last) / len(last):.4f}"}
    return {"outcome": outcome}


def _measured(folder: Path) -> dict[str, Any]:
    rows = read_log(folder / VALIDATION_LOG)[-1:]
    return {"outcome": {name: v for row in rows for name, v in row.items() if name != "step"}}


def _scores(folder: Path) -> dict[str, Any]:
    """Score of the model as it lies there; a score of another one is a note."""
    scores = _read(folder / SCORES)
    if not scores:
        return {}
    overall = scores["table"][-1]
    cells = {f"Dice {method}": cell(overall[method]) for method in ("model", "copy_mask")}
    why = why_not_of(scores, folder)
    if why:
        return {"outcome": {"note": f"Dice {cells['Dice model']} {why}"}}
    return {"outcome": cells}


def flatten(content: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Name nested settings by their path.

    >>> flatten({"head": {"kind": "alpnet", "window": 2}, "size": 64})
    {'head.kind': 'alpnet', 'head.window': 2, 'size': 64}
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


def _read(path: Path) -> dict[str, Any]:
    """Read a JSON object; one that is not there is empty."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path.name} cannot be read ({error})") from error
    if not isinstance(content, dict):
        raise DataError(f"{path.name} holds no JSON object")
    return content
