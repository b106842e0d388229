"""Draw the figures of docs/grouping.md, score the methods that they show, and fill in its table.

    python tools/grouping_pictures.py
    python tools/grouping_pictures.py --principles symmetry

Every method learns one generated image of a principle and segments others of it. Seed 0 is the
annotated image, the seeds from 1 on are the queries, and the figure shows query 1: they were fixed
before anything was drawn. Every method has its defaults; nothing is chosen on these images.
"""

import argparse
import io
import json
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


def title_of(name: str) -> str:
    """Write the name of a principle in words."""
    return name.replace("_moving", ", moving").replace("_", " ")


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
    figure.suptitle(title_of(name).capitalize(), fontsize=13)
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
            report.add(case, case, {"dice": dice}, method=method)
    save_figure(draw_figure(name, support, others[0], first), pictures / f"grouping_{name}.png")
    return seconds


def part_of(
    name: str, report: Report, queries: int, seconds: Mapping[str, float]
) -> dict[str, Any]:
    """Put a principle's scores into a part of the result file, the default as its headline."""
    found = {each.method: each.interval for each in report.summary()}
    dice = {
        method: [percent(value) for value in (each.mean, each.low, each.high)]
        for method, each in found.items()
    }
    mean, low, high = dice[DEFAULT]
    head = {"name": f"{name}_dice", "value": mean, "ci95": [low, high], "unit": "Dice, 0 to 100"}
    return {
        "headline": [{**head, "baseline": dice[TRIVIAL][0]}],
        "baseline": f"{TRIVIAL} on the same images",
        "commands": [COMMAND],
        "seconds": sum(seconds.values()),
        **dated(),
        "about": f"Each method learned one annotated image (seed 0) and segmented {queries} others "
        f"(seeds 1 to {queries}), all generated, with its defaults; the headline is of {DEFAULT}.",
        "tables": [
            {
                "title": "Dice, 0 to 100, mean over queries with the 95 % bootstrap interval",
                "columns": ["method", "Dice"],
                "rows": [[method, with_bounds(*values)] for method, values in dice.items()],
            }
        ],
        "means": {method: values[0] for method, values in dice.items()},
        "seeds": {"annotated": 0, "queries": list(range(1, queries + 1))},
        "processor_seconds": dict(seconds),
        **report.to_dict(),
    }


def guide_table(path: Path) -> str:
    """Write the means of a result file, principles down, methods across, as Markdown."""
    parts = json.loads(path.read_text(encoding="utf-8"))["parts"]
    rows = [
        [title_of(name), *(f"{parts[name]['means'][method]:.0f}" for method in METHODS)]
        for name in PRINCIPLES
        if name in parts
    ]
    return "\n".join(markdown_table(["", *METHODS], rows))


def fill_guide() -> None:
    """Put the table between its two comments in the guide."""
    before, rest = GUIDE.read_text(encoding="utf-8").split(f"{_START}\n")
    after = rest.split(_END)[1]
    with atomic_write(GUIDE) as partial:
        partial.write_text(f"{before}{_START}\n{guide_table(RESULT)}\n{_END}{after}", "utf-8")


def main() -> None:
    """Score every method on every principle; draw the figures, and write the table."""
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    options.add_argument("--principles", nargs="+", choices=PRINCIPLES, default=list(PRINCIPLES))
    options.add_argument("--queries", type=int, default=5)
    chosen = options.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    make_folder(PICTURES)
    for name in chosen.principles:
        report = Report()
        seconds = score(name, METHODS, chosen.queries, report, PICTURES)
        part = part_of(name, report, chosen.queries, seconds)
        print(name, {method: shown(mean) for method, mean in part["means"].items()}, flush=True)
        add_part(RESULT, name, part)
    fill_guide()


if __name__ == "__main__":
    main()
