"""The log of a run: one JSON line a step, and a table and curves of it at the end."""

import csv
import json
import math
from collections.abc import Mapping
from pathlib import Path

from episodes.errors import DataError
from episodes.io.write import atomic_write
from fewshot.training.folder import LOG, VALIDATION_LOG
from fewshot.training.run import Callback, Run


class JsonLog(Callback):
    """Writes `log.jsonl`, a line a step, and `measured.jsonl`, a line a measurement.

    A resumed run cuts off what an earlier one logged after its last checkpoint.
    """

    def on_start(self, run: Run) -> None:
        """Keep the lines up to the run's step."""
        for name in (LOG, VALIDATION_LOG):
            path = run.folder / name
            rows = [row for row in read_log(path) if row["step"] <= run.step] if run.step else []
            with atomic_write(path) as partial:
                partial.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")

    def on_step_end(self, run: Run, values: Mapping[str, float]) -> None:
        """Write a line."""
        line = {"step": run.step, "seconds": round(run.seconds(), 3), **values}
        _append(run.folder / LOG, line)

    def on_validation(self, run: Run, values: Mapping[str, float]) -> None:
        """Write a line."""
        _append(run.folder / VALIDATION_LOG, {"step": run.step, **values})


class Curves(Callback):
    """Leaves `log.csv` and `curves.png`, made from the log, when the run ends."""

    def on_end(self, run: Run) -> None:
        """Write both."""
        rows = read_log(run.folder / LOG)
        if not rows:
            return
        with atomic_write(run.folder / "log.csv") as partial, partial.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), restval="")
            writer.writeheader()
            writer.writerows(rows)
        _draw(run.folder, rows)


def read_log(path: Path) -> list[dict[str, float]]:
    """Read a log; a last line that a kill cut short is left out.

    Raises:
        DataError: another line is damaged, or the file cannot be read.
    """
    rows: list[dict[str, float]] = []
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
        for number, line in enumerate(lines):
            if number < len(lines) - 1:  # whole lines end with a newline
                rows.append(_row(line, number + 1))
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise DataError(f"the log {path} cannot be used: {error}; remove it") from error
    return rows


def _row(line: str, number: int) -> dict[str, float]:
    row = json.loads(line)
    if not isinstance(row, dict) or "step" not in row:
        raise ValueError(f"line {number} is no step")
    if not all(isinstance(value, int | float) for value in row.values()):
        raise ValueError(f"line {number} holds something else than numbers")
    return row


def _append(path: Path, row: Mapping[str, float]) -> None:
    # Opened anew each time (some 30 microseconds): a line is on its way to the disk when this
    # returns, and there is nothing to close, whatever ends the run.
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def _draw(folder: Path, rows: list[dict[str, float]]) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    steps = [row["step"] for row in rows]
    for name in [key for key in rows[0] if key.endswith("loss")]:
        left.plot(steps, _smooth([row.get(name, math.nan) for row in rows]), label=name)
    left.set(xlabel="step", ylabel="loss, mean of the last 20 steps")
    left.legend(frameon=False)
    scores = read_log(folder / VALIDATION_LOG)
    for name in dict.fromkeys(key for row in scores for key in row if key != "step"):
        points = [(row["step"], row[name]) for row in scores if name in row]
        right.plot(*zip(*points, strict=True), "o-", label=name)
    if scores:
        right.set(xlabel="step", ylabel="score")
        right.legend(frameon=False)
    else:
        right.plot(steps, [row["learning_rate"] for row in rows])
        right.set(xlabel="step", ylabel="learning rate")
    with atomic_write(folder / "curves.png") as partial:
        figure.savefig(partial, dpi=120)


def _smooth(values: list[float], window: int = 20) -> list[float]:
    return [
        sum(part) / len(part)
        for part in (values[max(0, i - window + 1) : i + 1] for i in range(len(values)))
    ]
