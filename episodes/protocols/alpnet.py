"""Organs in volumes as SSL-ALPNet tests them: three support slices for three chunks of the query.

Paper: Ouyang et al., Self-Supervision with Superpixels: Training Few-Shot Medical Image
Segmentation without Annotation, ECCV 2020 (the chunks come from Roy et al., "Squeeze & Excite"
Guided Few-Shot Segmentation of Volumetric Images, 2020).

Rules. Scans are sorted by number and dealt into 5 folds in order. The support scan is the first
one after the fold, going round; neither it nor the fold is trained on. "1-shot" means three
annotated slices of it, at 1/6, 1/2 and 5/6 of its slices that show the class. All slices of a query
scan from the first to the last that shows the class are segmented, in three chunks; chunk k uses
support slice k. The truth of the query thus chooses its slices: an oracle (`full_volume` has none).
All other classes are background, in the support as in the query. Dice pools the pixels of a scan.

Setting 1 is `training_exclusion="keep"`: test classes may appear, unlabelled, in training slices.
Setting 2 is `training_exclusion="any"`: every training slice that shows one of the test classes is
dropped; test one of `ABDOMINAL_GROUPS` at a time. `training_exclusion="all"` is a slip in the code
of Q-Net, RPT, GMRD and FoB, which drops only slices that show all of them: setting-2 numbers of the
two do not compare.

Deviations. Slices are counted in this package's plane order (towards the head, the front or the
right), theirs in file order. Scans without the class are left out with a note, where theirs fail.
With `support="all"` the support scans are training scans too, though their labels of the test
classes are not used; use an index to keep the support scan out of training.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from episodes.catalog.catalog import Catalog, Sample
from episodes.catalog.splits import TrainingExclusion
from episodes.errors import EpisodeError, shorten
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
from episodes.sampling.episode import Plan

ABDOMINAL_GROUPS = (("liver", "spleen"), ("left_kidney", "right_kidney"))
"""The classes that setting 2 tests together, upper and lower abdomen."""

CHUNKS = 3


@dataclass(frozen=True)
class AlpnetSettings:
    """Settings of the protocol.

    Attributes:
        fold: index of the fold that is tested.
        folds: number of folds.
        classes: the classes tested; all by default.
        training_exclusion: what happens to training slices that show them; see the module.
        support: index of the support scan among those after the fold, in cyclic order; 0 is the
            published one; "all" tests with every scan outside the fold, one run each.
    """

    fold: int = 0
    folds: int = 5
    classes: tuple[str, ...] = ()
    training_exclusion: TrainingExclusion = "keep"
    support: int | Literal["all"] = 0


def alpnet(catalog: Catalog, settings: AlpnetSettings | None = None) -> Protocol:
    """Build the protocol for a catalog of volumes with class areas.

    Raises:
        DataError: the catalog has no class areas, a class is unknown, a subject has two volumes.
        EpisodeError: no such fold or support scan, or a chosen support scan lacks a class.
    """
    settings = settings or AlpnetSettings()
    scans = volumes(catalog)
    classes = tested_classes(catalog, settings.classes)
    queries, supports = fold_scans(list(scans), settings.fold, settings.folds)
    chosen = select_supports(supports, settings.support)
    cases: list[Case] = []
    notes: list[str] = []
    for number, support in chosen:
        for name in classes:
            annotated = support_slices(scans[support], name)
            if not annotated:
                notes += [lacks_class(support, name, settings.support)]
                continue
            for query in queries:
                parts = query_chunks(scans[query], name)
                if not parts:
                    notes += [f"query scan {query} does not show {name}"]
                for chunk, part in enumerate(parts):
                    plan = slice_plan(len(cases), name, annotated[chunk : chunk + 1], part)
                    if part:
                        cases.append(Case(f"support {number}", plan))
    held_out = {"query scan": queries}
    if settings.support != "all":
        held_out["support scan"] = [support for _, support in chosen]
    train, excluded = training_catalog(
        catalog, classes=classes, held_out=held_out, training_exclusion=settings.training_exclusion
    )
    test = named_samples(catalog, cases, classes)
    return Protocol(
        *("alpnet", asdict(settings), train, excluded, test, tuple(cases), "subject"),
        notes=tuple(dict.fromkeys(notes)),
    )


def fold_scans(names: Sequence[str], fold: int, folds: int) -> tuple[list[str], list[str]]:
    """Split scans into those of a fold and all others, in cyclic order from the one after the fold.

    >>> fold_scans(["1", "2", "3", "5", "8", "10"], 2, 3)
    (['8', '10'], ['1', '2', '3', '5'])
    """
    start, end = fold_bounds(len(names), folds, fold)
    return list(names[start:end]), [*names[end:], *names[:start]]


def select_supports(supports: Sequence[str], requested: int | str) -> list[tuple[int, str]]:
    """Return (index, scan) of the requested support scan, or of all."""
    if requested == "all":
        return list(enumerate(supports))
    if isinstance(requested, str) or not 0 <= requested < len(supports):
        raise EpisodeError(
            f"support is {requested!r}; expected 0 to {len(supports) - 1}, the scan's index after "
            "the fold, or 'all'"
        )
    return [(requested, supports[requested])]


def support_slices(scan: Sequence[Sample], name: str, count: int = CHUNKS) -> list[Sample]:
    """Select the slices at 1/6, 1/2 and 5/6 (for three) of those that show the class.

    Slice k of n labelled ones is number floor(n (2k + 1) / (2 count)). None if none shows it.
    """
    labelled = [sample for sample in scan if shows(sample, name)]
    if not labelled:
        return []
    return [labelled[len(labelled) * (2 * k + 1) // (2 * count)] for k in range(count)]


def chunk_of(index: int, first: int, last: int) -> int:
    """Index of the chunk of a slice: (z - zmin) // ((zmax - zmin) / 3), at most 2.

    At z = zmax the quotient is 3, so the last slice is put into the last chunk by hand, which
    makes that chunk one longer; a class on one slice only is chunk 0.

    >>> [chunk_of(z, 10, 16) for z in range(10, 17)]
    [0, 0, 1, 1, 2, 2, 2]
    """
    if last == first:
        return 0
    return min(CHUNKS * (index - first) // (last - first), CHUNKS - 1)


def query_chunks(scan: Sequence[Sample], name: str) -> list[list[Sample]]:
    """Deal the slices from the first to the last that shows the class into three chunks."""
    labelled = [index for index, sample in enumerate(scan) if shows(sample, name)]
    if not labelled:
        return []
    chunks: list[list[Sample]] = [[] for _ in range(CHUNKS)]
    for index in range(labelled[0], labelled[-1] + 1):
        chunks[chunk_of(index, labelled[0], labelled[-1])].append(scan[index])
    return chunks


def slice_plan(index: int, name: str, support: Sequence[Sample], query: Sequence[Sample]) -> Plan:
    """Plan a one-way case: each support slice is a shot."""
    return Plan(
        index=index,
        classes=(name,),
        support=(tuple(sample.key for sample in support),),
        query=tuple(sample.key for sample in query),
        query_subjects=tuple(sample.subject for sample in query),
    )


def lacks_class(support: str, name: str, requested: int | str) -> str:
    """Note that a support scan lacks a class; where it was chosen by index, that is an error."""
    if requested == "all":
        return f"support scan {support} does not show {name}"
    raise EpisodeError(
        f"support scan {support!r} (support={requested}) does not show {name!r}, so it is no "
        f"support for it; choose another support, 'all', or leave out {shorten([name])}"
    )


@register_volume_protocol("alpnet")
def _published(catalog: Catalog, options: ProtocolOptions) -> Protocol:
    return alpnet(catalog, AlpnetSettings(**vars(options)))
