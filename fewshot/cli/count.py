"""`fewshot count`: objects like the annotated ones, counted and measured."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np

from episodes.errors import DataError
from episodes.io.read import read_labels
from episodes.io.write import atomic_write, make_folder
from episodes.readers import naming
from fewshot.archive.object_files import COUNT_COLUMNS, COUNTS, OBJECTS
from fewshot.cli.options import CountObjects, Segment
from fewshot.cli.segment import segment
from fewshot.lazily import lazily
from fewshot.metrics.tables import csv_table, text_table

value = lazily("fewshot.inference.instances.value")
inputs = lazily("fewshot.inference.inputs")

_CHOOSING = "best-objects"
_METHOD = ("perceptron",)  # where insides are learned, too: it is taught several times
_SHOWN = 12  # rows that are printed


def count(command: CountObjects) -> int:
    """Segment every query and number its objects; or count numbers that are there.

    Raises:
        DataError: see `segment`; or images are missing.
    """
    if command.labels is not None:
        if command.support or command.mask or command.query:
            raise DataError(
                "--labels counts numbered objects that are there; leave out --support, --mask and "
                "--query"
            )
        return _count_labels(command.labels, command.out)
    if missing := [name for name in ("support", "mask", "query") if not getattr(command, name)]:
        raise DataError(
            f"--{', --'.join(missing)} is missing; count needs annotated images, their masks and "
            "images to count in, or --labels with numbered objects"
        )
    try:
        return segment(_as_segment(command), _CHOOSING)
    finally:
        _show(command.out / COUNTS)


def _as_segment(command: CountObjects) -> Segment:
    settings = Segment(command.support, command.mask, command.query, command.out)
    names = ("model", "masks", "axes", "channels", "instances", "inference", "output")
    values = {name: getattr(command, name) for name in names}
    chosen = command.inference
    if command.instances in ("border", "seeds") and not (chosen.predictor or chosen.method):
        values["inference"] = replace(chosen, method=_METHOD)
    return replace(settings, bowl=True, **values)


def _count_labels(path: Path, out: Path) -> int:
    """Count the numbers of label images; an object is what has one number."""
    make_folder(out)
    files = [path] if path.is_file() else list(naming.by_stem(path).values())
    if not files:
        raise DataError(f"{path} holds no image; expected PNG, TIFF or NIfTI files of numbers")
    objects, counts = [], []
    for file in files:
        numbers = read_labels(file)
        held, labels = np.unique(numbers, return_inverse=True)
        labels = labels.reshape(numbers.shape).astype(np.int32)
        labels = labels if held[0] == 0 else labels + 1
        size = int(labels.max())
        source = replace(inputs.image_planes(file), pixels=numbers)
        found = value.Instances(
            labels, np.ones(size, int), np.ones(size), ("object",), (1,), source
        )
        objects += found.table()
        counts += found.summary()
    columns = [
        name
        for name in (objects[0] if objects else ["image", "number"])
        if name != "score" and "intensity" not in name
    ]
    for name, head, rows in ((OBJECTS, columns, objects), (COUNTS, COUNT_COLUMNS, counts)):
        with atomic_write(out / name) as partial:
            partial.write_text(csv_table(list(head), rows), encoding="utf-8")
    _show(out / COUNTS)
    return 0


def _show(path: Path) -> None:
    """Print the first rows of counts.csv, and the totals."""
    if not path.is_file():
        return
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    table = [[row["image"], row["class"], row["count"], row["touching_border"]] for row in rows]
    heads = ["image", "class", "count", "at the edge"]
    print(*text_table(heads, table[:_SHOWN], right=(2, 3)), sep="\n")
    if len(table) > _SHOWN:
        print(f"… {len(table) - _SHOWN} more rows")
    total = sum(int(row["count"]) for row in rows)
    images = len({row.get("instances") or row["image"] for row in rows})
    print(f"{total} objects in {images} images: {path}")
