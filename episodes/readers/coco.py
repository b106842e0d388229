"""COCO: a JSON file of annotations and the pictures that it names.

    annotations/instances_val2017.json    or any .json with images, annotations and categories,
    val2017/000000000139.jpg              there or in the folder itself; pictures in images/, in a
                                          folder that the file's name ends with, or beside it

Where there are files whose name begins with `instances`, the others (captions, key points) are left
out. Polygons and both forms of run-lengths are read when a mask is needed. A category is a class;
a pixel of instances of two classes is unknown where both are asked for, and the pixels of a crowd
are unknown (255) for every class. A picture without annotations shows nothing but background.

Lin et al.: Microsoft COCO: common objects in context, ECCV 2014.
"""

import json
import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from episodes import decode
from episodes.catalog import Catalog, MaskRef, PixelRef, Sample
from episodes.errors import DataError
from episodes.legend import Legend
from episodes.limits import guarded, inside, read_text
from episodes.polygons import read_segments, whole
from episodes.readers import naming

_KEYS = re.compile(r'"(images|annotations|categories)"\s*:')


def recognises(root: Path) -> bool:
    """Whether a JSON file with the keys of COCO is there."""
    return bool(_annotations(root))


def read(
    root: Path, *, subject_pattern: str | None = None, legend: Legend | None = None
) -> Catalog:
    """Read all annotation files of a data set.

    Args:
        root: see the module.
        subject_pattern: searched in a picture's file name; by default each picture is a subject.
        legend: `{category id: name}`; by default the categories of the files.

    Raises:
        DataError: a file is no such JSON, names a category or picture that is not there, or
            another size than the picture's.
    """
    samples: list[Sample] = []
    names: dict[str, None] = {}
    for path in _annotations(root):
        with guarded(path, "COCO JSON"):
            content = json.loads(read_text(path))
            categories = _categories(content, legend)
            names |= dict.fromkeys(name for name in categories.values() if name)
            samples += _samples(root, path, content, categories, subject_pattern)
    catalog = naming.catalog_of(root, samples)
    return Catalog(catalog.samples, tuple(names), name=catalog.name)


def _annotations(root: Path) -> list[Path]:
    folders = [folder for folder in (root, root / "annotations") if folder.is_dir()]
    found = [path for folder in folders for path in sorted(folder.glob("*.json")) if _is_coco(path)]
    return [path for path in found if path.name.startswith("instances")] or found


def _is_coco(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(2**20).decode("utf-8", errors="replace")
    return start.lstrip("\ufeff \t\r\n").startswith("{") and bool(_KEYS.search(start))


def _categories(content: Mapping[str, Any], legend: Legend | None) -> dict[int, str | None]:
    found = {whole(c["id"], "a category's id"): str(c["name"]) for c in content["categories"]}
    if legend is None:
        return dict(found)
    if isinstance(legend, str):
        return dict.fromkeys(found, legend)
    return {number: legend.get(number) for number in found}


def _samples(
    root: Path,
    path: Path,
    content: Mapping[str, Any],
    categories: Mapping[int, str | None],
    subject_pattern: str | None,
) -> list[Sample]:
    segments = _segments(content, categories)
    folders = _picture_folders(root, path)
    samples: list[Sample] = []
    for image in content["images"]:
        number, file_name = whole(image["id"], "an image's id"), str(image["file_name"])
        size = (whole(image["height"], "a height"), whole(image["width"], "a width"))
        tried = [inside(folder, file_name) for folder in folders]
        picture = next((file for file in tried if file.is_file()), tried[0])
        if (shown := decode.read_header(picture).size) != size:
            raise DataError(f"{picture} has the size {shown}; {path} says {size}")
        masks = []
        for name, (objects, crowds) in segments.pop(number, {"": ([], [])}).items():
            member = json.dumps({"size": size, "objects": objects, "crowds": crowds})
            legend = {1: name} if name else {}
            masks.append(MaskRef(PixelRef(path, None, read_segments, member), legend))
        subject = naming.subject_of(file_name, subject_pattern)
        key = picture.relative_to(root).as_posix()
        samples.append(Sample(key, PixelRef(picture), tuple(masks), subject, size))
    if segments:
        raise DataError(f"{path} annotates image {next(iter(segments))}, which it does not list")
    return samples


def _segments(
    content: Mapping[str, Any], categories: Mapping[int, str | None]
) -> dict[int, dict[str, tuple[list, list]]]:
    """Map image ids to class names to the segmentations of objects and of crowds."""
    found: dict[int, dict[str, tuple[list, list]]] = defaultdict(dict)
    for note in content["annotations"]:
        number = whole(note["category_id"], "a category id")
        if number not in categories:
            raise DataError(f"an annotation has the category {number}, which nobody listed")
        if name := categories[number]:
            image = found[whole(note["image_id"], "an image id")]
            crowd = bool(note.get("iscrowd"))
            image.setdefault(name, ([], []))[crowd].append(note["segmentation"])
    return found


def _picture_folders(root: Path, path: Path) -> list[Path]:
    """List where the pictures of an annotation file may lie, the likeliest first."""
    part = path.stem.rpartition("_")[2]
    folders = (root / part, root / "images" / part, root / "images", path.parent, root)
    return [folder for folder in folders if folder.is_dir()]
