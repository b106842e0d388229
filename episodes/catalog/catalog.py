"""The catalog of a data set: images, classes, subjects and sizes, without pixels."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from episodes.errors import DataError, shorten
from episodes.io.pixels import MaskRef, PixelRef


@dataclass(frozen=True, slots=True)
class Sample:
    """One image, or one slice of a volume, with its annotation.

    Attributes:
        key: unique in its catalog and stable across machines, e.g. `image_1.nii.gz#12`.
        image: where the pixels are.
        masks: where the annotations are; none for an image that is not annotated.
        subject: the patient or specimen; the unit of splitting and of statistics.
        size: (height, width) in pixels, from the header.
        areas: number of pixels of each class; None before `compute_class_areas`.
    """

    key: str
    image: PixelRef
    masks: tuple[MaskRef, ...]
    subject: str
    size: tuple[int, int]
    areas: Mapping[str, int] | None = None


@dataclass(frozen=True)
class Catalog:
    """Samples and the classes that may be drawn from them.

    Pixels of a class that is in the masks but not in `classes` are background, as unlabelled novel
    organs are in the published protocols. `notes` are the reader's remarks, `layout` is its name.
    """

    samples: tuple[Sample, ...]
    classes: tuple[str, ...]
    name: str = "catalog"
    notes: tuple[str, ...] = field(default=(), compare=False)
    layout: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        repeated = [key for key, n in Counter(s.key for s in self.samples).items() if n > 1]
        if repeated:
            raise DataError(
                f"catalog {self.name!r} has the same key twice: {shorten(repeated)}; "
                "every sample needs a key of its own"
            )

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def subjects(self) -> tuple[str, ...]:
        """The subjects, sorted."""
        return tuple(sorted({sample.subject for sample in self.samples}))

    @property
    def has_areas(self) -> bool:
        """Whether every sample has class areas."""
        return all(sample.areas is not None for sample in self.samples)

    @property
    def fingerprint(self) -> str:
        """A hash over keys, subjects, sizes and areas: equal data, equal fingerprint."""
        rows = [
            [s.key, s.subject, list(s.size), sorted((s.areas or {}).items())] for s in self.samples
        ]
        text = json.dumps([list(self.classes), rows], separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def filter(self, keep: Callable[[Sample], bool]) -> "Catalog":
        """Keep the samples for which `keep` is true."""
        return replace(self, samples=tuple(s for s in self.samples if keep(s)))

    def of_subjects(self, subjects: Iterable[str]) -> "Catalog":
        """Keep the samples of these subjects; an unknown subject is an error."""
        requested = dict.fromkeys(subjects)  # in the order of the call, for the message
        self._require_names("subject", requested, self.subjects)
        return self.filter(lambda sample: sample.subject in requested)

    def of_classes(self, classes: Iterable[str]) -> "Catalog":
        """Keep these classes; the pixels of all others become background."""
        requested = tuple(dict.fromkeys(classes))
        self._require_names("class", requested, self.classes)
        return replace(self, classes=requested)

    def showing(self, classes: Iterable[str], min_area: int = 1) -> "Catalog":
        """Keep the samples that show at least `min_area` pixels of any of these classes."""
        requested = set(classes)
        self._require_names("class", requested, self.classes)
        self.require_areas()
        return self.filter(
            lambda sample: any((sample.areas or {}).get(c, 0) >= min_area for c in requested)
        )

    def without_samples_of(self, classes: Iterable[str]) -> "Catalog":
        """Drop every sample that shows any of these classes, labelled or not."""
        excluded = set(classes)
        self.require_areas()
        return self.filter(lambda sample: not any((sample.areas or {}).get(c) for c in excluded))

    def require_areas(self) -> None:
        """Raise unless every sample has class areas."""
        if not self.has_areas:
            raise DataError(
                f"catalog {self.name!r} has no class areas, so which image shows which class is "
                "unknown; call episodes.compute_class_areas(catalog) first"
            )

    def require_masks(self, purpose: str) -> None:
        """Raise where no image has a mask.

        Args:
            purpose: what needs masks, for the message.

        Raises:
            DataError: none has.
        """
        if not any(sample.masks for sample in self.samples):
            raise DataError(
                f"{self.name} holds {len(self)} pictures without masks; {purpose} needs masks.\n"
                "With masks: images/ and masks/ with files of the same names, or a.png beside "
                "a_mask.png. Without: `fewshot train` from superpixels (its default here), and "
                "`fewshot match train`, `score` and `build` with --identity subject"
            )

    def __add__(self, other: "Catalog") -> "Catalog":
        """Join two catalogs; the catalogs' names become prefixes of keys and subjects."""
        if self.name == other.name:
            raise DataError(
                f"both catalogs are called {self.name!r}; give one another name with "
                "dataclasses.replace(catalog, name=...), so that their subjects stay distinct"
            )

        def renamed(catalog: Catalog) -> list[Sample]:
            name = catalog.name
            return [
                replace(s, key=f"{name}/{s.key}", subject=f"{name}/{s.subject}")
                for s in catalog.samples
            ]

        return Catalog(
            samples=(*renamed(self), *renamed(other)),
            classes=tuple(dict.fromkeys((*self.classes, *other.classes))),
            name=f"{self.name}+{other.name}",
            notes=(*self.notes, *other.notes),
        )

    def _require_names(self, kind: str, names: Iterable[str], known: tuple[str, ...]) -> None:
        present = set(known)
        missing = [name for name in names if name not in present]
        if missing:
            raise DataError(
                f"catalog {self.name!r} has no {kind} {shorten(map(repr, missing))}; "
                f"it has {shorten(known, 20)}"
            )
