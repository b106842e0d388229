"""Every slice of the query volume is segmented and scored; its truth selects nothing.

A protocol of this package: the published volume protocols use the query's truth to find the slices
that show the organ and to divide them into chunks, which a user cannot. Folds and support scans are
those of `alpnet`; so are classes, `training_exclusion` and the scoring (Dice of a scan,
pixels of all slices pooled).

Rules. What is annotated in the support scan is either three slices (at 1/6, 1/2 and 5/6 of those
that show the class) or the whole volume. `choose` selects the annotated slice of each query
slice:

- "middle": the annotated slice in the middle, for every query slice.
- "thirds": slice k of the three for the k-th third of the query volume, as `alpnet` cuts the organ.
  Slice z of d belongs to third floor(3 z / d).
- "proportional": the annotated slice whose relative position in its volume is nearest. Slice z of
  d slices is at (z + 1/2) / d, from 0 to 1. Ties go to the lower slice.
- a function of (query slice, annotated slices) that returns a position; it gets samples and may
  read their images, but the samples it gets carry no areas and no masks.

With a whole annotated volume the chosen slice may not show the class: its empty mask is then the
support set. With three slices every query slice gets a support that shows the class, and the method
has to recognise that the organ is absent.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from episodes.catalog.catalog import Catalog, Sample
from episodes.catalog.splits import TrainingExclusion
from episodes.errors import EpisodeError
from episodes.protocols.alpnet import (
    CHUNKS,
    fold_scans,
    lacks_class,
    select_supports,
    slice_plan,
    support_slices,
)
from episodes.protocols.base import (
    Case,
    Protocol,
    named_samples,
    shows,
    tested_classes,
    training_catalog,
    volumes,
)
from episodes.protocols.registry import ProtocolOptions, register_volume_protocol

Matcher = Callable[[Sample, Sequence[Sample]], int]
Choice = Literal["middle", "thirds", "proportional"]


@dataclass(frozen=True)
class FullVolumeSettings:
    """Settings of the protocol.

    Attributes:
        fold, folds, classes, training_exclusion, support: as in `alpnet.AlpnetSettings`.
        annotated: what is annotated in the support scan.
        choose: rule that selects the support slice of a query slice.
    """

    fold: int = 0
    folds: int = 5
    classes: tuple[str, ...] = ()
    training_exclusion: TrainingExclusion = "keep"
    support: int | Literal["all"] = 0
    annotated: Literal["slices", "volume"] = "slices"
    choose: Choice | Matcher = "proportional"

    def as_json(self) -> dict[str, Any]:
        """The settings as JSON values; a matcher becomes its name."""
        content = dict(vars(self))
        if callable(self.choose):
            content["choose"] = getattr(self.choose, "__qualname__", type(self.choose).__name__)
        return content


def full_volume(catalog: Catalog, settings: FullVolumeSettings | None = None) -> Protocol:
    """Build the protocol for a catalog of volumes with class areas.

    Raises:
        DataError: the catalog has no class areas, a class is unknown, a subject has two volumes.
        EpisodeError: no such fold, support scan or choice; a chosen support scan lacks a class; a
            matcher returns no position.
    """
    settings = settings or FullVolumeSettings()
    _check(settings)
    scans = volumes(catalog)
    classes = tested_classes(catalog, settings.classes)
    queries, supports = fold_scans(list(scans), settings.fold, settings.folds)
    chosen = select_supports(supports, settings.support)
    cases: list[Case] = []
    notes: list[str] = []
    for number, support in chosen:
        for name in classes:
            slices = annotated_slices(scans[support], name, settings)
            if not slices:
                notes += [lacks_class(support, name, settings.support)]
            for query in queries if slices else ():
                for shot, part in pair_slices(
                    scans[query], scans[support], slices, settings.choose
                ):
                    plan = slice_plan(len(cases), name, [shot], part)
                    cases.append(Case(f"support {number}", plan))
    held_out = {"query scan": queries}
    if settings.support != "all":
        held_out["support scan"] = [support for _, support in chosen]
    train, excluded = training_catalog(
        catalog, classes=classes, held_out=held_out, training_exclusion=settings.training_exclusion
    )
    test = named_samples(catalog, cases, classes)
    return Protocol(
        *("full_volume", settings.as_json(), train, excluded, test, tuple(cases), "subject"),
        notes=tuple(dict.fromkeys(notes)),
    )


def _check(settings: FullVolumeSettings) -> None:
    choices = ("middle", "thirds", "proportional")
    if not callable(settings.choose) and settings.choose not in choices:
        raise EpisodeError(
            f"choose is {settings.choose!r}; expected {', '.join(choices)} or a function"
        )
    if settings.annotated not in ("slices", "volume"):
        raise EpisodeError(f"annotated is {settings.annotated!r}; expected slices or volume")
    if settings.annotated == "volume" and settings.choose in ("middle", "thirds"):
        raise EpisodeError(
            f"choose is {settings.choose!r}, which takes annotated slices; with a whole annotated "
            "volume choose proportional or a function"
        )


def annotated_slices(
    scan: Sequence[Sample], name: str, settings: FullVolumeSettings
) -> list[Sample]:
    """List the support slices to choose from; none if no slice shows the class."""
    if settings.choose == "middle":
        return support_slices(scan, name, count=1)
    if settings.choose == "thirds":
        return support_slices(scan, name)
    if settings.annotated == "slices":
        return list({sample.key: sample for sample in support_slices(scan, name)}.values())
    return list(scan) if any(shows(sample, name) for sample in scan) else []


def pair_slices(
    query: Sequence[Sample],
    support: Sequence[Sample],
    annotated: Sequence[Sample],
    choose: Choice | Matcher,
) -> list[tuple[Sample, list[Sample]]]:
    """Give every slice of a query volume its support slice.

    Args:
        query: all slices of the query volume.
        support: all slices of the support volume.
        annotated: those that may be chosen.
        choose: see the module.

    Returns:
        (support slice, query slices segmented with it), every query slice once.
    """
    slice_of = {sample.key: index for index, sample in enumerate(support)}
    support_indices = [slice_of[sample.key] for sample in annotated]
    blind = [replace(sample, masks=(), areas=None) for sample in annotated]
    parts: dict[int, list[Sample]] = defaultdict(list)
    for index, sample in enumerate(query):
        if choose == "middle":
            chosen = 0
        elif choose == "thirds":
            chosen = CHUNKS * index // len(query)
        elif choose == "proportional":
            chosen = nearest_position(index, len(query), support_indices, len(support))
        else:
            chosen = _matched(choose, sample, blind)
        parts[chosen].append(sample)
    return [(annotated[chosen], part) for chosen, part in sorted(parts.items())]


def nearest_position(
    index: int, depth: int, support_indices: Sequence[int], support_depth: int
) -> int:
    """Find the support slice at the nearest relative position; ties go to the first.

    Args:
        index: of the query slice, from 0.
        depth: slices of the query volume.
        support_indices: of the support slices, from 0.
        support_depth: slices of the support volume.

    >>> nearest_position(3, 10, [0, 2, 4], 5)  # 3.5 / 10 is between 0.1, 0.5 and 0.9
    1
    """
    # |(z + 1/2) / d - (s + 1/2) / e| times 2 d e, so that only whole numbers are compared.
    distances = [
        abs((2 * index + 1) * support_depth - (2 * s + 1) * depth) for s in support_indices
    ]
    return distances.index(min(distances))


def _matched(match: Matcher, sample: Sample, annotated: Sequence[Sample]) -> int:
    index = match(replace(sample, masks=(), areas=None), annotated)
    if not 0 <= index < len(annotated):
        raise EpisodeError(
            f"the matcher returned {index} for {sample.key}; expected a position from 0 to "
            f"{len(annotated) - 1}"
        )
    return int(index)


@register_volume_protocol("full-slices")
def _of_slices(catalog: Catalog, options: ProtocolOptions) -> Protocol:
    return full_volume(catalog, FullVolumeSettings(**vars(options)))


@register_volume_protocol("full-middle")
def _of_middle(catalog: Catalog, options: ProtocolOptions) -> Protocol:
    return full_volume(catalog, FullVolumeSettings(**vars(options), choose="middle"))


@register_volume_protocol("full-thirds")
def _of_thirds(catalog: Catalog, options: ProtocolOptions) -> Protocol:
    return full_volume(catalog, FullVolumeSettings(**vars(options), choose="thirds"))


@register_volume_protocol("full-volume")
def _of_volume(catalog: Catalog, options: ProtocolOptions) -> Protocol:
    return full_volume(catalog, FullVolumeSettings(**vars(options), annotated="volume"))
