"""PASCAL VOC, alone or with the further masks of SBD, as PASCAL-5i uses them; CVAT's export.

    JPEGImages/2007_000032.jpg
    SegmentationClass/2007_000032.png         palette: 1 to 20 classes, 255 the border, unknown
    SegmentationClassAug/2008_000002.png      the same numbers, grey; more pictures
    ImageSets/Segmentation/train.txt          names of pictures, one a line

The folder itself, `VOC2012/` or `VOCdevkit/VOC2012/` in it. A picture that has a mask in both
folders takes that of SegmentationClass, which was drawn with more care. Pictures may have any
ending, in small or capital letters.

    labelmap.txt                              cell:255,0,124:: a class and its colour, as CVAT
                                              writes it; the pictures may lie in images/

Where there is such a file, masks are read by their colours; labels called background are
background, and those called ignored, void or unknown are unknown (255).

Everingham et al.: The PASCAL visual object classes challenge, IJCV 88 (2010). Hariharan et al.:
Semantic contours from inverse detectors, ICCV 2011.
"""

import json
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from episodes.catalog.catalog import Catalog, Sample
from episodes.errors import DataError, shorten
from episodes.io.limits import inside, read_text
from episodes.io.pixels import IGNORE, MaskRef, PixelRef
from episodes.io.read import read_header, read_image
from episodes.masks.label_map import MAX_VALUES, UNKNOWN, LabelMap, read_label_map
from episodes.readers import naming

LABEL_MAP = "labelmap.txt"
MASK_FOLDERS = ("SegmentationClass", "SegmentationClassAug")
NAMES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa"),
    *("train", "tvmonitor"),
)
"""The classes of VOC 2012 in the order of their numbers, from 1."""


def recognises(root: Path) -> bool:
    """Whether JPEGImages and a folder of class masks are there."""
    return _home(root) is not None


def read(
    root: Path,
    *,
    subject_pattern: str | None = None,
    label_map: LabelMap | None = None,
    split: str | None = None,
) -> Catalog:
    """Read the pictures that have a mask.

    Args:
        root: see the module.
        subject_pattern: searched in a picture's name; by default each picture is a subject.
        label_map: what the numbers mean; by default classes.json, else the classes of VOC 2012.
        split: the list in ImageSets/Segmentation to keep to, e.g. "train"; None for all masks.

    Raises:
        DataError: a header is damaged, or the list names a picture without a mask.
    """
    home = _home(root)
    if home is None:
        raise DataError(f"{root} lacks JPEGImages/ or {' or '.join(MASK_FOLDERS)}; expected both")
    pictures = _picture_folder(home)
    if pictures is None:
        raise DataError(
            f"{home} holds masks and {LABEL_MAP}, but no pictures; expected those in JPEGImages/ "
            "(in CVAT, export with images)"
        )
    labels = _read_label_map(home / LABEL_MAP) if (home / LABEL_MAP).is_file() else None
    if label_map is None:
        label_map = read_label_map(home) or (labels.label_map if labels else None)
        label_map = label_map or {i + 1: name for i, name in enumerate(NAMES)}
    named = dict.fromkeys(range(1, IGNORE), label_map) if isinstance(label_map, str) else label_map
    label_map = {IGNORE: UNKNOWN, **named}  # 255 are the borders of objects
    images = naming.by_stem(pictures)
    masks: dict[str, Path] = {}
    for folder in reversed(MASK_FOLDERS):
        there = naming.by_stem(home / folder) if (home / folder).is_dir() else {}
        masks |= {name: path for name, path in there.items() if path.suffix.lower() == ".png"}
    names = sorted(masks) if split is None else _listed(home, split, masks)
    samples: list[Sample] = []
    reader, member = (read_colours, labels.member) if labels else (None, "")
    for name in (name for name in names if name in images):
        picture = images[name]
        samples.append(
            Sample(
                key=f"{pictures.name}/{picture.relative_to(pictures).as_posix()}",
                image=PixelRef(picture),
                masks=(MaskRef(PixelRef(masks[name], None, reader, member), label_map),),
                subject=naming.subject_of(name, subject_pattern),
                size=read_header(picture).size,
            )
        )
    lacking = [name for name in names if name not in images]
    return naming.catalog_of(home, samples, naming.partner_note("masks", lacking, "an image"))


