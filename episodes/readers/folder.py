"""Folders of pictures and masks.

Three layouts, told apart by the folders' names:

    images/a.png  masks/a.png                 one mask a picture: binary, class numbers or objects
    images/a.png  masks/liver/a.png           one sub-folder of binary masks a class
    liver/images/a.png  liver/masks/a.png     one sub-folder of pictures and binary masks a class
                                              (train/, val/, test/ are parts and no classes)

Sub-folders that pictures and masks share are part of the names. `classes.json` or `classes.yaml`
beside them names the values (see `episodes.legend`). Stacks (TIFF with several pages) are volumes
whose pages are samples of one subject.
"""

from collections.abc import Container
from dataclasses import replace
from pathlib import Path

from episodes import decode
from episodes.catalog import Catalog, MaskRef, PixelRef, Sample
from episodes.errors import DataError
from episodes.legend import Legend, read_legend
from episodes.mask_grid import Grid
from episodes.placed_masks import mask_source
from episodes.readers import naming

PARTS = ("train", "training", "val", "valid", "validation", "test", "testing")
"""Folders called so are parts of a data set, not classes."""


def recognises(root: Path) -> bool:
    """Whether the folder has one of the three layouts."""
    return _is_pair(root) or any(_is_pair(sub) for sub in root.iterdir() if sub.is_dir())


def read(
    root: Path,
    *,
    subject_pattern: str | None = None,
    legend: Legend | None = None,
    ignore_affine: bool = False,
) -> Catalog:
    """Read a data set of pictures; see the module for the layouts.

    Args:
        root: the folder.
        subject_pattern: searched in a picture's name; by default each file is a subject.
        legend: what mask values mean; by default from classes.json, or found out from them.
        ignore_affine: lay NIfTI masks on pictures voxel for voxel (see `episodes.mask_grid`).

    Raises:
        DataError: no picture, two files of one name, an unreadable header, a mask stack of another
            length, or a NIfTI mask that nothing lays on its picture.
    """
    legend = read_legend(root) if legend is None else legend
    if _is_pair(root):
        samples, notes = _read_pair(root, root, legend, subject_pattern, ignore_affine)
    else:
        samples, notes = [], ()
        for sub in sorted(p for p in root.iterdir() if p.is_dir() and _is_pair(p)):
            meaning = legend if sub.name.lower() in PARTS else sub.name
            more, said = _read_pair(root, sub, meaning, subject_pattern, ignore_affine)
            samples += more
            notes += said
    return naming.catalog_of(root, samples, notes)


def _is_pair(folder: Path) -> bool:
    return bool(
        naming.subfolder(folder, naming.IMAGE_WORDS) and naming.subfolder(folder, naming.MASK_WORDS)
    )


def _read_pair(
    root: Path,
    folder: Path,
    legend: Legend | None,
    subject_pattern: str | None,
    ignore_affine: bool = False,
) -> tuple[list[Sample], tuple[str, ...]]:
    image_folder = naming.subfolder(folder, naming.IMAGE_WORDS)
    mask_folder = naming.subfolder(folder, naming.MASK_WORDS)
    if image_folder is None or mask_folder is None:
        raise DataError(f"{folder} lacks images/ or masks/; expected both")
    images = naming.by_stem(image_folder)
    masks = _masks(mask_folder, legend, images)
    samples: list[Sample] = []
    for name, path in images.items():
        header = decode.read_header(path)
        sources = [
            (_source(header.grid(path), mask, ignore_affine), meaning)
            for mask, meaning in masks.get(name, ())
        ]
        prefix = path.relative_to(root).as_posix()
        subject = naming.subject_of(name, subject_pattern)
        samples += [
            Sample(
                key=prefix if header.planes == 1 else f"{prefix}#{plane}",
                image=PixelRef(path, plane),
                masks=tuple(
                    MaskRef(replace(source, plane=plane), meaning) for source, meaning in sources
                ),
                subject=subject,
                size=header.size,
            )
            for plane in range(header.planes)
        ]
    notes = naming.partner_note("images", [n for n in images if n not in masks], "a mask")
    notes += naming.partner_note("masks", [n for n in masks if n not in images], "an image")
    return samples, notes


def _source(image: Grid, mask: Path, ignore_affine: bool) -> PixelRef:
    """Refer to a mask; a picture of one plane is not opened yet, and checked when measured."""
    opened = image.geometry or decode.is_volume(mask)
    if not opened and decode.suffix(mask) not in decode.STACK_SUFFIXES:
        return PixelRef(mask)
    return mask_source(image, mask, ignore_affine)


def _masks(
    folder: Path, legend: Legend | None, images: Container[str]
) -> dict[str, list[tuple[Path, Legend | None]]]:
    """Map the name of a picture to its mask files and what their values mean.

    A mask whose path below the folder is that of a picture belongs to it. A mask one folder
    deeper than its picture is a binary mask of the class that this folder is called after.
    """
    masks: dict[str, list[tuple[Path, Legend | None]]] = {}
    for name, path in naming.by_stem(folder).items():
        first, _, rest = name.partition("/")
        if name not in images and rest in images:
            masks.setdefault(rest, []).append((path, first))
        else:
            masks.setdefault(name, []).append((path, legend))
    return masks
