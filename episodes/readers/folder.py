"""Folders of pictures and masks.

Layouts, told apart by the folders' names:

    images/a.png  masks/a.png                 one mask a picture: binary, class numbers or objects
    images/a.png  masks/liver/a.png           one sub-folder of binary masks a class
    liver/images/a.png  liver/masks/a.png     one sub-folder of pictures and binary masks a class
                                              (train/, val/, test/ are parts and no classes)
    train_images/a.png  train_masks/a.png     folders whose names differ in such a word
    photos/a.png  masks/a.png                 masks, and the one other folder that they fit
    a.png  masks/a.png                        masks, and the pictures beside their folder

Files of a pair have the same name, or names that differ in a word for images or masks (see
`episodes.readers.pairing`). Sub-folders that pictures and masks share are part of the names.
`classes.json` or `classes.yaml` beside them names the values (see `episodes.masks.label_map`).
Stacks (TIFF with several pages) are volumes whose pages are samples of one subject.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from episodes.catalog.catalog import Catalog, Sample
from episodes.errors import DataError, shorten
from episodes.masks.label_map import LabelMap, read_label_map
from episodes.readers import naming, pairing


@dataclass(frozen=True)
class _Pair:
    """A folder of images and one of masks; without `deep`, only files in the first itself."""

    images: Path
    masks: Path
    deep: bool = True


def recognises(root: Path) -> bool:
    """Whether the folder has one of the layouts."""
    return bool(_pairs(root) or _pairs_below(root))


def read(
    root: Path,
    *,
    subject_pattern: str | None = None,
    label_map: LabelMap | None = None,
    ignore_affine: bool = False,
) -> Catalog:
    """Read a data set of pictures; see the module for the layouts.

    Args:
        root: the folder.
        subject_pattern: searched in a picture's name; by default each file is a subject.
        label_map: what mask values mean; by default from classes.json, or found out from them.
        ignore_affine: match NIfTI masks to pictures voxel for voxel (see `episodes.io.mask_grid`).

    Raises:
        DataError: no picture, two files of one name, two masks of one picture, an unreadable
            header, a mask stack of another length, or a NIfTI mask that nothing lays on its
            picture.
    """
    label_map = read_label_map(root) if label_map is None else label_map
    pairs: list[tuple[_Pair, LabelMap | None]] = [(pair, label_map) for pair in _pairs(root)]
    if not pairs:
        for sub, found in _pairs_below(root).items():
            meaning = label_map if sub.name.lower() in naming.PARTS else sub.name
            pairs += [(pair, meaning) for pair in found]
    samples: list[Sample] = []
    notes: tuple[str, ...] = ()
    for pair, meaning in pairs:
        pair_samples, pair_notes = _read_pair(root, pair, meaning, subject_pattern, ignore_affine)
        samples += pair_samples
        notes += pair_notes
    return naming.catalog_of(root, samples, notes + _unread(root, [pair for pair, _ in pairs]))


def _pairs_below(root: Path) -> dict[Path, list[_Pair]]:
    """Find the pairs in each sub-folder."""
    found = {
        sub: _pairs(sub) if sub.name.lower() in naming.PARTS else _plain_pair(sub)
        for sub in naming.folders(root)
    }
    return {sub: pairs for sub, pairs in found.items() if pairs}


def _pairs(folder: Path) -> list[_Pair]:
    """Find the pairs of folders in a folder; those called images and masks come first."""
    if pair := _plain_pair(folder):
        return pair
    there = {sub.name: sub for sub in naming.folders(folder)}
    try:
        named, _ = pairing.separate_masks(list(there))
    except DataError:
        return []
    pairs = [_Pair(there[image], there[mask]) for mask, image in named.items()]
    if pairs:
        return [pair for pair in pairs if _partners(pair)]
    masks = naming.subfolders(folder, naming.MASK_WORDS)
    if len(masks) != 1:
        return []
    others = [_Pair(sub, masks[0]) for sub in there.values() if sub != masks[0]]
    fitting = [pair for pair in (*others, _Pair(folder, masks[0], deep=False)) if _partners(pair)]
    return fitting if len(fitting) == 1 else []


def _plain_pair(folder: Path) -> list[_Pair]:
    images = naming.subfolder(folder, naming.IMAGE_WORDS)
    masks = naming.subfolders(folder, naming.MASK_WORDS)
    if images is None or not masks:
        return []
    held = [sub for sub in masks if next(naming.list_files(sub), None)]
    if len(held) > 1:  # masks of classes are preferred to masks of objects
        held = [sub for sub in held if sub.name.lower() != "instances"]
    return [_Pair(images, sub) for sub in held or masks[:1]]


def _partners(pair: _Pair) -> bool:
    """Whether any mask has an image."""
    try:
        images = naming.by_stem(pair.images, deep=pair.deep)
        return bool(_masks(pair.masks, None, images).keys() & images.keys())
    except DataError:  # reported when the data set is read
        return True


def _read_pair(
    root: Path,
    pair: _Pair,
    label_map: LabelMap | None,
    subject_pattern: str | None,
    ignore_affine: bool,
) -> tuple[list[Sample], tuple[str, ...]]:
    images = naming.by_stem(pair.images, deep=pair.deep)
    masks = _masks(pair.masks, label_map, images)
    samples: list[Sample] = []
    for name, path in images.items():
        subject = naming.subject_of(name, subject_pattern)
        samples += naming.samples_of(root, path, masks.get(name, []), subject, ignore_affine)
    notes = naming.partner_note("images", [n for n in images if n not in masks], "a mask")
    notes += naming.partner_note("masks", [n for n in masks if n not in images], "an image")
    return samples, notes


def _masks(
    folder: Path, label_map: LabelMap | None, images: Mapping[str, Path]
) -> dict[str, list[tuple[Path, LabelMap | None]]]:
    """Map the name of a picture to its mask files and what their values mean.

    A mask whose path below the folder is that of a picture belongs to it. A mask one folder
    deeper than its picture is a binary mask of the class that this folder is called after.
    """
    files = naming.by_stem(folder)
    beside = pairing.match(images, files)
    deeper: dict[str, dict[str, str]] = {}
    for name in files:
        first, _, rest = name.partition("/")
        if name not in beside and rest:
            deeper.setdefault(first, {})[rest] = name
    of_class = {first: pairing.match(images, rests) for first, rests in deeper.items()}
    masks: dict[str, list[tuple[Path, LabelMap | None]]] = {}
    for name, path in files.items():
        first, _, rest = name.partition("/")
        image = of_class.get(first, {}).get(rest) if name not in beside else None
        if image is not None:
            masks.setdefault(image, []).append((path, first))
        else:
            masks.setdefault(beside.get(name, name), []).append((path, label_map))
    return masks


def _unread(root: Path, pairs: Iterable[_Pair]) -> tuple[str, ...]:
    """Note the folders beside those of the pairs with pictures that are not read.

    Raises:
        DataError: two folders hold masks for one folder of images.
    """
    used: dict[Path, Path] = {}
    for pair in pairs:
        if pair.images in used:
            raise DataError(
                f"{used[pair.images]} and {pair.masks} both hold masks of {pair.images}; expected "
                "one folder of masks: move the other one out of the data set"
            )
        used[pair.images] = pair.masks
    known = {path for pair in used.items() for path in pair} - {root}
    known |= {path.parent for path in known} - {root}
    left = [sub for sub in naming.folders(root) if sub not in known]
    held = [sub.name for sub in left if next(naming.list_files(sub), None)]
    if not held:
        return ()
    return (f"{len(held)} folder(s) beside images and masks are not read: {shorten(held, 4)}",)
