"""Leakage audit: subjects, images, neighbouring slices and classes in training and test."""

from bisect import bisect_left
from collections import defaultdict
from dataclasses import asdict, dataclass, replace
from typing import Any

from episodes.catalog.catalog import Catalog, Sample
from episodes.errors import DataError, shorten
from episodes.io.pixels import PixelRef


@dataclass(frozen=True)
class Neighbours:
    """A test slice and the nearest training slice of the same volume, `gap` slices away."""

    test: str
    train: str
    gap: int


@dataclass(frozen=True)
class ClassExposure:
    """How much of a test class the training images show.

    Attributes:
        name: the class.
        labelled: whether it is a training class; else its pixels are background there.
        images: training images that show it.
        pixels: training pixels of it.
    """

    name: str
    labelled: bool
    images: int
    pixels: int


@dataclass(frozen=True)
class LeakageAudit:
    """The overlap of a training and a test catalog.

    Attributes:
        max_gap: slices of one volume further apart than this are no neighbours.
        subjects: names of subjects on both sides.
        samples: keys of test images that training has too (the same plane of the same file).
        neighbours: test slices that training does not have, but has a slice near them.
        classes: every test class, also those that training does not show (0 pixels).
    """

    max_gap: int
    subjects: tuple[str, ...]
    samples: tuple[str, ...]
    neighbours: tuple[Neighbours, ...]
    classes: tuple[ClassExposure, ...]

    @property
    def disjoint(self) -> bool:
        """Whether no subject, image or neighbouring slice is on both sides."""
        return not (self.subjects or self.samples or self.neighbours)

    def content(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return {"disjoint": self.disjoint, **asdict(self)}

    def __str__(self) -> str:
        near = [f"{n.test} ({n.gap} from {n.train})" for n in self.neighbours]
        lines = [
            _line("subjects in training and test", self.subjects),
            _line("images in training and test", self.samples),
            _line(f"test slices at most {self.max_gap} from a training slice", near),
        ]
        for seen in self.classes:
            status = "labelled" if seen.labelled else "unlabelled"
            lines.append(
                f"class {seen.name}: {status} in training, {seen.pixels:,} pixels in "
                f"{seen.images:,} images"
                if seen.images
                else f"class {seen.name}: not in the training images"
            )
        return "\n".join(lines)


def audit_leakage(train: Catalog, test: Catalog, *, max_gap: int = 3) -> LeakageAudit:
    """Compare a training with a test catalog.

    Files are compared by their paths and subjects by their names; images stored twice under
    different names are found by `episodes.catalog.duplicates`.

    Args:
        train: with class areas; its `classes` are the training classes.
        test: its `classes` are those that are scored.
        max_gap: how far apart slices of one volume count as neighbours.

    Raises:
        DataError: the training catalog has no class areas, or max_gap is negative.
    """
    if max_gap < 0:
        raise DataError(f"max_gap is {max_gap}; expected 0 or more")
    train.require_areas()
    planes = _planes(train)
    same: list[str] = []
    near: list[Neighbours] = []
    for sample in test.samples:
        nearest = _nearest(sample, planes)
        if nearest is None or nearest.gap > max_gap:
            continue
        if nearest.gap == 0:
            same.append(sample.key)
        else:
            near.append(nearest)
    both = sorted(set(train.subjects) & set(test.subjects))
    exposure = tuple(_exposure(train, name) for name in test.classes)
    return LeakageAudit(max_gap, tuple(both), tuple(same), tuple(near), exposure)


def _planes(catalog: Catalog) -> dict[PixelRef, list[tuple[int, str]]]:
    """The planes of each file, sorted, with their keys."""
    planes: dict[PixelRef, list[tuple[int, str]]] = defaultdict(list)
    for sample in catalog.samples:
        planes[_file(sample)].append((sample.image.plane or 0, sample.key))
    for slices in planes.values():
        slices.sort()
    return dict(planes)


def _file(sample: Sample) -> PixelRef:
    return replace(sample.image, path=sample.image.path.absolute(), plane=None)


def _nearest(sample: Sample, planes: dict[PixelRef, list[tuple[int, str]]]) -> Neighbours | None:
    train = planes.get(_file(sample), [])
    plane = sample.image.plane or 0
    index = bisect_left(train, (plane, ""))
    nearest = [
        Neighbours(sample.key, key, abs(train_plane - plane))
        for train_plane, key in train[max(0, index - 1) : index + 1]
    ]
    return min(nearest, key=lambda pair: pair.gap, default=None)


def _exposure(train: Catalog, name: str) -> ClassExposure:
    areas = [area for s in train.samples if (area := (s.areas or {}).get(name, 0))]
    return ClassExposure(name, name in train.classes, len(areas), sum(areas))


def _line(title: str, items: list[str] | tuple[str, ...]) -> str:
    return f"{title}: {len(items)} ({shorten(items, 6)})" if items else f"{title}: none"
