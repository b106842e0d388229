"""Base and novel classes, and disjoint sets of subjects."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from episodes.catalog.catalog import Catalog
from episodes.errors import DataError, shorten

TrainingExclusion = Literal["keep", "any", "all"]


@dataclass(frozen=True)
class Split:
    """A training catalog of base classes and a test catalog of novel classes.

    Attributes:
        train: base classes, training subjects.
        test: novel classes, test subjects.
    """

    train: Catalog
    test: Catalog


def split_catalog(
    catalog: Catalog,
    *,
    novel: Sequence[str],
    test_subjects: Sequence[str],
    training_exclusion: TrainingExclusion = "keep",
) -> Split:
    """Hold out classes and subjects together.

    Args:
        catalog: with class areas.
        novel: the classes that training must not use. If they are all there are, training
            has no class left, and superpixels have to do.
        test_subjects: the subjects that training must not see at all.
        training_exclusion: what happens to training images that show novel classes. "keep" keeps
            them, the novel pixels being unlabelled background (setting 1 of published protocols);
            "any" drops every image that shows any of them (setting 2); "all" drops only those
            that show all of them (a slip in several published implementations, kept by name).

    Raises:
        DataError: a name is unknown, or nothing would be left for one of the two sides.
    """
    catalog.require_areas()
    known = catalog.of_classes(novel).classes
    if not known:
        raise DataError(f"no novel class is named; choose some of {shorten(catalog.classes)}")
    if not test_subjects:
        raise DataError("no test subject is named; choose some, e.g. with draw_subjects")
    test = catalog.of_subjects(test_subjects).of_classes(known)
    train_subjects = [s for s in catalog.subjects if s not in set(test_subjects)]
    if not train_subjects:
        raise DataError("every subject is a test subject; leave some for training")
    return Split(
        training_side(catalog.of_subjects(train_subjects), known, training_exclusion), test
    )


def training_side(
    train: Catalog, novel: Sequence[str], training_exclusion: TrainingExclusion = "keep"
) -> Catalog:
    """Take classes out of a training catalog, and images that show them; see `split_catalog`.

    Raises:
        DataError: a name is unknown, or no image is left.
    """
    known = train.of_classes(novel).classes
    base = [name for name in train.classes if name not in known]
    if training_exclusion == "any":
        train = train.without_samples_of(known)
    elif training_exclusion == "all":
        train = train.filter(lambda s: not all((s.areas or {}).get(name) for name in known))
    elif training_exclusion != "keep":
        raise DataError(f"training_exclusion is {training_exclusion!r}; expected keep, any or all")
    if not len(train):
        raise DataError(
            f'no training image is left: with training_exclusion="{training_exclusion}" each one '
            f"shows {shorten(known)}; hold out fewer classes or choose another rule"
        )
    return train.of_classes(base)


def draw_subjects(catalog: Catalog, count: int, seed: int = 0) -> tuple[str, ...]:
    """Draw test subjects by seed, the same on every machine.

    Raises:
        DataError: fewer than `count` + 1 subjects.
    """
    subjects = catalog.subjects
    if not 0 < count < len(subjects):
        raise DataError(
            f"{count} test subjects of {len(subjects)}; expected at least 1 and one left to train"
        )
    generator = np.random.Generator(np.random.Philox(key=[seed, 0x5B]))
    return tuple(sorted(generator.permutation(np.array(subjects))[:count].tolist()))
