"""Result files: a score with everything that is needed to question it."""

import datetime
import os
import platform
import shlex
import sys
from pathlib import Path
from typing import Any

import torch

import fewshot
from episodes.encode import make_folder, whole_file, write_json
from fewshot.evaluation import Evaluation


def typed_command() -> str:
    """The command as the user typed it; `python -m fewshot.cli` is `fewshot`."""
    name = Path(sys.argv[0]).name
    return shlex.join(["fewshot" if name == "cli.py" else name, *sys.argv[1:]])


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
    scale = {key: _percent(total["model"][key]) for key in ("mean", "low", "high")}
    content = {
        "headline": [
            {
                "name": name,
                "value": scale["mean"],
                "ci95": [scale["low"], scale["high"]],
                "baseline": _percent(total["copy_mask"]["mean"]),
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
    with whole_file(path.with_suffix(".md")) as partial:
        partial.write_text(text, "utf-8")


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


def _percent(value: float | None) -> float | None:
    return None if value is None else round(100 * value, 2)


def cell(interval: dict[str, Any]) -> str:
    """Write an interval for a table, 0 to 100."""
    mean, low, high = (_percent(interval[key]) for key in ("mean", "low", "high"))
    return (
        "undefined"
        if mean is None
        else f"{mean:.1f} [{low:.1f}, {high:.1f}]"
        if (low is not None and high is not None)
        else f"{mean:.1f} (one subject)"
    )
