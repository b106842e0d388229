r"""Count nuclei of the 2018 Data Science Bowl from a few annotated images, and score the objects.

python tools/nuclei.py ../shared/data/dsb2018 --out docs/results/nuclei.json
python tools/nuclei.py ../shared/data/dsb2018 --annotated 1000 --methods U-Net \
    --out docs/results/nuclei_all.json

Images whose name has an even first byte of its SHA-256 are for development, from which the
annotated images are taken; the others are the test, which is scored once. Both are ordered by that
hash, so that the first n are a random sample that nobody chose; of each kind of picture (stained,
bright-field, fluorescence) the annotated and the tested images have its share.
"""

import argparse
import hashlib
import json
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from episodes.io.write import atomic_write, write_json
from episodes.readers.instances import read
from fewshot.baselines.image_predictor import GREY
from fewshot.benchmark.suite.kinds import kind_of_sample
from fewshot.evaluation.results import machine
from fewshot.inference.inputs import ImageStack, image_planes
from fewshot.inference.instances.border_objects import with_borders
from fewshot.inference.instances.look import look_of
from fewshot.inference.instances.predictor import InstancePredictor
from fewshot.inference.predictors.build import build_predictor
from fewshot.inference.support_set import SupportSet, read_support_set
from fewshot.lazily import lazily
from fewshot.metrics.instances import average_precision, count_error, dsb_score, f1, match_counts
from fewshot.metrics.overlap_table import overlap_table
from fewshot.metrics.report import Report
from fewshot.metrics.tables import markdown_table
from fewshot.provenance import typed_command
from fewshot.training.callbacks.log import read_log
from fewshot.training.folder import LOG

filters = lazily("skimage.filters")

BASELINE = "Otsu + labels"
METHODS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "threshold + splitting": ("threshold", {}),
    "pixel-forest + splitting": ("pixel-forest", {}),
    "perceptron + splitting": ("self-configuring", {"method": ("perceptron",)}),
    "fewshot count": ("best-objects", {}),
    "U-Net": ("unet", {"steps": 6000, "augmentation": "strong", "max_side": 1536}),
}
"""Predictor and settings of each; the default of the command is "fewshot count"."""
BY_BORDERS = ("U-Net",)
SCORES = ("bowl", "ap50", "f1", "count_mae")


@dataclass(frozen=True)
class Nucleus:
    """One image, its numbered nuclei, and its kind."""

    name: str
    image: Path
    numbers: Path
    kind: str


def split(root: Path) -> tuple[list[Nucleus], list[Nucleus]]:
    """Development and test images, each in the order of their hashes."""
    parts: tuple[list[tuple[bytes, Nucleus]], ...] = ([], [])
    for sample in read(root).samples:
        path = sample.image.source.path
        mark = hashlib.sha256(path.name.encode()).digest()
        found = Nucleus(path.name, path, sample.masks[0].pixels.path, kind_of_sample(sample))
        parts[mark[0] % 2].append((mark, found))
    first, second = ([each for _, each in sorted(part, key=lambda pair: pair[0])] for part in parts)
    return first, second


def stratified(images: Sequence[Nucleus], count: int) -> list[Nucleus]:
    """Take the first images of each kind, as many as its share; at least one where count allows."""
    by_kind: dict[str, list[Nucleus]] = {}
    for each in images:
        by_kind.setdefault(each.kind, []).append(each)
    ordered = sorted(by_kind.values(), key=len, reverse=True)
    quota = [max(1, round(count * len(part) / len(images))) for part in ordered]
    quota[0] = max(1, count - sum(quota[1:]))
    chosen = [each for part, number in zip(ordered, quota, strict=True) for each in part[:number]]
    return chosen[:count]


def support_of(images: Sequence[Nucleus]) -> SupportSet:
    """Read annotated images."""
    return read_support_set(
        [each.image for each in images], [each.numbers for each in images], "nucleus"
    )


def otsu_labels(shots: SupportSet) -> Callable[[ImageStack], np.ndarray]:
    """Otsu's threshold of each image, on the side of the annotated objects, and connected parts.

    The side is that of the annotated images of the same look, or of all where there is none.
    """
    sides: dict[str, list[bool]] = {}
    for picture, known in zip(shots.pictures, shots.maps, strict=True):
        grey = _grey(picture)
        bright = bool(grey[known[0] == 1].mean() > grey[known[0] == 0].mean())
        sides.setdefault(look_of(picture), []).append(bright)
    every = [side for each in sides.values() for side in each]

    def label(picture: ImageStack) -> np.ndarray:
        grey = _grey(picture)
        bright = np.mean(sides.get(look_of(picture), every)) > 0.5
        above = grey > filters.threshold_otsu(grey)
        return ndimage.label(above == bright, np.ones((3, 3)))[0][None].astype(np.int32)

    return label


def _grey(picture: ImageStack) -> np.ndarray:
    pixels = picture.pixels[0].astype(np.float32)
    return pixels @ GREY if pixels.ndim == 3 else pixels


def splitting(
    method: str, instances: str, shots: SupportSet, run: str = ""
) -> Callable[[ImageStack], np.ndarray]:
    """Learn the objects of annotated images with a method of `METHODS`.

    Args:
        method: its name.
        instances: how objects are split, but for networks, which learn borders.
        shots: the annotated images.
        run: folder of the training runs of networks; "" keeps none.
    """
    name, values = METHODS[method]
    if method in BY_BORDERS:
        instances, values = "border", {**values, "run": run}
    predictor = build_predictor(None, name, values)
    maker = InstancePredictor(with_borders(predictor, shots, instances), instances)
    learned = maker.learn(shots)
    print(learned.describe(), flush=True)
    return lambda picture: maker.instances(picture, learned).labels


