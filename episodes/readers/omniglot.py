"""Omniglot in its two standard archives, which are not unpacked.

    images_background.zip    images_background/Latin/character05/0686_01.png
    images_evaluation.zip    images_evaluation/Angelic/character01/0965_20.png

A character is a class, called `Latin/character05`. The mask is the ink (black in the picture).
The subject is the number of the drawer, 01 to 20: within an alphabet it is one person; in two
alphabets the same number need not be the same person.

Lake, Salakhutdinov, Tenenbaum: Human-level concept learning through probabilistic program
induction, Science 350 (2015).
"""

import re
from pathlib import Path

import numpy as np

from episodes.catalog.catalog import Catalog, Sample
from episodes.errors import DataError
from episodes.io.formats.zip_archive import members, read_zipped_image
from episodes.io.pixels import MaskRef, PixelRef
from episodes.masks.label_map import LabelMap
from episodes.readers import naming

ARCHIVES = ("images_background.zip", "images_evaluation.zip")
SIZE = (105, 105)
_DRAWING = re.compile(
    r"images_\w+/(?P<alphabet>[^/]+)/(?P<character>[^/]+)/\d+_(?P<drawer>\d+).png"
)


def recognises(root: Path) -> bool:
    """Whether this is one of the two archives, or a folder in which one lies."""
    return bool(_archives(root))


def read(
    root: Path, *, subject_pattern: str | None = None, label_map: LabelMap | None = None
) -> Catalog:
    """Read the drawings of the archives that are there.

    Args:
        root: the folder of the archives, or one of them, the other being left out.
        subject_pattern: searched in e.g. `images_background/Latin/character05/0686_01.png`.
        label_map: one name for all ink; by default each character is a class.

    Raises:
        DataError: an archive is damaged or holds no drawing, or the label map names values.
    """
    if label_map is not None and not isinstance(label_map, str):
        raise DataError(
            f"the classes are {label_map}; ink has one value: expected one name or none"
        )
    samples: list[Sample] = []
    for path in _archives(root):
        found = [match for member in members(path) if (match := _DRAWING.fullmatch(member))]
        if not found:
            raise DataError(f"{path} holds no drawing; expected {_DRAWING.pattern}")
        for match in found:
            member, name = match.group(0), f"{match['alphabet']}/{match['character']}"
            subject = match["drawer"]
            if subject_pattern is not None:
                subject = naming.subject_of(member, subject_pattern)
            ink = MaskRef(PixelRef(path, None, read_strokes, member), label_map or name)
            picture = PixelRef(path, None, read_drawing, member)
            samples.append(Sample(f"{path.name}/{member}", picture, (ink,), subject, SIZE))
    return naming.catalog_of(root, samples)


def _archives(root: Path) -> list[Path]:
    if root.name in ARCHIVES and root.is_file():
        return [root]
    return [root / name for name in ARCHIVES if (root / name).is_file()]


def read_drawing(path: Path, member: str) -> np.ndarray:
    """Read a drawing: uint8 [105 105], ink 0, paper 255.

    Raises:
        DataError: it is damaged or of another size.
    """
    pixels = read_zipped_image(path, member)
    if pixels.shape != SIZE:
        raise DataError(f"{path}:{member} has the shape {pixels.shape}; Omniglot has {SIZE}")
    return pixels


def read_strokes(path: Path, member: str) -> np.ndarray:
    """Read the mask of the strokes: bool [105 105]."""
    return read_drawing(path, member) == 0
