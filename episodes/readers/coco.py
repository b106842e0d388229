"""COCO: a JSON file of annotations and the pictures that it names.

    annotations/instances_val2017.json    or any .json with images, annotations and categories,
    val2017/000000000139.jpg              there or in the folder itself; pictures in images/, in a
                                          folder that the file's name ends with, or beside it
    train/_annotations.coco.json          a file in each sub-folder, beside its pictures, as
    train/a.jpg                           Roboflow writes it

Where there are files whose name begins with `instances`, the others (captions, key points) are left
out. Polygons and both forms of run-lengths are read when a mask is needed. A category is a class;
a pixel of instances of two classes is unknown where both are asked for, and the pixels of a crowd
are unknown (255) for every class. A picture without annotations shows nothing but background.

One odd entry leaves the others as they are, and the notes of the catalog name it: where an
annotation has no outline or an unknown category, its pixels are unknown
(`episodes.readers.coco_annotations`); a picture that is not there, or has another size than the
file says, is left out.

Lin et al.: Microsoft COCO: common objects in context, ECCV 2014.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from episodes.catalog.catalog import Catalog, Sample
from episodes.errors import DataError, shorten
from episodes.io.formats.polygons import read_segments
from episodes.io.limits import guarded, read_text
from episodes.io.pixels import IGNORE, MaskRef, PixelRef
from episodes.io.read import read_header
from episodes.masks.label_map import UNKNOWN, LabelMap, label_map_classes
from episodes.readers import naming
from episodes.readers.coco_annotations import Outline, check_outline
from episodes.readers.file_finder import Finder

_KEYS = re.compile(r'"(images|annotations|categories)"\s*:')
_NAMED = 4  # odd entries that a note names

Entry = Mapping[str, Any]
Odd = dict[str, list[str]]
"""What happened to odd entries, and which they are."""


class _Picture(NamedTuple):
    path: Path
    name: str  # in the annotation file
    size: tuple[int, int]


def recognises(root: Path) -> bool:
    """Whether a JSON file with the keys of COCO is there."""
    return bool(_annotations(root))


def read(
    root: Path, *, subject_pattern: str | None = None, label_map: LabelMap | None = None
) -> Catalog:
    """Read all annotation files of a data set.

    Args:
        root: see the module.
        subject_pattern: searched in a picture's file name; by default each picture is a subject.
        label_map: `{category id: name}`; by default the categories of the files.

    Raises:
        DataError: a file is no such JSON, two files annotate one picture, no annotation has an
            outline, or no picture is there.
    """
    samples: dict[str, Sample] = {}
    files: dict[str, Path] = {}
    names: dict[str, None] = {}
    notes: list[str] = []
    for path in _annotations(root):
        with guarded(path, "COCO JSON"):
            content = _content(path)
            categories = _categories(path, content, label_map)
            found, more = _samples(root, path, content, categories, subject_pattern)
        for sample in found:
            if sample.key in samples:
                raise DataError(
                    f"{files[sample.key]} and {path} both list {sample.key}; expected one file a "
                    "picture: join the two, or move one out of the folder"
                )
            samples[sample.key], files[sample.key] = sample, path
        names |= dict.fromkeys(name for name in categories.values() if name)
        notes += more
    if not samples:
        raise DataError(f"{root} holds no picture that can be used. {'. '.join(notes)}".strip())
    _check_outlines(root, samples.values(), notes)
    shown = {c for s in samples.values() for m in s.masks for c in label_map_classes(m.label_map)}
    if unused := [name for name in names if name not in shown]:
        notes.append(
            f"{len(unused)} categories without an annotation are no classes: "
            f"{shorten(unused, _NAMED)}"
        )
    classes = tuple(name for name in names if name in shown)
    return Catalog(tuple(samples.values()), classes, root.resolve().name, tuple(notes))


def _annotations(root: Path) -> list[Path]:
    """List the annotation files of the folder, else those of its sub-folders."""
    for folders in ([root, root / "annotations"], naming.folders(root)):
        listed = [p for folder in folders for p in sorted(folder.glob("*.json"))]
        found = [path for path in listed if not path.name.startswith(".") and _is_coco(path)]
        if found:
            return [path for path in found if path.name.startswith("instances")] or found
    return []


def _is_coco(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(2**20).decode("utf-8", errors="replace")
    return start.lstrip("\ufeff \t\r\n").startswith("{") and bool(_KEYS.search(start))


def _content(path: Path) -> dict[str, list[Entry]]:
    """Read the three lists of a file; annotations may lack, where none of the pictures has any."""
    content = json.loads(read_text(path))
    lists = {key: content[key] for key in ("images", "annotations", "categories") if key in content}
    for key in ("images", "categories", *lists):
        entries = lists.get(key)
        if not isinstance(entries, list) or not all(isinstance(e, Mapping) for e in entries):
            raise DataError(f"{path} has no list of {key}; expected the JSON of COCO")
    if lists.get("annotations") and not lists["categories"]:
        raise DataError(f"{path} lists annotations and no category; expected the classes' names")
    return lists


def _key(number: object) -> str | None:
    """Return an id, be it a number or text, as text; None where it is none.

    >>> _key(7), _key(7.0), _key("7"), _key("img-7"), _key(None), _key(True)
    ('7', '7', '7', 'img-7', None, None)
    """
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    if isinstance(number, str):
        return number.strip() or None
    return str(number) if type(number) is int else None


def _categories(
    path: Path, content: Mapping[str, list[Entry]], label_map: LabelMap | None
) -> dict[str, str | None]:
    """Map the ids of categories to the names of classes; a label map leaves some without one."""
    found: dict[str, str | None] = {}
    for category in content["categories"]:
        number = _key(category.get("id"))
        name = str(category.get("name") or number)
        if number is None or found.get(number, name) != name:
            raise DataError(
                f"{path}: category {name!r} has the id {category.get('id')!r}; expected an id of "
                "its own"
            )
        found[number] = name
    if label_map is None:
        return found
    if isinstance(label_map, str):
        return dict.fromkeys(found, label_map)
    given = {str(number): name for number, name in label_map.items()}
    if not set(given) & set(found):
        listed = ", ".join(f"{number} {name}" for number, name in found.items())
        raise DataError(f"{path}: no category has the id {shorten(given)}; there are {listed}")
    return {number: given.get(number) for number in found}


def _samples(
    root: Path,
    path: Path,
    content: Mapping[str, list[Entry]],
    categories: Mapping[str, str | None],
    subject_pattern: str | None,
) -> tuple[list[Sample], list[str]]:
    """Make a sample of each picture that exists, and note problems."""
    odd: Odd = defaultdict(list)
    pictures = _pictures(root, path, content["images"], odd)
    listed = {_key(image.get("id")) for image in content["images"]}
    drawings = _drawings(content.get("annotations", []), pictures, listed, categories, odd)
    samples: list[Sample] = []
    for picture in dict.fromkeys(pictures.values()):
        masks = []
        for name, drawing in drawings.get(picture, {"": {"objects": [], "crowds": []}}).items():
            member = json.dumps({"size": picture.size, **drawing})
            pixels = PixelRef(path, None, read_segments, member)
            masks.append(MaskRef(pixels, {1: name or None, IGNORE: UNKNOWN}))
        key = picture.path.relative_to(root).as_posix()
        subject = naming.subject_of(picture.name, subject_pattern)
        references = tuple(masks) if "annotations" in content else ()
        samples.append(Sample(key, PixelRef(picture.path), references, subject, picture.size))
    total = {key: len(entries) for key, entries in content.items()}
    return samples, [
        f"{path.name}: {len(which)} of {total[what.partition(' ')[0]]} {what}: "
        f"{shorten(which, _NAMED)}"
        for what, which in odd.items()
    ]


def _pictures(root: Path, path: Path, images: Sequence[Entry], odd: Odd) -> dict[str, _Picture]:
    """Map the ids of images to the pictures that are there, of the size that the file gives."""
    finder = Finder(root, _picture_folders(root, path), lambda: naming.list_images(root))
    names: dict[str | None, set[str]] = defaultdict(set)
    for image in images:
        names[_key(image.get("id"))].add(str(image.get("file_name") or ""))
    found: dict[str, _Picture] = {}
    seen: dict[Path, _Picture] = {}
    for image in images:
        number, name = _key(image.get("id")), str(image.get("file_name") or "")
        try:
            if number is None or len(names[number]) > 1:
                raise DataError(f"{name!r} has the id {image.get('id')!r}, not one of its own")
            picture = finder.find(name)
            size = read_header(picture).size
            given = [image.get(side) for side in ("height", "width")]
            if any(n is not None and _key(n) != str(i) for n, i in zip(given, size, strict=True)):
                raise DataError(
                    f"{name!r} has the size {size}; {path.name} says ({given[0]}, {given[1]})"
                )
        except DataError as error:
            odd["images are left out"].append(str(error))
            continue
        # A picture that is listed under two ids has the annotations of both.
        found[number] = seen.setdefault(picture, _Picture(picture, name, size))
    return found


def _drawings(
    annotations: Sequence[Entry],
    pictures: Mapping[str, _Picture],
    listed: set[str | None],
    categories: Mapping[str, str | None],
    odd: Odd,
) -> dict[_Picture, dict[str, dict[str, list]]]:
    """Map pictures to class names to what is drawn of the class: see `read_segments`."""
    found: dict[_Picture, dict[str, dict[str, list]]] = defaultdict(dict)
    for place, note in enumerate(annotations, start=1):
        which = f"annotation {note['id']}" if "id" in note else f"annotation number {place}"
        image, category = _key(note.get("image_id")), _key(note.get("category_id"))
        if image is None or image not in listed:
            what = f"{which} (image {note.get('image_id')!r})"
            odd["annotations are of no image that is listed, and left out"].append(what)
            continue
        if image not in pictures or categories.get(category or "", "?") is None:
            continue  # the picture was left out; or the label map makes the category background
        picture = pictures[image]
        outline = check_outline(note, picture.size)
        problem = outline.problem
        if category not in categories:
            problem = problem or f"the category {note.get('category_id')!r}, which is not listed"
        name = categories.get(category or "") or ""
        drawing = found[picture].setdefault(name, {"objects": [], "crowds": []})
        if outline.drawn is not None:
            crowd = not name or _key(note.get("iscrowd")) == "1" or note.get("iscrowd") is True
            drawing["crowds" if crowd else "objects"].append(outline.drawn)
        if outline.unknown:
            drawing.setdefault("unknown", []).append(outline.unknown)
        if problem:
            odd[_what_happened(outline)].append(f"{which} of {picture.name} ({problem})")
    return found


def _what_happened(outline: Outline) -> str:
    if not outline.has_position:
        return (
            "annotations have no position, and all pixels outside other outlines are unknown there"
        )
    return "annotations cannot be drawn as they are, and their pixels are unknown"


def _check_outlines(root: Path, samples: Iterable[Sample], notes: Sequence[str]) -> None:
    """Raise where there are annotations and none of them is drawn, as of boxes alone."""
    members = [json.loads(mask.pixels.member) for s in samples for mask in s.masks]
    if any(m["objects"] or m["crowds"] for m in members) or not any(
        "unknown" in m for m in members
    ):
        return
    raise DataError(
        f"{root}: no annotation has an outline that can be drawn; boxes alone are no masks. "
        f"{'. '.join(notes)}"
    )


def _picture_folders(root: Path, path: Path) -> list[Path]:
    """List where the pictures of an annotation file may lie, the likeliest first."""
    part = path.stem.rpartition("_")[2]
    folders = (root / part, root / "images" / part, root / "images", path.parent, root)
    return [folder for folder in folders if folder.is_dir()]
