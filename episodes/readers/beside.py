"""Pictures beside their masks, in one folder or in sub-folders of it.

    a.png  a_mask.png                    also a_seg, a_segmentation, a_label, a_gt, mask_a, gt-a, …
    p1/image.png  p1/mask.png            called nothing else
    train/a.jpg  train/a_mask.png        Roboflow's export of masks: train/_classes.csv names the
                 train/_classes.csv      values

Names decide, see `episodes.readers.pairing`. Where few pictures are called as masks, they have to
look like masks too: a photograph called gt_car.png is a photograph. `classes.json` or
`classes.yaml` names the values.
"""

import csv
import io
from pathlib import Path
from typing import NamedTuple

from episodes.catalog.catalog import Catalog, Sample
from episodes.errors import DataError, shorten
from episodes.io.limits import guarded, read_text
from episodes.io.read import is_volume, stem
from episodes.masks.label_map import LabelMap, parse_label_map, read_label_map
from episodes.readers import naming, pairing

FEW = 16
"""Number of files named like masks that are checked, where most others are not."""


def recognises(root: Path) -> bool:
    """Whether a picture lies beside one that is called as its mask."""
    try:
        return bool(_together(root).partners)
    except DataError:  # two masks of one picture: reported when the data set is read
        return True


def read(
    root: Path, *, subject_pattern: str | None = None, label_map: LabelMap | None = None
) -> Catalog:
    """Read pictures and the masks beside them.

    Args:
        root: the folder.
        subject_pattern: searched in a picture's path; by default each file is a subject.
        label_map: what mask values mean; by default from classes.json or _classes.csv, or inferred.

    Raises:
        DataError: two files of one name, two masks of one picture, or a damaged header.
    """
    label_map = read_label_map(root) if label_map is None else label_map
    found = _together(root)
    files, left = found.files, {*found.partners, *found.stray}
    images = [name for name in files if name not in left]
    mask_of = {image: mask for mask, image in found.partners.items()}
    label_maps: dict[Path, LabelMap | None] = {}
    samples: list[Sample] = []
    for name in images:
        masks: list[tuple[Path, LabelMap | None]] = []
        if name in mask_of:
            path = files[mask_of[name]]
            if path.parent not in label_maps:
                label_maps[path.parent] = (
                    _named_values(path.parent) if label_map is None else label_map
                )
            masks = [(path, label_maps[path.parent])]
        subject = naming.subject_of(name, subject_pattern)
        samples += naming.samples_of(root, files[name], masks, subject)
    notes = naming.partner_note("images", [n for n in images if n not in mask_of], "a mask")
    notes += naming.partner_note("masks", found.stray, "an image")
    if found.photographs:
        notes += (
            f"{len(found.photographs)} pictures are called as masks and look like photographs, as "
            f"which they are taken: {shorten(found.photographs, 4)}",
        )
    return naming.catalog_of(root, samples, notes)


class _Found(NamedTuple):
    files: dict[str, Path]  # by name
    partners: dict[str, str]  # of masks: their images
    stray: list[str]  # masks without an image
    photographs: list[str]  # called as masks


def _together(root: Path) -> _Found:
    """Separate the masks from the images of a folder."""
    listed = [path for path in naming.list_files(root) if not is_volume(path)]
    called = [path for path in listed if pairing.is_mask_name(stem(path))]
    few = len(called) <= FEW and 2 * len(called) < len(listed)
    pictures = {path for path in called if few and not pairing.looks_like_mask(path)}
    names = [_name(root, path) for path in listed if path not in pictures]
    partners, stray = pairing.separate_masks(list(dict.fromkeys(names)))
    files: dict[str, Path] = {}
    for path in listed:
        name = _name(root, path)
        if name in files and name in {*partners, *partners.values()}:
            raise DataError(
                f"{path.parent} holds {files[name].name} and {path.name}, one of a pair of image "
                "and mask; expected one file a name"
            )
        files[path.relative_to(root).as_posix() if name in files else name] = path
    return _Found(
        files, partners, stray, [_name(root, path) for path in called if path in pictures]
    )


def _name(root: Path, path: Path) -> str:
    return (path.relative_to(root).parent / stem(path)).as_posix()


def _named_values(folder: Path) -> LabelMap | None:
    """Read `_classes.csv`: lines of a pixel value and a class, after one of headings.

    Raises:
        DataError: it has other columns.
    """
    path = folder / "_classes.csv"
    if not path.is_file():
        return None
    with guarded(path, "CSV"):
        rows = [row for row in csv.reader(io.StringIO(read_text(path))) if row][1:]
        if any(len(row) != 2 for row in rows):
            raise DataError(f"{path} has other columns than pixel value and class")
        found = {value.strip(): name.strip() for value, name in rows}
    if not found.keys() - {"0"}:
        raise DataError(f"{path} names no value but 0")
    return parse_label_map(found)
