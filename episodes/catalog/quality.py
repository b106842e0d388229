"""Checks of a data set: each problem is one sentence with a remedy."""

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
    with_label_maps,
)
from episodes.catalog.duplicates import Pair
from episodes.catalog.mask_counts import CountsBySource
from episodes.errors import DataError, shorten
from episodes.io.mask_colours import value_name
from episodes.io.pixels import PixelRef
from episodes.masks.label_map import LabelMap, is_partial

SPECK = 16
"""Fewer pixels of a class than this in an image are a speck."""

SPLITS = ("train", "training", "test", "testing", "val", "valid", "validation")


def apply_label_map_leniently(
    catalog: Catalog, counts: CountsBySource
) -> tuple[Catalog, list[str]]:
    """Apply label maps even where values have no names, and list those values.

    Unnamed values become classes called "value 7"; where there are too many of them to be
    classes, all masks count as binary masks of "objects".

    Args:
        catalog: as a reader made it.
        counts: of all its mask files.

    Returns:
        The catalog with class areas, and one sentence for each problem.
    """
    unnamed = unnamed_values(catalog, counts)
    problems = [_unnamed(value) for value in unnamed]
    if problems:
        extra = {each.value: f"value {value_name(each.value)}" for each in unnamed}
        label_maps: dict[PixelRef, LabelMap] = {
            source: {**extra, **label_map}
            for source, label_map in given_label_maps(catalog).items()
            if label_map is not None and not isinstance(label_map, str)
        }
        catalog = with_label_maps(catalog, label_maps)
    try:
        return apply_label_map(catalog, counts), problems
    except DataError as error:
        problems.append(str(error))
    binary: dict[PixelRef, LabelMap] = {
        source: "objects"
        for source, label_map in given_label_maps(catalog).items()
        if label_map is None or isinstance(label_map, str) or is_partial(label_map)
    }
    without_doubt = {key: replace(count, doubt="", frame=0) for key, count in counts.items()}
    return apply_label_map(with_label_maps(catalog, binary), without_doubt), problems


def _unnamed(unnamed: Unnamed) -> str:
    files = shorten((path.name for path in unnamed.files), 4)
    value = value_name(unnamed.value)
    return (
        f"mask value {value} has no name: {unnamed.pixels:,} pixels in {len(unnamed.files)} "
        f'mask file(s) ({files}). Add "{value}": "NAME" to classes.json, or "{value}": null if it '
        f'is background, "unknown" if it counts nowhere, or {value}=NAME to --classes'
    )


def class_problems(catalog: Catalog) -> list[str]:
    """List the classes that are missing, in one subject only, or only specks."""
    problems = []
    for name in catalog.classes:
        shown = [s for s in catalog.samples if s.areas and s.areas.get(name)]
        specks = [s.key for s in shown if (s.areas or {})[name] < SPECK]
        if not shown:
            problems.append(f"class {name} is named but no mask shows it")
        elif len({s.subject for s in shown}) == 1:
            problems.append(
                f"class {name} occurs in one subject only: support and query cannot come from "
                "different subjects, and no interval can be given"
            )
        if specks:
            problems.append(
                f"class {name} has fewer than {SPECK} pixels in {len(specks)} image(s): "
                f"{shorten(specks, 4)}; specks?"
            )
        if name.lower() in SPLITS:
            problems.append(
                f"class {name} is called as a part of a split is: a folder with images and masks "
                f"in it is taken for a class; inspect the folder {name} alone"
            )
    if not catalog.classes and (not len(catalog) or any(s.masks for s in catalog.samples)):
        problems.append("no class at all: every mask is empty, or there is none")
    return problems


def mask_problems(catalog: Catalog) -> list[str]:
    """List the annotated images that show no class."""
    empty = [s.key for s in catalog.samples if s.masks and not any((s.areas or {}).values())]
    if not empty:
        return []
    return [f"{len(empty)} of {len(catalog)} images have an empty mask: {shorten(empty, 4)}"]


def duplicate_problems(catalog: Catalog, pairs: Sequence[Pair], max_pairs: int = 4) -> list[str]:
    """List the images that are stored twice, and whether their subjects differ."""
    problems = []
    for same, relation in ((True, "the same"), (False, "nearly the same")):
        images = [
            (catalog.samples[p.first], catalog.samples[p.second]) for p in pairs if p.same == same
        ]
        for split in (True, False):
            chosen = [(a, b) for a, b in images if (a.subject != b.subject) == split]
            if chosen:
                subjects = "of different subjects " if split else "of one subject "
                listed = shorten((f"{a.key} and {b.key}" for a, b in chosen), max_pairs)
                problems.append(
                    f"{len(chosen)} pair(s) of images {subjects}are {relation}: {listed}"
                    + ("; a split by subjects would not keep them apart" if split else "")
                )
    return problems


def split_problems(catalog: Catalog, root: Path) -> list[str]:
    """List the subjects that are in several folders of a split (train, test, …)."""
    folders: dict[str, set[str]] = defaultdict(set)
    for sample in catalog.samples:
        path = sample.image.path
        parents = path.relative_to(root).parts[:-1] if path.is_relative_to(root) else ()
        for word in (word.lower() for word in parents if word.lower() in SPLITS):
            folders[_without_split(sample.subject)].add(word)
    twice = sorted(subject for subject, words in folders.items() if len(words) > 1)
    if not twice:
        return []
    words = sorted(set().union(*(folders[subject] for subject in twice)))
    return [
        f"{len(twice)} subject(s) lie in more than one of the folders {', '.join(words)}: "
        f"{shorten(twice, 6)}; training would see what is tested"
    ]


def _without_split(subject: str) -> str:
    """The subject without the names of split folders, which are part of it without a pattern.

    >>> _without_split("train/p1"), _without_split("Test/p1")
    ('p1', 'p1')
    """
    return "/".join(p for p in re.split(r"/", subject) if p.lower() not in SPLITS)
