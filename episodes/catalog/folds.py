"""Folds of classes, of subjects, and of both together."""

import itertools
import re
from collections.abc import Sequence

import numpy as np

from episodes.catalog.catalog import Catalog
from episodes.catalog.splits import Split, TrainingExclusion, split_catalog
from episodes.errors import DataError

Folds = tuple[tuple[str, ...], ...]

_CLASSES, _SUBJECTS = 0xC1, 0x5F  # streams of the generator; splits.py has 0x5B


def class_folds(
    catalog: Catalog, folds: int, *, interleaved: bool = False, seed: int | None = None
) -> Folds:
    """Deal the classes into folds; in cross-validation each is novel once.

    Args:
        catalog: its classes, in its order.
        folds: how many.
        interleaved: fold k gets the classes k, k + folds, k + 2 folds, … as COCO-20i does, instead
            of neighbours as PASCAL-5i does (classes 5k to 5k + 4 of 20 in 4 folds).
        seed: shuffle the classes first; None keeps their order.

    Raises:
        DataError: fewer classes than folds.
    """
    return _deal("classes", catalog.classes, folds, interleaved, seed, _CLASSES)


def subject_folds(catalog: Catalog, folds: int, *, seed: int | None = None) -> Folds:
    """Deal the subjects into folds; in cross-validation each is tested once.

    Args:
        catalog: its subjects, sorted with numbers in their names read as numbers (2 before 10).
        folds: how many.
        seed: shuffle the subjects first; None deals neighbours.

    Raises:
        DataError: fewer subjects than folds.
    """
    ordered = sorted(catalog.subjects, key=natural)
    return _deal("subjects", ordered, folds, False, seed, _SUBJECTS)


def cross_folds(
    catalog: Catalog,
    classes: Sequence[Sequence[str]],
    subjects: Sequence[Sequence[str]],
    *,
    training_exclusion: TrainingExclusion = "keep",
) -> tuple[Split, ...]:
    """Split by every pair of a class fold and a subject fold, class folds outermost.

    Args:
        catalog: with class areas.
        classes: folds of novel classes, e.g. from `class_folds`.
        subjects: folds of test subjects, e.g. from `subject_folds`.
        training_exclusion: see `episodes.catalog.splits.split`.
    """
    return tuple(
        split_catalog(
            catalog, novel=novel, test_subjects=tested, training_exclusion=training_exclusion
        )
        for novel, tested in itertools.product(classes, subjects)
    )


def natural(name: str) -> tuple[tuple[int, int | str], ...]:
    """Sort key that reads numbers in names as numbers.

    >>> sorted(["p10", "p9", "a"], key=natural)
    ['a', 'p9', 'p10']
    """
    parts = re.split(r"([0-9]+)", name)
    return tuple((0, int(part)) if part.isdecimal() else (1, part) for part in parts)


def _deal(
    kind: str, names: Sequence[str], folds: int, interleaved: bool, seed: int | None, stream: int
) -> Folds:
    if not 2 <= folds <= len(names):
        raise DataError(
            f"{folds} folds of {len(names)} {kind}; expected at least 2 folds and one of the "
            f"{kind} for each"
        )
    order = np.arange(len(names))
    if seed is not None:
        if not 0 <= seed < 2**64:
            raise DataError(f"seed is {seed}; expected a whole number from 0 to 2**64 - 1")
        key = np.array([seed, stream], np.uint64)
        order = np.random.Generator(np.random.Philox(key=key)).permutation(order)
    if interleaved:
        parts = [order[fold::folds] for fold in range(folds)]
    else:
        parts = np.array_split(order, folds)
    return tuple(tuple(names[i] for i in part) for part in parts)
