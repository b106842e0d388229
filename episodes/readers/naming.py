"""What readers share: words for images and masks, subjects from names, safe listings."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from episodes.catalog.catalog import Catalog, Sample
from episodes.errors import DataError, shorten
from episodes.io.mask_grid import Grid
from episodes.io.pixels import MaskRef, PixelRef
from episodes.io.read import STACK_SUFFIXES, is_readable, is_volume, read_header, stem, suffix
from episodes.masks.aligned import mask_source
from episodes.masks.label_map import LabelMap, label_map_classes

IMAGE_WORDS = (
    *("images", "image", "imgs", "img", "imagestr"),
    *("pictures", "picture", "photos", "photo", "originals", "original", "inputs", "input"),
)
MASK_WORDS = (
    *("masks", "mask", "labels", "label", "labelstr", "annotations", "annotation"),
    *("instances", "segmentations", "segmentation", "seg", "gt", "groundtruth"),
    *("segs", "gts", "groundtruths", "lbl", "lbls"),
)
PARTS = ("train", "training", "val", "valid", "validation", "test", "testing")
"""Folders called so are parts of a data set, not classes and not subjects."""


def subfolder(root: Path, words: tuple[str, ...]) -> Path | None:
    """Find the sub-folder with one of these names, in the order of the words, in any case."""
    return next(iter(subfolders(root, words)), None)


def subfolders(root: Path, words: tuple[str, ...]) -> list[Path]:
    """List the sub-folders with these names, in the order of the words, in any case.

    `Ground Truth` and `ground_truth` are `groundtruth`.
    """
    named: dict[str, list[Path]] = {}
    for path in folders(root):
        named.setdefault(re.sub(r"[_\-. ]", "", path.name.lower()), []).append(path)
    return [path for word in words for path in named.get(word, ())]


def is_hidden(path: Path) -> bool:
    """Whether a file or folder is of the system: `.DS_Store`, `._a.png`, `__MACOSX`."""
    return path.name.startswith(".") or path.name == "__MACOSX"


def folders(root: Path) -> list[Path]:
    """List the visible sub-folders, sorted by name."""
    return sorted(p for p in root.iterdir() if p.is_dir() and not is_hidden(p))


def list_files(folder: Path) -> Iterator[Path]:
    """List the readable, visible files of a folder and its sub-folders, sorted by name."""
    for path in sorted(folder.rglob("*")):
        hidden = any(is_hidden(Path(part)) for part in path.relative_to(folder).parts)
        if is_readable(path) and path.is_file() and not hidden:
            yield path


def list_images(folder: Path) -> Iterator[Path]:
    """List the files of a folder and its sub-folders but for those called as masks are."""
    for path in list_files(folder):
        parents = path.relative_to(folder).parts[:-1]
        if not any(part.lower() in MASK_WORDS for part in parents):
            yield path


def by_stem(folder: Path, *, deep: bool = True) -> dict[str, Path]:
    """Map paths below the folder, without ending, to files; two of one name are an error.

    Args:
        folder: where the files lie.
        deep: include its sub-folders.
    """
    found: dict[str, Path] = {}
    for path in list_files(folder):
        if not deep and path.parent != folder:
            continue
        name = (path.relative_to(folder).parent / stem(path)).as_posix()
        if name in found:
            raise DataError(
                f"{path.parent} holds {found[name].name} and {path.name}; expected one file a name"
            )
        found[name] = path
    return found


def subject_of(name: str, pattern: str | None) -> str:
    r"""Take the subject out of an item's name; without a pattern the name is the subject.

    >>> subject_of("SC-HF-I-10-IM-0024", r"(SC-[A-Z]+-[A-Z]+-\d+)")
    'SC-HF-I-10'
    """
    if pattern is None:
        return name
    try:
        match = re.search(pattern, name)
    except re.error as error:
        raise DataError(f"subject pattern {pattern!r} is no regular expression: {error}") from error
    if match is None:
        raise DataError(
            f"subject pattern {pattern!r} does not match the name {name!r}; "
            "it has to match every image's name"
        )
    subject = match.group(1) if match.re.groups else match.group(0)
    if not subject:
        raise DataError(f"subject pattern {pattern!r} finds an empty subject in {name!r}")
    return subject


def partner_note(kind: str, names: list[str], lack: str) -> tuple[str, ...]:
    """Note the items without a partner; empty when there are none."""
    return (f"{len(names)} {kind} without {lack}: {shorten(names, 4)}",) if names else ()


def samples_of(
    root: Path,
    path: Path,
    masks: Sequence[tuple[Path, LabelMap | None]],
    subject: str,
    ignore_affine: bool = False,
) -> list[Sample]:
    """Make the samples of a picture, one a plane, with its masks and what their values mean.

    Raises:
        DataError: a header is damaged, or a mask does not fit (see `episodes.io.mask_grid`).
    """
    header = read_header(path)
    sources = [
        (_source(header.grid(path), mask, ignore_affine), label_map) for mask, label_map in masks
    ]
    prefix = path.relative_to(root).as_posix()
    return [
        Sample(
            key=prefix if header.planes == 1 else f"{prefix}#{plane}",
            image=PixelRef(path, plane),
            masks=tuple(
                MaskRef(replace(source, plane=plane), label_map) for source, label_map in sources
            ),
            subject=subject,
            size=header.size,
        )
        for plane in range(header.planes)
    ]


def _source(image: Grid, mask: Path, ignore_affine: bool) -> PixelRef:
    """Refer to a mask; a picture of one plane is not opened yet, and checked when measured."""
    opened = image.geometry or is_volume(mask)
    if not opened and suffix(mask) not in STACK_SUFFIXES:
        return PixelRef(mask)
    return mask_source(image, mask, ignore_affine)


def catalog_of(root: Path, samples: Iterable[Sample], notes: tuple[str, ...] = ()) -> Catalog:
    """Make a catalog named after its folder, with the classes that the label maps name.

    Raises:
        DataError: there is no sample.
    """
    samples = tuple(samples)
    if not samples:
        raise DataError(f"{root} holds no readable picture; expected files in its image folder")
    label_maps = (mask.label_map for sample in samples for mask in sample.masks)
    classes = dict.fromkeys(
        name for label_map in label_maps for name in label_map_classes(label_map)
    )
    return Catalog(samples, tuple(classes), name=root.resolve().name, notes=notes)
