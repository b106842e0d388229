"""Result files: a score with everything that is needed to question it."""

import datetime
import json
import os
import platform
from pathlib import Path
from typing import Any

import torch

import fewshot
from episodes.errors import DataError
from episodes.io.write import atomic_write, make_folder, write_json
from fewshot.evaluation.episodic import Evaluation
from fewshot.metrics.tables import cell, markdown_table, percent, with_interval


def machine() -> dict[str, Any]:
    """Say what computed a result, without naming the computer."""
    name = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.split(":", 1)[1].strip() for line in file if "model name" in line]
        name = names[0] if names else name
    except OSError:
        pass  # only Linux has this file; the platform's own name stays
    return {
        "processor": name,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "package": fewshot.__version__,
    }


def write(
    path: Path, name: str, found: Evaluation, about: dict[str, Any], commands: list[str]
) -> None:
    """Write a result as JSON, and the table made from it as Markdown beside it.

    Args:
        path: the JSON file.
        name: of the score in `headline`.
        found: the evaluation.
        about: data, split, settings and seeds.
        commands: what has to be typed to get the result again.

    Raises:
        DataError: the file cannot be written.
    """
    make_folder(path.parent)
    table = found.table()
    total = table[-1]
    scale = {key: percent(total["model"][key]) for key in ("mean", "low", "high")}
    content = {
        "headline": [
            {
                "name": name,
                "value": scale["mean"],
                "ci95": [scale["low"], scale["high"]],
                "baseline": percent(total["copy_mask"]["mean"]),
                "unit": "Dice, 0 to 100",
            }
        ],
        "baseline": "copy-mask on the same episodes",
        "commands": commands,
        **dated(),
        **about,
        **found.content(),
    }
    write_pair(path, content, markdown(content))


def dated() -> dict[str, Any]:
    """When and where a result was computed."""
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": machine(),
    }


def write_pair(path: Path, content: dict[str, Any], text: str) -> None:
    """Write a result as JSON and its table as Markdown beside it."""
    write_json(path, content)
    with atomic_write(path.with_suffix(".md")) as partial:
        partial.write_text(text, "utf-8")


def add_part(path: Path, name: str, part: dict[str, Any]) -> None:
    """Put one part into a result file that several commands write, and keep the other parts.

    The file is `{"headline": [those of all parts], "parts": {name: part}}`; the table made of it
    lies beside it as Markdown.

    Args:
        path: the JSON file, which need not be there yet.
        name: of the part; one of that name is replaced.
        part: "headline" (a list of "name", "value", "ci95", "baseline" and "unit"), "commands",
            "seconds" and what `dated` gives; where there are any, "about" (a sentence) and "tables"
            (each of "title", "columns" and "rows"), which the Markdown shows; and anything else.

    Raises:
        DataError: the file is no result in parts, another part has a headline of the same name, or
            the file cannot be written.
        KeyError: the part lacks one of the five.
    """
    missing = {"headline", "commands", "seconds", "date", "machine"} - set(part)
    if missing:
        raise KeyError(f"part {name!r} lacks {', '.join(sorted(missing))}")
    make_folder(path.parent)
    parts = {**_read_parts(path), name: part}
    headline = [head for each in parts.values() for head in each["headline"]]
    names = [head["name"] for head in headline]
    twice = sorted({each for each in names if names.count(each) > 1})
    if twice:
        raise DataError(
            f"{path} would have two headlines {twice}: part {name!r} and another; name them apart"
        )
    content = {"headline": headline, "parts": parts}
    write_pair(path, content, parts_markdown(content, path.stem))


def _read_parts(path: Path) -> dict[str, Any]:
    try:
        parts = json.loads(path.read_text(encoding="utf-8"))["parts"]
        if not all("headline" in part for part in parts.values()):
            raise KeyError("headline")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path} is no result in parts ({error!r}); move it away, or choose another file"
        ) from error
    return dict(parts)


def parts_markdown(content: dict[str, Any], title: str) -> str:
    """Make the tables of a result file in parts, headlines first."""
    rows = [
        [
            head["name"],
            with_interval(head["value"], head["ci95"]),
            None if head["baseline"] is None else with_interval(head["baseline"], [None, None]),
            head["unit"],
        ]
        for head in content["headline"]
    ]
    lines = [f"# {title}", "", *markdown_table(["", "value [95 %]", "baseline", "unit"], rows)]
    for name, part in content["parts"].items():
        lines += ["", f"## {name}", ""] + ([part["about"], ""] if "about" in part else [])
        for table in part.get("tables", ()):
            lines += [
                f"{table['title']}:",
                "",
                *markdown_table(table["columns"], table["rows"]),
                "",
            ]
        where = part["machine"]
        lines += [
            f"{part['date']}, {where['processor']}, {where['threads']} threads, torch "
            f"{where['torch']}, {part['seconds']:.0f} s.",
            *("", "```", *part["commands"], "```"),
        ]
    return "\n".join([*lines, ""])


def markdown(content: dict[str, Any]) -> str:
    """Make the table of a result file."""
    head = content["headline"][0]
    subjects = content["table"][-1]["model"]["subjects"]
    lines = [
        f"# {head['name']}",
        "",
        f"{content['data']}, {content['episodes']} episodes, {subjects} subjects never trained on; "
        f"Dice (0 to 100) with 95 % bootstrap intervals over subjects.",
        "",
        "| class | model | copy-mask |",
        "|---|---|---|",
    ]
    lines += [
        f"| {row['class']} | {cell(row['model'])} | {cell(row['copy_mask'])} |"
        for row in content["table"]
    ]
    lines += ["", f"Model minus copy-mask, paired: {cell(content['difference'])}.", ""]
    if "calibration_error" in content:
        lines += [
            f"Expected calibration error of the model's probabilities, 0 to 100: "
            f"{cell(content['calibration_error'])} of all pixels, "
            f"{cell(content['calibration_error_near'])} near the class.",
            "",
        ]
    where = content["machine"]
    lines += [
        f"{content['date']}, {where['processor']}, {where['threads']} threads, "
        f"torch {where['torch']}; episode list {content['episode_hash'][:16]}.",
        "",
        "```",
        *content["commands"],
        "```",
        "",
    ]
    return "\n".join(lines)
