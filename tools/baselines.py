"""Set every baseline beside the default segmenter, from results of `fewshot suite`.

python tools/baselines.py runs/one.json runs/five.json --out docs/results/baselines.json

The commands that make these results stand in docs/results/baselines.md. A suite that gave several
numbers of annotated images makes a part of each. The best classical method is the one with the
highest mean over the tasks of the result itself: a choice that no user can make beforehand, in its
favour.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from fewshot import baselines
from fewshot.evaluation.results import add_part
from fewshot.metrics.tables import with_bounds
from fewshot.registry import PREDICTORS

DEFAULT, FOREST, COPY_MASK = "self-configuring", "pixel-forest", "copy-mask"
NETWORKS = PREDICTORS.names_in("fewshot.baselines.deep")
CLASSICAL = set(baselines.names()) - {COPY_MASK, *NETWORKS}
BOUNDS = ("mean", "low", "high")


def part_of(found: dict[str, Any], shots: int) -> dict[str, Any]:
    """Make the part of a number of annotated images."""
    means = {each["predictor"]: each for each in found["means"] if each["shots"] == shots}
    best = max((name for name in means if name in CLASSICAL), key=lambda name: means[name]["mean"])

    def headline(name: str, predictor: str) -> dict[str, Any]:
        mean, low, high = (means[predictor][key] for key in BOUNDS)
        return {
            "name": f"suite_{name}_{shots}shot",
            "value": mean,
            "ci95": [low, high],
            "baseline": means[COPY_MASK]["mean"],
            "unit": "Dice, 0 to 100",
            "method": predictor,
        }

    return {
        "headline": [
            headline("best_classical", best),
            headline("pixel_forest", FOREST),
            headline("default", DEFAULT),
        ],
        **{key: found[key] for key in ("commands", "date", "machine", "held_out", "episode_hash")},
        "seconds": found["scored_seconds"][str(shots)],
        "about": f"Dice (0 to 100) over {len(found['held_out'])} kinds of picture, 95 % bootstrap "
        f"intervals over kinds, and of a kind over subjects. The best classical method is {best}.",
        "tables": [_table(found, means, shots)],
    }


def _table(found: dict[str, Any], means: dict[str, Any], shots: int) -> dict[str, Any]:
    """A row a method, the best first; seconds are medians over tasks."""
    rows = {(row["task"], row["predictor"]): row for row in found["table"] if row["shots"] == shots}
    lines = []
    for name in sorted(means, key=lambda each: -means[each]["mean"]):
        cells = [rows[task, name] for task in found["held_out"]]
        times = [sorted(c[k] for c in cells) for k in ("learn_seconds", "segment_seconds")]
        lines.append(
            [
                name,
                with_bounds(*(means[name][key] for key in BOUNDS)),
                *(f"{each[len(each) // 2]:.2f}" for each in times),
                *(with_bounds(*(cell[key] for key in BOUNDS)) for cell in cells),
            ]
        )
    columns = ["method", "mean", "seconds to learn", "seconds a query", *found["held_out"]]
    return {"title": f"{shots} annotated", "columns": columns, "rows": lines}


def main() -> None:
    """Write the parts."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("results", type=Path, nargs="+")
    options.add_argument("--out", type=Path, required=True)
    chosen = options.parse_args()
    for path in chosen.results:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["failed"]:
            raise SystemExit(f"{path} has means over different tasks: {found['failed']}")
        for shots in found["settings"]["shots"]:
            add_part(chosen.out, f"{shots} annotated", part_of(found, shots))


if __name__ == "__main__":
    main()
