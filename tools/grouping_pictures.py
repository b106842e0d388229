"""Draw the figures of docs/grouping.md, score the methods that they show, and fill in its table.

    python tools/grouping_pictures.py

Every method learns one generated image of a principle and segments others of it. Seed 0 is the
annotated image, the seeds from 1 on are the queries, and the figure shows query 1: they were fixed
before anything was drawn. Every method has its defaults; nothing is chosen on these images.
"""

import argparse
import io
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image

from episodes.io.write import atomic_write, make_folder
from episodes.synthetic.grouping import PRINCIPLES, Scene, draw_scene
from fewshot.baselines.search import mean_dice
from fewshot.evaluation.results import add_part, dated
from fewshot.inference.inputs import image_planes
from fewshot.inference.predictors.build import build_predictor, needs_network
from fewshot.inference.support_set import read_support_set
from fewshot.metrics.report import Report
from fewshot.metrics.tables import markdown_table, percent, shown, with_bounds
from fewshot.models.checkpoint import build_network
from fewshot.plots.overlays import (
    COLOURS,
    FALSE_NEGATIVE,
    FALSE_POSITIVE,
    TRUE_POSITIVE,
    errors,
    outline,
    to_rgb,
)

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs" / "pictures"
RESULT = ROOT / "docs" / "results" / "grouping.json"
GUIDE = ROOT / "docs" / "grouping.md"
COMMAND = "python tools/grouping_pictures.py"

DEFAULT, TRIVIAL = "self-configuring", "copy-mask"
METHODS = (
    *("threshold", "k-means", "watershed", "edge-filling", "random-walker", "graph-cut"),
    *("chan-vese", "shape-model", "pixel-forest", "end-to-end", DEFAULT, TRIVIAL),
)
"""One or two of each family."""
_START, _END = "<!-- table: grouping -->", "<!-- end -->"
_COLUMNS = 5
_LIMITS = (0, 255)


def answers_of(method: str, support: Scene, queries: Sequence[Scene]) -> list[np.ndarray]:
    """Learn one annotated image and segment others: masks [height width] of 0 and 1."""
    network = build_network(None).eval() if needs_network(method) and method != DEFAULT else None
    predictor = build_predictor(network, method)
    learned = predictor.learn(read_support_set([support.image], [support.mask], ["group"]))
    found = [predictor.segment(image_planes(each.image), learned) for each in queries]
    return [(np.squeeze(each.labels) > 0).astype(np.uint8) for each in found]


