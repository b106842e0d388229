"""FSS-1000: 520 classes to train on, 240 to choose settings with, 240 to test on.

Paper: Li et al., FSS-1000: A 1000-Class Dataset for Few-Shot Segmentation, CVPR 2020; tested as
HSNet does (Min et al., ICCV 2021).

Rules. Every image of a test class is a query once; the shots are drawn uniformly among the other
images of its class (there are ten). IoU is summed per class, mIoU is the mean over the 240 classes.

Which class is on which side is not a rule but a list: the test classes were published with the
data, the two others by those who use it. The lists are therefore read from files of one class a
line (`read_classes`); nothing is assumed. Deviations: scored at the files' own 224 x 224 pixels,
where HSNet enlarges to 400 x 400; draws as in `pascal5i`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from episodes.catalog.catalog import Catalog
from episodes.errors import DataError, EpisodeError, cause, shorten
from episodes.protocols.base import Case, Protocol, named_samples, training_catalog
from episodes.protocols.pascal5i import class_images, image_plan
from episodes.sampling.sampler import episode_generator

SIZES = (520, 240, 240)
"""How many classes train, validate and test."""

_STREAM = 0x51  # of the generator, apart from the samplers'
_MAX_BYTES = 2**20


@dataclass(frozen=True)
class ClassSplit:
    """Classes to train on, to validate with and to test on; a class is on one side only."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]

    def __post_init__(self) -> None:
        sides = [set(self.train), set(self.validation), set(self.test)]
        shared = (sides[0] & sides[1]) | (sides[0] & sides[2]) | (sides[1] & sides[2])
        if shared:
            raise DataError(
                f"classes {shorten(sorted(shared))} are on two sides of the split; expected one"
            )


def read_classes(path: Path) -> tuple[str, ...]:
    """Read class names from a text file, one a line; empty lines are left out.

    Raises:
        DataError: the file is missing, is no text, is over 1 MiB, or names a class twice.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise DataError(
                f"{path} has {path.stat().st_size:,} bytes; expected a list of class names"
            )
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except FileNotFoundError:
        raise DataError(f"there is no file {path}; expected a list of class names") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as text: {cause(error)}") from error
    names = [line for line in lines if line]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated or not names:
        raise DataError(
            f"{path} names {shorten(repeated)} twice; expected each class once"
            if repeated
            else f"{path} names no class; expected one a line"
        )
    return tuple(names)


def fss1000(
    catalog: Catalog,
    split: ClassSplit,
    *,
    shot: int = 1,
    seed: int = 0,
    sizes: Sequence[int] | None = SIZES,
) -> Protocol:
    """Build the protocol for a catalog with class areas.

    Args:
        catalog: of all classes.
        split: the lists.
        shot: annotated images, 1 or 5 in the papers.
        seed: of the shots.
        sizes: classes that the three lists must have; None for other data sets.

    Raises:
        DataError: a list has another length, or names a class that the catalog lacks.
        EpisodeError: a test class has too few images.
    """
    catalog.require_areas()
    found = tuple(map(len, (split.train, split.validation, split.test)))
    if sizes is not None and found != tuple(sizes):
        raise DataError(
            f"the split has {found} classes; expected {tuple(sizes)} of FSS-1000 "
            "(sizes=None for other data)"
        )
    known = catalog.of_classes((*split.train, *split.validation, *split.test))
    if shot < 1:
        raise EpisodeError(f"shot is {shot}; expected at least 1")
    cases: list[Case] = []
    for name, images in class_images(known, split.test, shot).items():
        for query in images:
            generator = episode_generator(seed, len(cases), _STREAM)
            plan = image_plan(len(cases), name, query, images, shot, generator)
            cases.append(Case("run 0", plan))
    others = (*split.validation, *split.test)
    train, excluded = training_catalog(known, classes=others, held_out={}, training_exclusion="any")
    settings = {"shot": shot, "seed": seed, "classes": list(found)}
    test = named_samples(catalog, cases, split.test)
    return Protocol("fss1000", settings, train, excluded, test, tuple(cases), "class")
