"""Annotated images as they are read: pictures, label maps, and what the labels mean.

No torch is imported here, so that wrong files and masks are refused at once;
`fewshot.inference.preprocess` makes tensors of them.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from episodes.catalog.class_report import describe_classes
from episodes.errors import DataError, shorten
from episodes.io.axes import Reading
from episodes.io.pixels import IGNORE
from episodes.masks.label_map import UNKNOWN, LabelMap, parse_label_map
from episodes.masks.numbered_objects import numbers_objects
from fewshot.inference.inputs import ImageLike, ImageStack, image_planes, mask_planes, settle_masks

OBJECT = "object"
"""The class of numbered objects that have no name."""


@dataclass(frozen=True, eq=False)
class SupportSet:
    """Annotated images and what their labels mean.

    Attributes:
        pictures: the images.
        maps: one label image [depth height width] a picture: 0 background, 1..way, 255 unknown.
        names: the class of each way.
        values: the number that stands for each way in mask files.
        annotated: the planes of each picture whose labels are complete, background included; by
            default those in which a class is marked.
        objects: the numbered objects of each picture, int32 [depth height width], where the masks
            number objects of one class; else None.
    """

    pictures: tuple[ImageStack, ...]
    maps: tuple[np.ndarray, ...]
    names: tuple[str, ...]
    values: tuple[int, ...]
    annotated: tuple[tuple[int, ...], ...] | None = None
    objects: tuple[np.ndarray, ...] | None = None

    def annotated_planes(self) -> tuple[tuple[int, ...], ...]:
        """List the annotated planes of each picture."""
        if self.annotated is not None:
            return self.annotated
        return tuple(
            tuple(np.flatnonzero(((found > 0) & (found != IGNORE)).any(axis=(1, 2))).tolist())
            for found in self.maps
        )

    def of_class(self, way: int) -> "SupportSet":
        """Keep one class, counted from 1; all others become background."""
        tables = np.zeros(256, np.uint8)
        tables[way], tables[IGNORE] = 1, IGNORE
        maps = tuple(tables[found] for found in self.maps)
        return replace(
            self, maps=maps, names=self.names[way - 1 :][:1], values=self.values[way - 1 :][:1]
        )

    def describe(self) -> str:
        """Tell in one line which classes the masks show, with their areas."""
        ways = {name: way for way, name in enumerate(self.names, 1)}
        held = [(found == IGNORE).sum() for found in self.maps]
        ways |= {UNKNOWN: IGNORE} if any(held) else {}
        counts = {
            name: [int((found == way).sum()) for found in self.maps] for name, way in ways.items()
        }
        return describe_classes(
            {name: sum(each) for name, each in counts.items()},
            {name: sum(map(bool, each)) for name, each in counts.items()},
            sum(found.size for found in self.maps),
            len(self.maps),
            [dict(zip(self.values, self.names, strict=True))],
        )

    def axes(self) -> list[str]:
        """Tell how the axes of stacks and arrays were read, in a line each."""
        return [words for picture in self.pictures if (words := picture.describe())]

    def split(self) -> tuple["SupportSet", ...]:
        """Each picture by itself.

        Raises:
            DataError: a picture does not show every class, so its labels would mean another.
        """
        parts = [
            replace(self, pictures=(picture,), maps=(found,))
            for picture, found in zip(self.pictures, self.maps, strict=True)
        ]
        for part in parts:
            missing = [n for way, n in enumerate(self.names, 1) if not (part.maps[0] == way).any()]
            if missing:
                raise DataError(
                    f"{part.pictures[0].name} does not show {', '.join(missing)}; supports whose "
                    "answers are fused have to show every class. Learn them together instead"
                )
        return tuple(parts)


def warn_of_one_label(support_set: SupportSet) -> None:
    """Warn where nothing can be told apart: all that is known has one label."""
    known = np.unique(np.concatenate([np.unique(found) for found in support_set.maps]))
    known = known[known != IGNORE]
    if len(known) == 1:
        label = "background" if known[0] == 0 else support_set.names[known[0] - 1]
        names = shorten(picture.name for picture in support_set.pictures)
        warnings.warn(
            f"all that is known of {names} is {label}, so every pixel will be; mark what is not "
            f"{label}, too",
            stacklevel=3,
        )


def read_support_set(
    images: ImageLike | Sequence[ImageLike],
    masks: ImageLike | Sequence[ImageLike],
    classes: LabelMap | Sequence[str] | None = None,
    *,
    ignore_affine: bool = False,
    reading: Reading | None = None,
    instances: bool = False,
) -> SupportSet:
    """Read annotated images; see `Segmenter.learn` for the arguments.

    Masks without names in which eight values at least are one blob each, as programs number
    objects, are read as objects of one class; with `instances` four values are enough.

    Raises:
        DataError: unreadable files, sizes that differ, masks that do not lie on their images, or
            without foreground.
    """
    pictures = [image_planes(image, reading) for image in _listed(images)]
    listed = _listed(masks)
    partners = [*pictures, *[None] * len(listed)]  # numbers that differ are refused below
    drawings = [
        mask_planes(mask, partner, ignore_affine, reading)
        for mask, partner in zip(listed, partners, strict=False)
    ]
    label_map: LabelMap | None = None
    if classes is not None:
        named = {"instances": classes} if isinstance(classes, str) else _plain(classes)
        label_map = parse_label_map(named)
    numbers = [drawn.planes.pixels for drawn in drawings]
    if label_map is None and numbers_objects(numbers, 4 if instances else 8, strict=not instances):
        label_map = OBJECT
        held = len(np.unique(np.concatenate([np.unique(each) for each in numbers]))) - 1
        warnings.warn(
            f"the masks hold {held} values, each of one blob: they were read as numbered objects "
            f'of one class, "{OBJECT}"; name it, or the classes, with --classes',
            stacklevel=3,
        )
    maps, names, values = settle_masks(pictures, drawings, label_map)
    objects = None
    if isinstance(label_map, str) and numbers_objects(numbers, 2, strict=False):
        objects = tuple(np.where(each < 2**31, each, 0).astype(np.int32) for each in numbers)
    return SupportSet(tuple(pictures), tuple(maps), names, values, objects=objects)


def _listed(items: ImageLike | Sequence[ImageLike]) -> list[ImageLike]:
    return list(items) if isinstance(items, (list, tuple)) else [items]  # type: ignore[list-item]


def _plain(classes: LabelMap | Sequence[str]) -> object:
    return dict(classes) if isinstance(classes, Mapping) else list(classes)
