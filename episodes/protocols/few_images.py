"""Few annotated images, queries of other subjects: a user's task, drawn anew several times.

No paper's own. A draw takes annotated images of different subjects, and queries of all other
subjects; that of fewer images is the beginning of that of more, and both have the same queries.
Annotated images show as many of the classes as any image does, and areas in the outer 15 % on
either side are avoided where others are left. The classes of a case are those that its annotated
images show.

Where subjects are few, half of them at most give annotated images, several each if need be, and
more of them only where these have too few images and enough others are left for the queries; the
protocol's notes name such tasks. Nothing is trained on, so `train` is empty.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from episodes.catalog.catalog import Catalog, Sample
from episodes.errors import DataError, EpisodeError
from episodes.protocols.base import Case, Protocol, in_order, named_samples, shows, tested_classes
from episodes.sampling.episode import Plan

_OUTER = 15  # percent of the images whose areas count as extreme, on either side
Tier = tuple[int, bool]
"""How many of the classes an image lacks, and whether its area is extreme: less is better."""


@dataclass(frozen=True)
class FewImagesSettings:
    """Settings of the protocol.

    Attributes:
        shots: numbers of annotated images; each is a case of every draw.
        supports: number of draws.
        queries: at most so many images a draw, one a subject first.
        seed: of the draws.
        classes: the classes tested; all by default.
    """

    shots: tuple[int, ...] = (1, 5)
    supports: int = 2
    queries: int = 10
    seed: int = 0
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("supports", "queries"):
            if getattr(self, name) < 1:
                raise DataError(f"{name} is {getattr(self, name)}; expected at least 1")
        if not self.shots or min(self.shots) < 1:
            raise DataError(f"shots are {self.shots}; expected numbers of images, at least 1")


def few_images(catalog: Catalog, settings: FewImagesSettings) -> Protocol:
    """Build the protocol for a catalog with class areas.

    Raises:
        DataError: the catalog has no class areas, or a class is unknown.
        EpisodeError: fewer than two subjects, or too few images that show a class.
    """
    classes = tested_classes(catalog, settings.classes)
    tiers = rank_images(catalog, classes)
    showing = {s.subject for s in catalog.samples if s.key in tiers}
    if len(catalog.subjects) < 2 or not showing:
        raise EpisodeError(
            f"{catalog.name} has {len(catalog.subjects)} subjects, {len(showing)} of which show "
            f"{' or '.join(classes)}; expected two at least, one annotated and one to be segmented"
        )
    cases: list[Case] = []
    notes: dict[str, None] = {}
    used: set[str] = set()
    for draw in range(settings.supports):
        generator = np.random.Generator(np.random.Philox(key=[settings.seed, draw]))
        annotated = _draw_annotated(catalog, tiers, settings, used, generator)
        used.add(annotated[0].subject)
        queries = _draw_queries(catalog, annotated, settings.queries, generator)
        for shots in dict.fromkeys(settings.shots):
            notes |= dict.fromkeys(_notes(catalog, annotated[:shots], shots))
            if len(annotated) >= shots:
                plan = _plan(len(cases), annotated[:shots], queries, classes)
                cases.append(Case(f"draw {draw}", plan))
    if not cases:
        raise EpisodeError(f"{catalog.name}: {'; '.join(notes)}; ask for fewer annotated images")
    return Protocol(
        name="few_images",
        settings=asdict(settings),
        train=catalog.filter(lambda sample: False),
        excluded={},
        test=named_samples(catalog, cases, classes),
        cases=tuple(cases),
        unit="subject",
        notes=tuple(notes),
    )


def rank_images(catalog: Catalog, classes: Sequence[str]) -> dict[str, Tier]:
    """Rank the images that show any of the classes by their fitness as examples.

    Returns:
        By key, how many classes are missing, and whether the area is extreme among the images that
        lack as many.
    """
    catalog.require_areas()
    shown = {s.key: sum(shows(s, name) for name in classes) for s in catalog.samples}
    share = {
        s.key: sum((s.areas or {}).get(name, 0) for name in classes) / (s.size[0] * s.size[1])
        for s in catalog.samples
    }
    bounds = {
        count: np.percentile(
            [share[key] for key in shown if shown[key] == count], (_OUTER, 100 - _OUTER)
        )
        for count in set(shown.values())
    }
    return {
        key: (len(classes) - count, not bounds[count][0] <= share[key] <= bounds[count][1])
        for key, count in shown.items()
        if count
    }


def _draw_annotated(
    catalog: Catalog,
    tiers: Mapping[str, Tier],
    settings: FewImagesSettings,
    used: set[str],
    generator: np.random.Generator,
) -> list[Sample]:
    """Draw annotated images, of different subjects as far as half of the subjects reach.

    Args:
        catalog: of all images.
        tiers: of those that show a class.
        settings: its largest number of shots is drawn; where half of the subjects have too few
            images, so many subjects as it has queries are left.
        used: subjects that earlier draws began with, and this one does only without others.
        generator: of the draw.
    """
    count = max(settings.shots)
    by_subject: dict[str, list[Sample]] = {}
    for sample in _shuffled([s for s in catalog.samples if s.key in tiers], generator):
        by_subject.setdefault(sample.subject, []).append(sample)
    for samples in by_subject.values():
        samples.sort(key=lambda sample: tiers[sample.key])  # stable: equal ones stay shuffled
    subjects = _shuffled(in_order(by_subject), generator)
    subjects.sort(key=lambda subject: tiers[by_subject[subject][0].key])
    subjects.sort(key=lambda subject: subject in used)
    most = max(1, len(catalog.subjects) // 2)
    if sum(len(by_subject[subject]) for subject in subjects[:most]) < count:
        most = max(most, len(catalog.subjects) - settings.queries)
    kept = subjects[: min(count, most)]
    rounds = range(max(len(by_subject[subject]) for subject in kept))
    found = [
        by_subject[subject][turn]
        for turn in rounds
        for subject in kept
        if turn < len(by_subject[subject])
    ]
    return found[:count]


def _draw_queries(
    catalog: Catalog, annotated: Sequence[Sample], count: int, generator: np.random.Generator
) -> list[Sample]:
    """Draw images of the other subjects, one of each before a second of any."""
    excluded = {sample.subject for sample in annotated}
    left: dict[str, list[Sample]] = {}
    for sample in _shuffled(catalog.samples, generator):
        if sample.subject not in excluded:
            left.setdefault(sample.subject, []).append(sample)
    found = [
        (turn, number, sample)
        for number, samples in enumerate(left.values())
        for turn, sample in enumerate(samples)
    ]
    return [sample for _, _, sample in sorted(found, key=lambda each: each[:2])[:count]]


def _plan(
    index: int, annotated: Sequence[Sample], queries: Sequence[Sample], classes: Sequence[str]
) -> Plan:
    shown = tuple(name for name in classes if any(shows(sample, name) for sample in annotated))
    keys = tuple(sample.key for sample in annotated)
    return Plan(
        index=index,
        classes=shown,
        support=(keys,) * len(shown),
        query=tuple(sample.key for sample in queries),
        query_subjects=tuple(sample.subject for sample in queries),
    )


def _notes(catalog: Catalog, annotated: Sequence[Sample], shots: int) -> list[str]:
    if len(annotated) < shots:
        return [
            f"{shots} annotated images are left out: there are {len(annotated)} beside the queries"
        ]
    subjects = len({sample.subject for sample in annotated})
    if subjects == len(annotated):
        return []
    return [
        f"{shots} annotated images are of {subjects} subjects, since there are "
        f"{len(catalog.subjects)}"
    ]


def _shuffled(items: Sequence, generator: np.random.Generator) -> list:
    return [items[place] for place in generator.permutation(len(items))]