def read_colours(path: Path, member: str) -> np.ndarray:
    """Read a mask of colours as the numbers of its labels: uint8 [height width].

    Args:
        path: a picture in colour or with a palette.
        member: JSON of `{number: [red, green, blue]}`.

    Raises:
        DataError: it holds a colour that is none of them.
    """
    known = {tuple(colour): int(number) for number, colour in json.loads(member).items()}
    pixels = read_image(path)
    if pixels.ndim == 2:  # grey: equal channels
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    found, places = np.unique(pixels.reshape(-1, 3), axis=0, return_inverse=True)
    odd = [row for row in map(tuple, found.tolist()) if row not in known]
    if odd:
        raise DataError(
            f"mask {path} holds the colour {shorten(odd, 3)}, which {LABEL_MAP} does not name; "
            f"expected one of {shorten(known, 6)}"
        )
    numbers = np.array([known[tuple(row)] for row in found.tolist()], np.uint8)
    return numbers[places.ravel()].reshape(pixels.shape[:2])


class _Labels(NamedTuple):
    label_map: LabelMap
    member: str  # for `read_colours`


def _read_label_map(path: Path) -> _Labels:
    """Read the lines `name:red,green,blue:parts:actions` of a label map.

    Raises:
        DataError: a line is none, or two labels have one colour.
    """
    label_map: dict[int, str | None] = {}
    colours: dict[int, tuple[int, ...]] = {0: (0, 0, 0)}
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, colour = [*(part.strip() for part in line.rsplit(":", 3)), "", ""][:2]
        found = re.fullmatch(r"(\d{1,3}) *, *(\d{1,3}) *, *(\d{1,3})", colour)
        rgb = tuple(map(int, found.groups())) if found else ()
        if not name or not rgb or max(rgb) > 255:
            raise DataError(
                f"{path}, line {number}: {line[:60]!r}; expected name:red,green,blue:parts:actions"
            )
        value = _value(name, rgb, len(label_map) + 1)
        if rgb in colours.values() and colours.get(value) != rgb:
            raise DataError(f"{path}, line {number}: {name} has the colour of another label")
        colours[value] = rgb
        if value not in (0, IGNORE):
            label_map[value] = name
    if not label_map or len(label_map) > MAX_VALUES:
        raise DataError(f"{path} names {len(label_map)} labels; expected 1 to {MAX_VALUES}")
    return _Labels(label_map, json.dumps(colours))


def _value(name: str, rgb: tuple[int, ...], following: int) -> int:
    """The number of a label: 0 for the background, 255 for unknown pixels, else the next one.

    Raises:
        DataError: a class is black, as what is not annotated is.
    """
    plain = name.lower().strip("_")
    if plain in ("background", "bg", "unlabeled", "unlabelled"):
        return 0
    if rgb == (0, 0, 0):
        raise DataError(f"the label {name} is black, as the background is; give it another colour")
    return IGNORE if plain in ("ignored", "ignore", "void", "unknown") else following


def _home(root: Path) -> Path | None:
    for home in (root, root / "VOC2012", root / "VOCdevkit" / "VOC2012"):
        folders = any((home / name).is_dir() for name in MASK_FOLDERS)
        if folders and ((home / "JPEGImages").is_dir() or (home / LABEL_MAP).is_file()):
            return home
    return None


def _picture_folder(home: Path) -> Path | None:
    if (home / "JPEGImages").is_dir():
        return home / "JPEGImages"
    return naming.subfolder(home, naming.IMAGE_WORDS)


def _listed(home: Path, split: str, masks: dict[str, Path]) -> list[str]:
    folder = home / "ImageSets" / "Segmentation"
    names = read_text(inside(folder, f"{split}.txt")).split()
    lacking = [name for name in names if name not in masks]
    if lacking:
        raise DataError(
            f"the list {split}.txt names {len(lacking)} pictures without a mask, such as "
            f"{lacking[0]}; is SegmentationClassAug missing?"
        )
    return names
