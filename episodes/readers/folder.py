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
from pathlib import Path

from episodes import decode
from episodes.catalog import Catalog, MaskRef, PixelRef, Sample
from episodes.errors import DataError
from episodes.legend import Legend, read_legend
from episodes.readers import naming

PARTS = ("train", "training", "val", "valid", "validation", "test", "testing")
"""Folders called so are parts of a data set, not classes."""


def recognises(root: Path) -> bool:
    """Whether the folder has one of the three layouts."""
    return _is_pair(root) or any(_is_pair(sub) for sub in root.iterdir() if sub.is_dir())


def read(
    root: Path, *, subject_pattern: str | None = None, legend: Legend | None = None
) -> Catalog:
    """Read a data set of pictures; see the module for the layouts.

    Raises:
        DataError: no picture, two files of one name, an unreadable header, or a mask stack of
            another length.
    """
    legend = read_legend(root) if legend is None else legend
    if _is_pair(root):
        samples, notes = _read_pair(root, root, legend, subject_pattern)
    else:
        samples, notes = [], ()
        for sub in sorted(p for p in root.iterdir() if p.is_dir() and _is_pair(p)):
            meaning = legend if sub.name.lower() in PARTS else sub.name
            more, said = _read_pair(root, sub, meaning, subject_pattern)
            samples += more
            notes += said
    return naming.catalog_of(root, samples, notes)


def _is_pair(folder: Path) -> bool:
    return bool(
        naming.subfolder(folder, naming.IMAGE_WORDS) and naming.subfolder(folder, naming.MASK_WORDS)
    )


def _read_pair(
    root: Path, folder: Path, legend: Legend | None, subject_pattern: str | None
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
        for mask, _ in masks.get(name, ()):
            _same_pages(path, header, mask)
        prefix = path.relative_to(root).as_posix()
        subject = naming.subject_of(name, subject_pattern)
        samples += [
            Sample(
                key=prefix if header.planes == 1 else f"{prefix}#{plane}",
                image=PixelRef(path, plane),
                masks=tuple(
                    MaskRef(PixelRef(p, plane), meaning) for p, meaning in masks.get(name, ())
                ),
                subject=subject,
                size=header.size,
            )
            for plane in range(header.planes)
        ]
    notes = naming.partner_note("images", [n for n in images if n not in masks], "a mask")
    notes += naming.partner_note("masks", [n for n in masks if n not in images], "an image")
    return samples, notes


def _same_pages(image: Path, header: decode.Header, mask: Path) -> None:
    if decode.suffix(mask) not in decode.STACK_SUFFIXES:
        return  # holds one plane, which is checked when it is measured
    planes = decode.read_header(mask).planes
    if planes != header.planes:
        raise DataError(
            f"mask {mask} has {planes} pages and its image {image} has {header.planes}; expected "
            "a page a page"
        )


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