def score(
    number: Callable[[ImageStack], np.ndarray], images: Sequence[Nucleus]
) -> Iterator[tuple[Nucleus, dict[str, float]]]:
    """Number the objects of every image and hold them against the true ones."""
    for each in images:
        found = number(image_planes(each.image))
        truth = read_support_set([each.image], [each.numbers], "nucleus").objects
        numbers = truth[0] if truth else np.zeros_like(found)
        table = overlap_table(found, numbers)
        counts = match_counts(table)
        yield (
            each,
            {
                "bowl": dsb_score(table),
                "ap50": float(average_precision(counts)[0]),
                "f1": float(f1(counts)[0]),
                "count_mae": float(count_error(table).absolute),
            },
        )


def main() -> None:
    """Score every method with every number of annotated images, and write the result."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("data", type=Path)
    options.add_argument("--annotated", type=int, nargs="+", default=[10, 5, 1])
    options.add_argument("--methods", nargs="+", default=list(METHODS)[:-1], choices=METHODS)
    options.add_argument("--instances", default="distance")
    options.add_argument("--images", type=int, default=40)
    options.add_argument("--part", choices=("development", "test"), default="test")
    options.add_argument("--run", default="", help="folder of training runs, which go on there")
    options.add_argument("--out", type=Path)
    chosen = options.parse_args()
    warnings.simplefilter("ignore")
    development, test = split(chosen.data)
    tested = stratified(development[::-1] if chosen.part == "development" else test, chosen.images)
    report, learned_from, seconds = Report(), {}, {}
    if chosen.part == "development":
        development = [each for each in development if each not in tested]
    counts = list(dict.fromkeys(min(each, len(development)) for each in chosen.annotated))
    for count in counts:
        annotated = stratified(development, count)
        learned_from[count] = [each.name for each in annotated]
        shots = support_of(annotated)
        for method in (BASELINE, *chosen.methods):
            start, name = time.process_time(), f"{method}, {count}"
            print(name, flush=True)
            if method == BASELINE:
                number = otsu_labels(shots)
            else:
                number = splitting(method, chosen.instances, shots, chosen.run)
            learning = time.process_time() - start
            for each, scores in score(number, tested):
                report.add(each.name, each.name, scores, method=name)
                report.add(each.name, each.name, scores, method=name, target=each.kind)
            total = time.process_time() - start
            seconds[name] = {"learning": round(learning, 1), "all": round(total, 1)}
            print(report, flush=True)
    if chosen.out:
        write(chosen, report, learned_from, seconds, tested, len(development))


def write(
    chosen: argparse.Namespace,
    report: Report,
    learned_from: dict[int, list[str]],
    seconds: dict[str, dict[str, float]],
    tested: Sequence[Nucleus],
    available: int,
) -> None:
    """Write the JSON file and the table beside it."""
    most = max(learned_from)
    last = f"{chosen.methods[-1]}, {most}"
    classical = f"{chosen.methods[0]}, {most}"
    rows = {(each.method, each.target, each.score): each.interval for each in report.summary()}

    def headline(name: str, method: str, scored: str, target: str = "") -> dict[str, Any]:
        found = rows[method, target, scored]
        baseline = rows.get((f"{BASELINE}, {most}", target, scored))
        return {
            "name": name,
            "value": found.mean,
            "ci95": [found.low, found.high],
            "baseline": baseline and baseline.mean,
            "unit": "objects" if scored == "count_mae" else "share",
            "method": method,
        }

    amount, ending = ("all", "_all_images") if most == available else (most, "")
    heads = [
        headline(f"bowl_{amount}_images", last, "bowl"),
        headline(f"ap50_fluorescence{ending}", last, "ap50", "fluorescence"),
        headline(f"count_mae_{amount}_images", last, "count_mae"),
    ]
    if len(chosen.methods) > 1:
        heads.insert(0, headline("bowl_classical", classical, "bowl"))
    content = {
        "headline": heads,
        "baseline": BASELINE,
        "commands": [typed_command()],
        "machine": machine(),
        "date": date.today().isoformat(),
        "seconds": round(sum(each["all"] for each in seconds.values()), 1),
        "processor_seconds": seconds,
        # Of networks in the folder of runs, by the clock, earlier calls included.
        "training_seconds": [
            read_log(log)[-1]["seconds"] for log in sorted(Path(chosen.run).glob(f"*/{LOG}"))
        ]
        if chosen.run
        else [],
        "annotated": learned_from,
        "test_images": len(tested),
        "test_hash": hashlib.sha256("".join(each.name for each in tested).encode()).hexdigest(),
        **report.to_dict(),
    }
    write_json(chosen.out, json.loads(json.dumps(content), parse_constant=lambda _: None))
    kinds = ["", *sorted({each.kind for each in tested})]
    methods = list(dict.fromkeys(row.method for row in report.rows))
    lines = [
        *("# Nuclei, one by one", ""),
        f"`{content['commands'][0]}`, {len(tested)} images that were not used for development; "
        "means over images with 95 % bootstrap intervals.",
    ]
    for kind in kinds:
        cells = [
            [method, *(_cell(rows.get((method, kind, each))) for each in SCORES)]
            for method in methods
        ]
        count = sum(not kind or each.kind == kind for each in tested)
        lines += ["", f"## {kind or 'all'} ({count} images)", ""]
        heads_of = ["method, annotated images", "Bowl score", "AP@.5", "F1@.5", "count MAE"]
        lines += markdown_table(heads_of, cells)
    with atomic_write(chosen.out.with_suffix(".md")) as partial:
        partial.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _cell(interval: Any) -> str | None:
    if interval is None:
        return None
    if np.isnan(interval.low):  # of one image
        return f"{interval.mean:.3f}"
    return f"{interval.mean:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


if __name__ == "__main__":
    main()
