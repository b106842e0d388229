"""Pictures with numbered objects, in the layouts of the 2018 Data Science Bowl.

    images/a.png  instances/a.png             16-bit PNG: 0 background, 1, 2, … objects
    a/images/a.png  a/masks/*.png             one binary mask an object (stage1_train)
    a/images/a.png  stage1_train_labels.csv   ImageId,EncodedPixels: one object a line, as pairs of
                                              start and length, from 1, column after column

Objects are of one class: "nucleus" in the two layouts of the competition, "object" in the first,
or the name in classes.json (`{"instances": "cell"}`).

Caicedo et al.: Nucleus segmentation across imaging experiments: the 2018 Data Science Bowl, Nature
Methods 16 (2019).
"""

import csv
import io
import json
from collections import defaultdict
from pathlib import Path

import numpy as np

from episodes.catalog.catalog import Catalog, Sample
from episodes.errors import DataError, shorten
from episodes.io.formats.rle import from_pairs, read_pairs
from episodes.io.limits import guarded, read_text
from episodes.io.pixels import MaskRef, PixelRef
from episodes.io.read import read_header, read_labels
from episodes.masks.label_map import LabelMap, read_label_map
from episodes.readers import folder, naming

COLUMNS = ["ImageId", "EncodedPixels"]


def recognises(root: Path) -> bool:
    """Whether it has one of the three layouts."""
    return _numbered(root) or any(_picture(sub) for sub in naming.folders(root))


def read(
    root: Path, *, subject_pattern: str | None = None, label_map: LabelMap | None = None
) -> Catalog:
    """Read pictures of objects; see the module for the layouts.

    Args:
        root: the data set's folder.
        subject_pattern: searched in a picture's name; by default each picture is a subject.
        label_map: the name of the objects' class.

    Raises:
        DataError: a header is damaged.
    """
    label_map = read_label_map(root) if label_map is None else label_map
    if _numbered(root):
        return folder.read(root, subject_pattern=subject_pattern, label_map=label_map or "object")
    runs = _runs(root)
    samples: list[Sample] = []
    lacking: list[str] = []
    odd: list[str] = []
    for sub in naming.folders(root):
        picture = _picture(sub)
        if picture is None:
            continue
        size = read_header(picture).size
        if (sub / "masks").is_dir():
            objects = [PixelRef(sub / "masks", None, read_objects)]
        elif sub.name in runs:
            member = json.dumps({"size": size, "objects": runs[sub.name]})
            objects = [PixelRef(picture, None, read_runs, member)]
            problem = _odd_runs(runs[sub.name], size)
            if problem:  # where the object lies is unknown, so nothing is known about the rest
                objects = []
                odd.append(f"{sub.name} ({problem})")
        else:
            objects = []
            lacking.append(sub.name)
        masks = tuple(MaskRef(pixels, label_map or "nucleus") for pixels in objects)
        subject = naming.subject_of(sub.name, subject_pattern)
        key = picture.relative_to(root).as_posix()
        samples.append(Sample(key, PixelRef(picture), masks, subject, size))
    stray = sorted(set(runs) - {sample.key.partition("/")[0] for sample in samples})
    notes = naming.partner_note("images", lacking, "a mask")
    notes += naming.partner_note("names in the CSV file", stray, "a picture")
    if odd:
        notes += (f"{len(odd)} images count as not annotated, for an odd line: {shorten(odd, 4)}",)
    return naming.catalog_of(root, samples, notes)


def read_objects(path: Path, member: str) -> np.ndarray:
    """Number the objects of a folder of binary masks: uint16 [height width], in order of names.

    Raises:
        DataError: there is no mask, or sizes differ, or there are more than 65,535.
    """
    masks = sorted(file for file in naming.list_files(path) if file.parent == path)
    if not 0 < len(masks) < 2**16:
        raise DataError(f"{path} holds {len(masks)} masks; expected between 1 and 65,535")
    size = read_header(masks[0]).size
    numbers = np.zeros(size, np.uint16)
    for number, file in enumerate(masks, 1):
        mask = read_labels(file)[0]
        if mask.shape != size:
            raise DataError(f"mask {file} has {mask.shape} pixels; the first one has {size}")
        numbers[mask > 0] = number
    return numbers


def read_runs(path: Path, member: str) -> np.ndarray:
    """Number the objects of the lines of a CSV file: uint16 [height width]."""
    content = json.loads(member)
    height, width = content["size"]
    numbers = np.zeros((height, width), np.uint16)
    for number, text in enumerate(content["objects"], 1):
        try:
            numbers[from_pairs(text, (height, width))] = number
        except DataError as error:
            raise DataError(f"object {number} of {path}: {error}") from error
    return numbers


def _odd_runs(objects: list[str], size: tuple[int, int]) -> str:
    """Note the lines of an image that cannot be drawn, and why; empty where all can."""
    for number, text in enumerate(objects, 1):
        try:
            read_pairs(text, size)
        except DataError as error:
            return f"object {number}: {error}"
    return ""


def _numbered(root: Path) -> bool:
    masks = naming.subfolder(root, naming.MASK_WORDS)
    named = masks is not None and masks.name.lower() == "instances"
    return named and naming.subfolder(root, naming.IMAGE_WORDS) is not None


def _picture(sub: Path) -> Path | None:
    """Return a/images/a.png of the folder a."""
    picture = sub / "images" / f"{sub.name}.png"
    return picture if picture.is_file() else None


def _runs(root: Path) -> dict[str, list[str]]:
    """Read the lines of all CSV files in the folder that have the two columns."""
    runs: dict[str, list[str]] = defaultdict(list)
    for path in sorted(root.glob("*.csv")):
        with guarded(path, "CSV"):
            rows = csv.reader(io.StringIO(read_text(path)), strict=True)
            if next(rows, None) != COLUMNS:
                continue
            for row in rows:
                if len(row) != 2:
                    raise DataError(f"{path}, line {rows.line_num}: {row}; expected two columns")
                runs[row[0]].append(row[1])
    if any(len(objects) >= 2**16 for objects in runs.values()):
        raise DataError(f"{root}: more than 65,535 objects in one picture")
    return runs
