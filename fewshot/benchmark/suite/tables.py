"""The result of a suite as JSON, and as Markdown and text made of that."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from episodes.protocols.base import Protocol
from fewshot.benchmark.suite.aggregate import Row, headlines, rows_of, task_means
from fewshot.benchmark.suite.cells import Cell
from fewshot.benchmark.suite.settings import Suite
from fewshot.evaluation import results
from fewshot.metrics.tables import markdown_table, percent, text_table, with_bounds, with_interval

COLUMNS = ("task", "predictor", "shots", "draw", "query", "subject", "class", "dice", "expected")
"""Columns of a case in result files: a class of a query, its Dice, and the Dice expected of all its
classes, from 0 to 100."""


def content(
    command: Suite,
    cells: Sequence[Cell],
    laid: Mapping[str, Protocol],
    predictors: Mapping[str, dict[str, Any]],
    failed: Mapping[str, str],
    about: dict[str, Any],
) -> dict[str, Any]:
    """Gather everything for the JSON file.

    Args:
        command: what was typed.
        cells: the scores.
        laid: the cases of every task.
        predictors: settings and model of each, the first being that of the headlines.
        failed: tasks, and predictors on a task, without a result, and why.
        about: machine, date, command and seconds.
    """
    rows = rows_of(cells)
    held_out = [name for name in laid if name not in command.development]
    hashes = "".join(f"{name}{protocol.hash}" for name, protocol in laid.items())
    return {
        "headline": headlines(
            *(rows, list(predictors), shots_of(command), held_out), command.headline
        ),
        "baseline": "copy-mask on the same episodes",
        **about,
        "settings": {
            name: getattr(command, name) for name in ("shots", "supports", "queries", "seed")
        },
        "predictors": dict(predictors),
        "development": [name for name in laid if name in command.development],
        "held_out": held_out,
        "failed": dict(failed),
        "episode_hash": hashlib.sha256(hashes.encode()).hexdigest(),
        "tasks": [_task(name, protocol) for name, protocol in laid.items()],
        "table": [asdict(row) for row in rows],
        "means": task_means(rows, list(predictors), shots_of(command), held_out),
        "scored_seconds": {
            str(number): round(sum(_seconds(cell) for cell in cells if cell.shots == number), 1)
            for number in shots_of(command)
        },
        "columns": list(COLUMNS),
        "cases": [
            [
                *(cell.task, cell.predictor, cell.shots, cell.draw, each.query, each.subject),
                *(name, percent(dice), percent(each.expected)),
            ]
            for cell in cells
            for each in cell.score.queries
            for name, dice in zip(cell.score.classes, each.dice, strict=True)
        ],
    }


def shots_of(command: Suite) -> list[int]:
    """List the numbers of annotated images, each once."""
    return list(dict.fromkeys(command.shots))


def write(path: Path, found: dict[str, Any]) -> None:
    """Write the JSON, and the table made of it as Markdown beside it."""
    results.write_pair(path, found, markdown(found, path.stem))


def markdown(found: dict[str, Any], title: str) -> str:
    """Write the headlines, and a table for each number of annotated images."""
    heads = [
        [
            head["name"],
            with_interval(head["value"], head["ci95"]),
            None if head["baseline"] is None else round(head["baseline"], 2),
            head["unit"],
        ]
        for head in found["headline"]
    ]
    first = next(iter(found["predictors"]))
    tasks = min(each["tasks"] for each in found["means"] if each["predictor"] == first)
    lines = [
        *(f"# {title}", "", *markdown_table(["", "value [95 %]", "copy-mask", "unit"], heads), ""),
        f"Headlines are of {first}, over the {tasks} tasks that nothing was chosen on. Dice (0 to "
        "100) with 95 % bootstrap intervals: of tasks over subjects, of headlines over tasks.",
    ]
    for number in found["settings"]["shots"]:
        columns, rows = _table(found, number)
        lines += ["", f"## {number} annotated", "", *markdown_table(columns, rows)]
    where = found["machine"]
    remarks = [f"- {name} failed: {reason}" for name, reason in found["failed"].items()]
    remarks += [f"- {task['name']}: {note}" for task in found["tasks"] for note in task["notes"]]
    lines += [
        *(["", *remarks] if remarks else []),
        "",
        f"{found['date']}, {where['processor']}, {where['threads']} threads, torch "
        f"{where['torch']}; episode list {found['episode_hash'][:16]}.",
        *("", "```", *found["commands"], "```", ""),
    ]
    return "\n".join(lines)


def text(found: dict[str, Any]) -> str:
    """Write the tables for a terminal."""
    lines = []
    for number in found["settings"]["shots"]:
        columns, rows = _table(found, number)
        cells = [["-" if each is None else each for each in row] for row in rows]
        lines += [f"{number} annotated", *text_table(columns, cells), ""]
    for head in found["headline"]:
        value = with_interval(head["value"], head["ci95"])
        lines.append(f"{head['name']}: {value} ({head['unit']})")
    return "\n".join(lines)


def _table(found: dict[str, Any], shots: int) -> tuple[list[str], list[list[str | None]]]:
    """One row a task, development tasks marked, and their mean; one column a predictor."""
    rows = {(r["task"], r["predictor"]): Row(**r) for r in found["table"] if r["shots"] == shots}
    names = list(found["predictors"])
    lines: list[list[str | None]] = []
    for task in found["tasks"]:
        mark = " (development)" if task["name"] in found["development"] else ""
        line = [_cell(rows.get((task["name"], name))) for name in names]
        lines.append([task["name"] + mark, *line])
    means = {each["predictor"]: each for each in found["means"] if each["shots"] == shots}
    count = len(found["held_out"])
    lines.append([f"mean of {count} held out", *(_mean(means[each], count) for each in names)])
    return ["task", *names], lines


def _mean(found: dict[str, Any], tasks: int) -> str:
    """The mean of a predictor; marked where it failed on some tasks, so that it is of others."""
    told = with_bounds(*(found[key] for key in ("mean", "low", "high")))
    return told if found["tasks"] == tasks else f"{told} (of {found['tasks']})"


def _cell(row: Row | None) -> str | None:
    return None if row is None else with_bounds(row.mean, row.low, row.high)


def _seconds(cell: Cell) -> float:
    """What learning and segmenting took when the case was scored, be it now or earlier."""
    return cell.score.learn_seconds + sum(query.seconds for query in cell.score.queries)


def _task(name: str, protocol: Protocol) -> dict[str, Any]:
    return {
        "name": name,
        "classes": list(protocol.test.classes),
        "images": len(protocol.test),
        "subjects": len(protocol.test.subjects),
        "hash": protocol.hash,
        "fingerprint": protocol.test.fingerprint,
        "notes": list(protocol.notes),
    }
