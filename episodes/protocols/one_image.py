"""One annotated image, many subjects: what a user does who opens a tool with one example.

No paper's own. Some subjects are tested; every other subject gives one annotated image: of its
images that show the class, the one whose area is in the middle. With `support="all"` each of them
is the support of one run, so that the score does not hang on a lucky example; or one is chosen by
its subject's place.

All images of a test subject that show the class or not are segmented; Dice pools the pixels of a
subject. Nothing is trained on here: `train` holds the subjects that are not tested, for a protocol
on the same data, and a model from elsewhere has seen none of them.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from episodes.catalog.catalog import Catalog, Sample
from episodes.errors import DataError, EpisodeError, shorten
from episodes.protocols.alpnet import slice_plan
from episodes.protocols.base import (
    Case,
    Protocol,
    in_order,
    named_samples,
    shows,
    tested_classes,
    training_catalog,
)
from episodes.protocols.registry import register_subject_protocol


@dataclass(frozen=True)
class OneImageSettings:
    """Settings of the protocol.

    Attributes:
        test_subjects: the subjects tested; by their names.
        classes: the classes tested; all by default.
        support: the place of the support's subject among the others, in order; "all" for all.
    """

    test_subjects: tuple[str, ...]
    classes: tuple[str, ...] = ()
    support: int | Literal["all"] = "all"


@register_subject_protocol("one-image")
def one_image(catalog: Catalog, settings: OneImageSettings) -> Protocol:
    """Build the protocol for a catalog with class areas.

    Raises:
        DataError: the catalog has no class areas, a class or subject is unknown, or no subject is
            left for the support.
        EpisodeError: no such support, or no subject shows a class.
    """
    catalog.require_areas()
    subjects = in_order(catalog.subjects)
    unknown = sorted(set(settings.test_subjects) - set(subjects))
    if unknown or not settings.test_subjects:
        raise DataError(
            f"test subjects {shorten(unknown)} are not in {catalog.name}; expected some of "
            f"{shorten(subjects)}"
            if unknown
            else "no test subject; name those that are tested"
        )
    tested = set(settings.test_subjects)
    others = [subject for subject in subjects if subject not in tested]
    classes = tested_classes(catalog, settings.classes)
    cases: list[Case] = []
    for name in classes:
        for number, support in _supports(catalog, others, name, settings.support):
            for subject in (one for one in subjects if one in tested):
                queries = [sample for sample in catalog.samples if sample.subject == subject]
                plan = slice_plan(len(cases), name, [support], queries)
                cases.append(Case(f"support {number}", plan))
    train, excluded = training_catalog(
        catalog,
        classes=classes,
        held_out={"test subject": sorted(tested)},
        training_exclusion="keep",
    )
    test = named_samples(catalog, cases, classes)
    return Protocol(
        *("one_image", asdict(settings), train, excluded, test, tuple(cases), "subject")
    )


def _supports(
    catalog: Catalog, subjects: Sequence[str], name: str, requested: int | str
) -> list[tuple[int, Sample]]:
    """List (place, image) of the subjects that show the class."""
    found = []
    for number, subject in enumerate(subjects):
        shown = [s for s in catalog.samples if s.subject == subject and shows(s, name)]
        if shown:
            found.append((number, middle_area(shown, name)))
    chosen = found if requested == "all" else [pair for pair in found if pair[0] == requested]
    if not chosen:
        raise EpisodeError(
            f"support is {requested!r}, and {len(subjects)} subjects are not tested, "
            f"{len(found)} of which show {name!r}; expected 'all' or the index of one that does, "
            "from 0"
        )
    return chosen


def middle_area(samples: Sequence[Sample], name: str) -> Sample:
    """Take the sample whose area of a class is in the middle; the lower one of two.

    Args:
        samples: measured, all showing the class.
        name: of the class.
    """
    ordered = sorted(samples, key=lambda sample: ((sample.areas or {})[name], sample.key))
    return ordered[(len(ordered) - 1) // 2]
