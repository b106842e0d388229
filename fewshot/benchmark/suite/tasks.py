"""The tasks of a suite: catalogs of single images, read from folders."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from episodes.catalog.catalog import Catalog, Sample
from episodes.catalog.class_areas import compute_class_areas
from episodes.catalog.class_names import parse_names
from episodes.errors import DataError, FewshotError, shorten
from episodes.masks.area_cache import cache_folder
from episodes.protocols.base import in_order, shows
from episodes.protocols.one_image import middle_area
from episodes.readers import read_catalog
from fewshot.benchmark.suite.kinds import KINDS, kind_of_sample
from fewshot.benchmark.suite.settings import Suite

SUBJECT = "[^_]+"
"""The part of an image's name before the first `_`."""


@dataclass(frozen=True)
class Failure:
    """A data set or task that could not be used.

    Attributes:
        name: of the task.
        reason: why not.
    """

    name: str
    reason: str


def list_data_sets(folders: Sequence[Path]) -> list[Path]:
    """List data sets; a folder of folders with images/ and masks/ stands for those.

    Raises:
        DataError: no folder is named, or two data sets have one name.
    """
    found: list[Path] = []
    for folder in folders:
        inner = [] if _is_data_set(folder) else [p for p in sorted(folder.iterdir()) if p.is_dir()]
        found += [path for path in inner if _is_data_set(path)] or [folder]
    names = [path.resolve().name for path in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(
            f"several data sets are named {shorten(twice)}; expected a name of its own for each "
            "folder, since tasks are named by them"
        )
    if not found:
        raise DataError("no data set; name a folder with images/ and masks/, or a folder of such")
    return found


def read_tasks(command: Suite) -> Iterator[Catalog | Failure]:
    """Read every data set and cut it into tasks; what cannot be read is a failure.

    A task's catalog has its name, its classes, their areas, and one image a sample.

    Raises:
        DataError: an option names a data set that is not there, or is of another form.
    """
    paths = {path.resolve().name: path for path in list_data_sets(command.data)}
    subjects = _by_name(command.subjects, "=", "subjects", paths)
    classes: dict[str, list[str]] = {}
    for name, word in (_pair(word, ":", "classes", paths) for word in command.classes):
        classes.setdefault(name, []).append(word)
    if unknown := sorted(set(command.kinds) - set(paths)):
        raise DataError(f"--kinds names {unknown}; expected some of {shorten(paths, 40)}")
    for name, path in paths.items():
        try:
            catalog = _read(path, subjects.get(name), classes.get(name, ()), command.cache)
            yield from _tasks(catalog, name, name in command.kinds)
        except FewshotError as error:
            yield Failure(name, str(error))


def _is_data_set(folder: Path) -> bool:
    return all((folder / part).is_dir() for part in ("images", "masks"))


def _read(path: Path, subject: str | None, classes: Sequence[str], cache: bool) -> Catalog:
    labels = parse_names(tuple(classes))
    catalog = read_catalog(path, subject_pattern=subject, label_map=labels)
    if subject is None and not _has_volumes(catalog):
        catalog = read_catalog(path, subject_pattern=SUBJECT, label_map=labels)
    catalog.require_masks("a suite")
    return compute_class_areas(catalog, cache=cache_folder() if cache else None)


def _has_volumes(catalog: Catalog) -> bool:
    return len({sample.image.source for sample in catalog.samples}) < len(catalog)


def _tasks(catalog: Catalog, name: str, by_kind: bool) -> Iterator[Catalog]:
    if by_kind:
        kinds = {sample.key: kind_of_sample(sample) for sample in catalog.samples}
        for kind in KINDS:
            part = tuple(sample for sample in catalog.samples if kinds[sample.key] == kind)
            if part:
                yield replace(catalog, samples=part, name=f"{name}/{kind}")
    elif _has_volumes(catalog):
        for one in catalog.classes:
            yield replace(_middle_slices(catalog, one), name=f"{name}/{one}")
    else:
        yield replace(catalog, name=name)


def _middle_slices(catalog: Catalog, name: str) -> Catalog:
    """Keep the slice of each subject with the middle area among those that show a class."""
    slices: dict[str, list[Sample]] = {}
    for sample in catalog.samples:
        if shows(sample, name):
            slices.setdefault(sample.subject, []).append(sample)
    kept = tuple(middle_area(slices[subject], name) for subject in in_order(slices))
    return replace(catalog.of_classes([name]), samples=kept)


def _pair(word: str, sign: str, option: str, known: dict[str, Path]) -> tuple[str, str]:
    name, found, value = word.partition(sign)
    if not found or name not in known:
        raise DataError(
            f"--{option} has {word!r}; expected DATASET{sign}VALUE with a data set of "
            f"{shorten(known, 40)}"
        )
    return name, value


def _by_name(
    words: Sequence[str], sign: str, option: str, known: dict[str, Path]
) -> dict[str, str]:
    return dict(_pair(word, sign, option, known) for word in words)
