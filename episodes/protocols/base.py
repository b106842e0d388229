"""A protocol: a training catalog, test cases, and the unit over which pixels are pooled."""

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from episodes.catalog.catalog import Catalog, Sample
from episodes.errors import DataError, EpisodeError, shorten
from episodes.sampling.episode import Plan

Unit = Literal["subject", "class"]
"""The unit over which pixels are pooled before an overlap: see `episodes.protocols.aggregate`."""


@dataclass(frozen=True)
class Case:
    """Queries that are segmented with one support set.

    Attributes:
        run: the repetition it belongs to, e.g. "support 0"; scores are computed per run.
        plan: support, queries and class; the queries of one case have one subject or are one.
    """

    run: str
    plan: Plan


@dataclass(frozen=True)
class Protocol:
    """One fold of a published protocol, for a catalog.

    Attributes:
        name: of the module, e.g. "alpnet".
        settings: those it was built with; JSON values only.
        train: the training catalog: base classes, training subjects, slices not excluded.
        excluded: number of samples that are not in the training catalog, by the first reason that
            holds for each.
        test: the samples that the cases name, and the classes they test.
        cases: the tests, in a fixed order.
        unit: over which pixels are pooled.
        score_size: side of the square that truth and prediction are brought to before pixels are
            counted, the aspect ratio not being kept; None counts the file's own pixels.
        notes: cases that the data could not provide.
    """

    name: str
    settings: Mapping[str, Any]
    train: Catalog
    excluded: Mapping[str, int]
    test: Catalog
    cases: tuple[Case, ...]
    unit: Unit
    score_size: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def hash(self) -> str:
        """Hash of the case list and of how it is summed: equal tests, equal hash."""
        rows = [[case.run, asdict(case.plan)] for case in self.cases]
        text = json.dumps([self.unit, self.score_size, rows], separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def in_order(names: Iterable[str]) -> list[str]:
    """Sort names by the numbers in them, as the published code sorts scans.

    >>> in_order(["10", "2", "1"])
    ['1', '2', '10']
    """
    return sorted(names, key=_number_key)


def volumes(catalog: Catalog) -> dict[str, list[Sample]]:
    """List the slices of every subject from the first plane to the last, subjects in order.

    Raises:
        DataError: the catalog has no class areas, or a subject has several volumes.
    """
    catalog.require_areas()
    slices: dict[str, list[Sample]] = defaultdict(list)
    for sample in catalog.samples:
        slices[sample.subject].append(sample)
    for subject, samples in slices.items():
        files = {sample.image.path for sample in samples}
        if 1 < len(files) < len(samples):
            raise DataError(
                f"subject {subject!r} has {len(files)} volumes ({shorten(map(str, files), 2)}); "
                "expected one. Give each volume its own subject with subject_pattern"
            )
        samples.sort(key=lambda s: (_number_key(s.image.path.name), s.image.plane or 0))
    return {subject: slices[subject] for subject in in_order(slices)}


def shows(sample: Sample, name: str) -> bool:
    """Whether a sample has at least one pixel of the class."""
    return bool((sample.areas or {}).get(name))


def fold_bounds(count: int, folds: int, fold: int) -> tuple[int, int]:
    """Bounds [start, end) of a fold; the first folds are one larger where sizes are uneven.

    Raises:
        EpisodeError: no such fold, or fewer subjects than folds.

    >>> [fold_bounds(20, 5, fold) for fold in range(5)]
    [(0, 4), (4, 8), (8, 12), (12, 16), (16, 20)]
    >>> [fold_bounds(7, 3, fold) for fold in range(3)]
    [(0, 3), (3, 5), (5, 7)]
    """
    if not 2 <= folds <= count:
        raise EpisodeError(
            f"{folds} folds of {count} subjects; expected at least 2 folds and a subject in each"
        )
    if not 0 <= fold < folds:
        raise EpisodeError(f"fold {fold} of {folds}; expected 0 to {folds - 1}")
    size, remainder = divmod(count, folds)
    start = fold * size + min(fold, remainder)
    return start, start + size + (fold < remainder)


def tested_classes(catalog: Catalog, requested: Sequence[str]) -> tuple[str, ...]:
    """Return the classes to test, all of the catalog by default; an unknown one is an error."""
    names = catalog.of_classes(requested or catalog.classes).classes
    if not names:
        raise DataError(f"catalog {catalog.name!r} has no class to test")
    return names


def named_samples(catalog: Catalog, cases: Iterable[Case], classes: Sequence[str]) -> Catalog:
    """Keep the samples that the cases name, and the classes they test."""
    keys: set[str] = set()
    for case in cases:
        keys.update(case.plan.query)
        keys.update(key for row in case.plan.support for key in row)
    return catalog.filter(lambda sample: sample.key in keys).of_classes(classes)


def training_catalog(
    catalog: Catalog,
    *,
    classes: Sequence[str],
    held_out: Mapping[str, Iterable[str]],
    training_exclusion: Literal["keep", "any", "all"],
) -> tuple[Catalog, dict[str, int]]:
    """Remove the samples that must not be in the training catalog, and count them.

    Args:
        catalog: with class areas.
        classes: the classes tested; their pixels become background.
        held_out: subjects to remove, by reason.
        training_exclusion: "keep" keeps slices that show test classes, "any" drops those
            that show at least one, "all" drops those that show every one of them.

    Returns:
        The catalog, which may be empty and may have no class left (training on superpixels needs
        none), and the number of samples removed for each reason.
    """
    reasons = {subject: reason for reason, names in held_out.items() for subject in names}
    counts: dict[str, int] = dict.fromkeys(held_out, 0)
    kept = []
    if training_exclusion not in ("keep", "any", "all"):
        raise EpisodeError(
            f"training_exclusion is {training_exclusion!r}; expected keep, any or all"
        )
    test = {"keep": lambda _: False, "any": any, "all": all}[training_exclusion]
    shown = f"shows {training_exclusion} test class" + ("es" if training_exclusion == "all" else "")
    for sample in catalog.samples:
        if sample.subject in reasons:
            counts[reasons[sample.subject]] += 1
        elif test([shows(sample, name) for name in classes]):
            counts[shown] = counts.get(shown, 0) + 1
        else:
            kept.append(sample)
    base = tuple(name for name in catalog.classes if name not in set(classes))
    train = Catalog(tuple(kept), base, name=catalog.name, notes=catalog.notes)
    return train, counts


def _number_key(name: str) -> list[tuple[int, int, str]]:
    """Digits compare as numbers and come before letters."""
    parts = re.findall(r"\d+|\D+", name)
    return [(0, int(p), p) if p.isdecimal() else (1, 0, p) for p in parts]
