"""What looks wrong in a data set, in sentences that say what to do."""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from episodes.catalog.catalog import Catalog
from episodes.catalog.class_areas import (
    Unnamed,
    apply_label_map,
    given_label_maps,
    unnamed_values,
    with_label_map,
)
from episodes.catalog.duplicates import Pair
from episodes.catalog.mask_counts import Counted
from episodes.errors import DataError, shorten
from episodes.io.mask_colours import value_name
from episodes.io.pixels import PixelRef
from episodes.masks.label_map import LabelMap, is_partial

SPECK = 16
"""Fewer pixels of a class than this in an image are a speck."""

SPLITS = ("train", "training", "test", "testing", "val", "valid", "validation")


def settle_anyway(catalog: Catalog, counts: Counted) -> tuple[Catalog, list[str]]:
    """Measure a catalog although values have no names, and say which.

    Unnamed values become classes called "value 7"; where there are too many of them to be
    classes, all masks count as binary masks of "objects".

    Args:
        catalog: as a reader made it.
        counts: of all its mask files.

    Returns:
        The measured catalog, and a sentence a problem.
    """
    said = [_unnamed(each) for each in unnamed_values(catalog, counts)]
    if said:
        extra = {
            each.value: f"value {value_name(each.value)}"
            for each in unnamed_values(catalog, counts)
        }
        change = {
            source: {**extra, **label_map}
            for source, label_map in given_label_maps(catalog).items()
            if label_map is not None and not isinstance(label_map, str)
        }
        catalog = with_label_map(catalog, change)
    try:
        return apply_label_map(catalog, counts), said
    except DataError as error:
        said.append(str(error))
    together: dict[PixelRef, LabelMap] = {
        source: "objects"
        for source, label_map in given_label_maps(catalog).items()
        if label_map is None or isinstance(label_map, str) or is_partial(label_map)
    }
    certain = {source: replace(each, doubt="", frame=0) for source, each in counts.items()}
    return apply_label_map(with_label_map(catalog, together), certain), said


def _unnamed(each: Unnamed) -> str:
    files = shorten((path.name for path in each.files), 4)
    value = value_name(each.value)
    return (
        f"mask value {value} has no name: {each.pixels:,} pixels in {len(each.files)} "
        f'mask file(s) ({files}). Add "{value}": "NAME" to classes.json, or "{value}": null if it '
        f'is background, "unknown" if it counts nowhere, or {value}=NAME to --classes'
    )


def of_classes(catalog: Catalog) -> list[str]:
    """Say which classes are missing, in one subject only, or shown as specks."""
    said = []
    for name in catalog.classes:
        shown = [s for s in catalog.samples if s.areas and s.areas.get(name)]
        specks = [s.key for s in shown if (s.areas or {})[name] < SPECK]
        if not shown:
            said.append(f"class {name} is named but no mask shows it")
        elif len({s.subject for s in shown}) == 1:
            said.append(
                f"class {name} occurs in one subject only: support and query cannot come from "
                "different subjects, and no interval can be given"
            )
        if specks:
            said.append(
                f"class {name} has fewer than {SPECK} pixels in {len(specks)} image(s): "
                f"{shorten(specks, 4)}; specks?"
            )
        if name.lower() in SPLITS:
            said.append(
                f"class {name} is called as a part of a split is: a folder with images and masks "
                f"in it is taken for a class; inspect the folder {name} alone"
            )
    if not catalog.classes and (not len(catalog) or any(s.masks for s in catalog.samples)):
        said.append("no class at all: every mask is empty, or there is none")
    return said


def of_masks(catalog: Catalog) -> list[str]:
    """Say which annotated images show no class at all."""
    empty = [s.key for s in catalog.samples if s.masks and not any((s.areas or {}).values())]
    if not empty:
        return []
    return [f"{len(empty)} of {len(catalog)} images have an empty mask: {shorten(empty, 4)}"]


def of_duplicates(catalog: Catalog, pairs: Sequence[Pair], most: int = 4) -> list[str]:
    """Say which images are there twice, and under which subjects; at most so many pairs a kind."""
    said = []
    for same, what in ((True, "the same"), (False, "nearly the same")):
        found = [
            (catalog.samples[p.first], catalog.samples[p.second]) for p in pairs if p.same == same
        ]
        for apart in (True, False):
            chosen = [(a, b) for a, b in found if (a.subject != b.subject) == apart]
            if chosen:
                where = "of different subjects " if apart else "of one subject "
                listed = shorten((f"{a.key} and {b.key}" for a, b in chosen), most)
                said.append(
                    f"{len(chosen)} pair(s) of images {where}are {what}: {listed}"
                    + ("; a split by subjects would not keep them apart" if apart else "")
                )
    return said


def of_splits(catalog: Catalog, root: Path) -> list[str]:
    """Say which subjects lie in two folders called as parts of a split are (train, test, …)."""
    parts: dict[str, set[str]] = defaultdict(set)
    for sample in catalog.samples:
        path = sample.image.path
        inside = path.relative_to(root).parts[:-1] if path.is_relative_to(root) else ()
        for word in (word.lower() for word in inside if word.lower() in SPLITS):
            parts[_bare(sample.subject)].add(word)
    twice = sorted(subject for subject, words in parts.items() if len(words) > 1)
    if not twice:
        return []
    words = sorted(set().union(*(parts[subject] for subject in twice)))
    return [
        f"{len(twice)} subject(s) lie in more than one of the folders {', '.join(words)}: "
        f"{shorten(twice, 6)}; training would see what is tested"
    ]


def _bare(subject: str) -> str:
    """The subject without the names of split folders: without a pattern they are part of it.

    >>> _bare("train/p1"), _bare("Test/p1")
    ('p1', 'p1')
    """
    return "/".join(p for p in re.split(r"/", subject) if p.lower() not in SPLITS)
