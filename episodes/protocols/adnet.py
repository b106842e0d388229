"""Organs in volumes as ADNet and the Q-Net line test them; overlapping folds.

Paper: Hansen et al., Anomaly detection-inspired few-shot medical image segmentation through
self-supervision with supervoxels, Medical Image Analysis 2022.

Rules. Scans are sorted by number; fold k is the scans of an equal share and the one after it, which
also opens fold k + 1; the last fold takes scan 0. One scan of the fold is the support, the others
are queries, and the whole fold is kept from training. ADNet takes the last one in order (-1); Q-Net
and its successors take the third (2).

Evaluation protocol 1: the slices of the query that show the class (an oracle), cut at
linspace(0, n, 4) rounded down, each chunk with one of three support slices at 1/6, 1/2 and 5/6.
Evaluation protocol 2, their own: every slice of the query, all support slices as shots; one
support slice, the middle one, by default. Dice pools the pixels of a scan; mean over scans, then
classes.

Known oddities, kept. In the last fold scan 0 sorts first, so the last scan of all is the support,
is no query of any fold with support=-1, and scan 0 is a query twice. Unlike SSL-ALPNet, slices
between two that show the class but do not show it themselves are left out (protocol 1).

Deviations. As in `alpnet`: plane order, and scans without the class are left out with a note.
"""

from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Literal

from episodes.catalog.catalog import Catalog, Sample
from episodes.catalog.splits import TrainingExclusion
from episodes.errors import EpisodeError
from episodes.protocols.alpnet import lacks_class, slice_plan, support_slices
from episodes.protocols.base import (
    Case,
    Protocol,
    fold_bounds,
    named_samples,
    shows,
    tested_classes,
    training_catalog,
    volumes,
)
from episodes.protocols.registry import ProtocolOptions, register_volume_protocol


@dataclass(frozen=True)
class AdnetSettings:
    """Settings of the protocol.

    Attributes:
        fold: which fold is tested.
        folds: how many there are.
        classes: the classes tested; all by default.
        training_exclusion: what happens to training slices that show them; see `alpnet`.
        support: which scan of the fold is the support, -1 (ADNet) or 2 (Q-Net); "all" takes each
            scan in turn, one run each.
        evaluation: protocol 1 or 2.
        slices: annotated slices; 3 in protocol 1, 1 in protocol 2 by default (0).
    """

    fold: int = 0
    folds: int = 5
    classes: tuple[str, ...] = ()
    training_exclusion: TrainingExclusion = "keep"
    support: int | Literal["all"] = -1
    evaluation: Literal[1, 2] = 1
    slices: int = 0


def adnet(catalog: Catalog, settings: AdnetSettings | None = None) -> Protocol:
    """Build the protocol for a catalog of volumes with class areas.

    Raises:
        DataError: the catalog has no class areas, a class is unknown, a subject has two volumes.
        EpisodeError: no such fold or support scan, or a chosen support scan lacks a class.
    """
    settings = settings or AdnetSettings()
    if settings.evaluation not in (1, 2) or settings.slices < 0:
        raise EpisodeError(
            f"evaluation is {settings.evaluation} with {settings.slices} slices; expected "
            "protocol 1 or 2, and 1 slice or more (0 for the published number)"
        )
    scans = volumes(catalog)
    classes = tested_classes(catalog, settings.classes)
    members = overlapping_fold(list(scans), settings.fold, settings.folds)
    cases: list[Case] = []
    notes: list[str] = []
    for index in _support_indices(settings.support, len(members)):
        support = members[index]
        queries = [scans[member] for member in members if member != support]
        for name in classes:
            annotated = support_slices(scans[support], name, _slices(settings))
            if not annotated:
                notes += [lacks_class(support, name, settings.support)]
                continue
            for query in queries:
                if not any(shows(sample, name) for sample in query):
                    notes += [f"query scan {query[0].subject} does not show {name}"]
                for shots, part in _parts(query, annotated, name, settings.evaluation):
                    plan = slice_plan(len(cases), name, shots, part)
                    cases.append(Case(f"support {index}", plan))
    train, excluded = training_catalog(
        catalog,
        classes=classes,
        held_out={"fold": members},
        training_exclusion=settings.training_exclusion,
    )
    test = named_samples(catalog, cases, classes)
    return Protocol(
        *("adnet", asdict(settings), train, excluded, test, tuple(cases), "subject"),
        notes=tuple(dict.fromkeys(notes)),
    )


def overlapping_fold(names: list[str], fold: int, folds: int) -> list[str]:
    """List the scans of a fold: its own and the next one, in order of their numbers.

    >>> [overlapping_fold(list("abcdef"), fold, 3) for fold in range(3)]
    [['a', 'b', 'c'], ['c', 'd', 'e'], ['a', 'e', 'f']]
    """
    start, end = fold_bounds(len(names), folds, fold)
    members = {*range(start, end), end % len(names)}
    return [names[index] for index in sorted(members)]


def linspace_chunks(count: int, chunks: int) -> list[range]:
    """Cut `count` labelled slices at linspace(0, count, chunks + 1), rounded down.

    >>> linspace_chunks(10, 3)
    [range(0, 3), range(3, 6), range(6, 10)]
    """
    bounds = [count * k // chunks for k in range(chunks + 1)]
    return [range(low, high) for low, high in pairwise(bounds)]


def _parts(
    query: list[Sample], annotated: list[Sample], name: str, evaluation: int
) -> list[tuple[list[Sample], list[Sample]]]:
    """Pair support slices with the query slices that they segment."""
    if evaluation == 2:
        return [(annotated, query)]
    labelled = [sample for sample in query if shows(sample, name)]
    chunks = linspace_chunks(len(labelled), len(annotated))
    pairs = [([annotated[k]], [labelled[i] for i in part]) for k, part in enumerate(chunks)]
    return [(shots, part) for shots, part in pairs if part]


def _slices(settings: AdnetSettings) -> int:
    return settings.slices or (3 if settings.evaluation == 1 else 1)


def _support_indices(requested: int | str, count: int) -> list[int]:
    if requested == "all":
        return list(range(count))
    if isinstance(requested, str) or not -count <= requested < count:
        raise EpisodeError(
            f"support is {requested!r}; expected an index in the fold of {count} scans, 0 to "
            f"{count - 1} or -1 for the last, or 'all'"
        )
    return [requested % count]


@register_volume_protocol("adnet", published_support=-1)
def _published(catalog: Catalog, options: ProtocolOptions) -> Protocol:
    return adnet(catalog, AdnetSettings(**vars(options)))


@register_volume_protocol("adnet-2", published_support=-1)
def _every_slice(catalog: Catalog, options: ProtocolOptions) -> Protocol:
    return adnet(catalog, AdnetSettings(**vars(options), evaluation=2))
