"""What of a protocol's test was in its training catalog."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from episodes.catalog.catalog import Catalog
from episodes.catalog.duplicates import Pair
from episodes.catalog.leakage import LeakageAudit, audit_leakage
from episodes.errors import DataError
from episodes.protocols.base import Protocol

UNHELD_SUPPORT = "all"
"""With this support every scan outside the fold is a support in turn, and a training scan too."""


@dataclass(frozen=True)
class Leakage:
    """What training has seen of one fold's test.

    Attributes:
        subjects: query scans, and held support scans, that training has too; always none.
        supports: support scans whose images, without labels, are training images: none unless
            every scan is a support in turn.
        labelled: tested classes that training is told of; always none.
        unlabelled: tested classes that training images show as background, with their number.
        equal: pairs of a training and a test image whose pixels are all equal.
        alike: pairs that are nearly so.
        looked: whether pairs were looked for.
    """

    subjects: tuple[str, ...]
    supports: tuple[str, ...]
    labelled: tuple[str, ...]
    unlabelled: dict[str, int]
    equal: tuple[tuple[str, str], ...]
    alike: tuple[tuple[str, str], ...]
    looked: bool

    def content(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return asdict(self)


def check(
    protocol: Protocol, catalog: Catalog, support: str, pairs: Sequence[Pair] | None
) -> Leakage:
    """Compare a protocol's training catalog with all images of the scans it tests.

    Args:
        protocol: one fold.
        catalog: that it was laid over.
        support: as typed; "all" holds no support scan out of training.
        pairs: places in the catalog of images that look alike; None if nobody looked.

    Raises:
        DataError: a held subject, one of its images, or a tested class is in training.
    """
    queries = {name for case in protocol.cases for name in case.plan.query_subjects}
    of = {sample.key: sample.subject for sample in catalog.samples}
    supports = {of[k] for case in protocol.cases for row in case.plan.support for k in row}
    held = queries if support == UNHELD_SUPPORT else queries | supports
    tested = catalog.of_subjects(sorted(held)).of_classes(protocol.test.classes)
    found = audit_leakage(protocol.train, tested)
    labelled = tuple(seen.name for seen in found.classes if seen.labelled)
    _refuse(protocol, found, labelled)
    train = {sample.key for sample in protocol.train.samples}
    keys = [sample.key for sample in catalog.samples]
    here = {sample.key for sample in tested.samples}

    def crossing(same: bool) -> tuple[tuple[str, str], ...]:
        named = [(keys[p.first], keys[p.second]) for p in pairs or () if p.same == same]
        both = [*named, *((b, a) for a, b in named)]
        return tuple(sorted((a, b) for a, b in both if a in train and b in here))

    return Leakage(
        subjects=found.subjects,
        supports=tuple(sorted(supports & set(protocol.train.subjects))),
        labelled=labelled,
        unlabelled={seen.name: seen.images for seen in found.classes if seen.images},
        equal=crossing(True),
        alike=crossing(False),
        looked=pairs is not None,
    )


def _refuse(protocol: Protocol, found: LeakageAudit, labelled: Sequence[str]) -> None:
    if found.disjoint and not labelled:
        return
    classes = f"\nclasses labelled in training: {', '.join(labelled)}" if labelled else ""
    raise DataError(
        f"{protocol.name}, fold {protocol.settings.get('fold', 0)}: the test is in training, so "
        f"its score would mean nothing; give each scan one subject with --subject-pattern\n{found}"
        f"{classes}"
    )