def panel(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Show an image with the contour of a mask, white within black so that it is always seen."""
    picture = to_rgb(image, _LIMITS)
    line = outline(mask)
    wide = outline(line.astype(np.uint8)) | line
    picture[wide] = 0
    picture[line] = COLOURS[3]
    return picture


def draw_figure(
    name: str, support: Scene, query: Scene, answers: Mapping[str, np.ndarray]
) -> Figure:
    """Draw the annotated image, the query, what people see in it and every method's answer.

    Args:
        name: of the principle.
        support: the annotated image.
        query: the other one.
        answers: the mask of each method [height width].
    """
    panels = [
        ("annotated image", panel(support.image, support.mask)),
        ("query", to_rgb(query.image, _LIMITS)),
        ("query, what people see", panel(query.image, query.mask)),
    ]
    for method, mask in answers.items():
        score = 100 * mean_dice([mask], [query.mask], 1)
        drawn = errors(query.image, mask, query.mask, _LIMITS)
        panels.append((f"{method}: Dice {score:.0f}", drawn))
    rows = -(-len(panels) // _COLUMNS)
    figure = Figure(figsize=(9.0, 2.05 * rows + 0.75), layout="constrained", dpi=100)
    for axes in (grid := figure.subplots(rows, _COLUMNS, squeeze=False)).flat:
        axes.set_axis_off()
    for axes, (title, pixels) in zip(grid.flat, panels, strict=False):
        axes.imshow(pixels, interpolation="nearest")
        axes.set_title(title, fontsize=9.5)
    figure.suptitle(name.replace("_", " ").capitalize(), fontsize=13)
    colours = {"found": TRUE_POSITIVE, "missed": FALSE_NEGATIVE, "wrongly found": FALSE_POSITIVE}
    patches = [matplotlib.patches.Patch(color=np.array(each) / 255) for each in colours.values()]
    figure.legend(patches, colours, loc="outside lower center", ncols=3, frameon=False, fontsize=10)
    return figure


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as a PNG of 192 colours, which is half as large as with all of them."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    picture = Image.open(buffer).convert("RGB")
    small = picture.quantize(192, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    with atomic_write(path) as partial:
        small.save(partial, format="png", optimize=True)


def score(
    name: str, methods: Sequence[str], queries: int, report: Report, pictures: Path
) -> dict[str, float]:
    """Learn and segment a principle's images, add the scores and draw the figure: seconds."""
    support, *others = (draw_scene(name, seed) for seed in range(queries + 1))
    first, seconds = {}, {}
    for method in methods:
        start = time.process_time()
        found = answers_of(method, support, others)
        seconds[method] = time.process_time() - start
        first[method] = found[0]
        for seed, (mask, truth) in enumerate(zip(found, others, strict=True), 1):
            dice = mean_dice([mask], [truth.mask], 1)
            case = f"{name} {seed}"
            report.add(case, case, {"dice": dice}, target=name, method=method)
    save_figure(draw_figure(name, support, others[0], first), pictures / f"grouping_{name}.png")
    return seconds


def table_of(report: Report, methods: Sequence[str], names: Sequence[str]) -> dict[str, Any]:
    """Put the means and their intervals into one table, methods down, principles across."""
    found = {(each.method, each.target): each.interval for each in report.summary()}

    def written(method: str, name: str) -> str:
        each = found[method, name]
        return with_bounds(*(percent(value) for value in (each.mean, each.low, each.high)))

    rows = [[method, *(written(method, name) for name in names)] for method in methods]
    title = "Dice, 0 to 100, mean over queries with 95 % bootstrap intervals over them"
    return {
        "title": title,
        "columns": ["method", *(n.replace("_", " ") for n in names)],
        "rows": rows,
    }


def guide_table(table: Mapping[str, Any]) -> str:
    """Write the means alone, principles down and methods across, whole numbers, as Markdown."""
    methods = [row[0] for row in table["rows"]]
    lines = [
        [name, *(f"{float(row[number].split()[0]):.0f}" for row in table["rows"])]
        for number, name in enumerate(table["columns"][1:], 1)
    ]
    return "\n".join(markdown_table(["", *methods], lines))


def fill_guide(table: Mapping[str, Any]) -> None:
    """Put the table between its two comments in the guide."""
    text = GUIDE.read_text(encoding="utf-8")
    before, rest = text.split(f"{_START}\n")
    with atomic_write(GUIDE) as partial:
        after = rest.split(_END)[1]
        partial.write_text(f"{before}{_START}\n{guide_table(table)}\n{_END}{after}", "utf-8")


def headlines(report: Report, names: Sequence[str]) -> list[dict[str, Any]]:
    """Head each principle by the default's mean Dice, copy-mask beside it."""
    found = {(each.method, each.target): each.interval for each in report.summary()}
    return [
        {
            "name": f"{name}_dice",
            "value": percent(found[DEFAULT, name].mean),
            "ci95": [percent(found[DEFAULT, name].low), percent(found[DEFAULT, name].high)],
            "baseline": percent(found[TRIVIAL, name].mean),
            "unit": "Dice, 0 to 100",
        }
        for name in names
    ]


def main() -> None:
    """Score every method on every principle; draw the figures, and write the table."""
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    options.add_argument("--queries", type=int, default=5)
    options.add_argument("--pictures", type=Path, default=PICTURES)
    options.add_argument("--out", type=Path, default=RESULT)
    chosen = options.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    make_folder(chosen.pictures)
    report, seconds, names = Report(), {}, tuple(PRINCIPLES)
    for name in names:
        seconds[name] = score(name, METHODS, chosen.queries, report, chosen.pictures)
        means = {
            each.method: each.interval.mean for each in report.summary() if each.target == name
        }
        line = ", ".join(f"{method} {shown(percent(mean))}" for method, mean in means.items())
        print(f"{name}: {line} ({sum(seconds[name].values()):.0f} s)", flush=True)
    part = {
        "headline": headlines(report, names),
        "baseline": "copy-mask on the same images",
        "commands": [COMMAND],
        "seconds": sum(sum(each.values()) for each in seconds.values()),
        **dated(),
        "about": f"Each method learned one annotated image (seed 0) and segmented {chosen.queries} "
        f"others (seeds 1 to {chosen.queries}), all generated, with its defaults; headlines are of "
        f"{DEFAULT}.",
        "tables": [table_of(report, METHODS, names)],
        "seeds": {"annotated": 0, "queries": list(range(1, chosen.queries + 1))},
        "processor_seconds": seconds,
        **report.to_dict(),
    }
    add_part(chosen.out, "one_annotated", part)
    if chosen.out == RESULT:
        fill_guide(part["tables"][0])


if __name__ == "__main__":
    main()
