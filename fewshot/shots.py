"""Annotated images as a segmenter takes them: pictures, label maps, and what the labels mean."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from episodes.catalog import IGNORE
from episodes.class_report import describe_classes
from episodes.episode import to_channels
from episodes.errors import DataError
from episodes.frame import Frame, intensity_range, to_tensor
from episodes.legend import UNKNOWN, Legend, parse_legend
from episodes.sampler import binary_mask
from fewshot.inputs import ImageLike, Planes, image_planes, mask_planes, settle_masks

MOST_SHOTS = 512
"""More support planes than this are refused rather than thinned out in silence."""
_CHUNK = 8  # planes that are made into tensors at once


@dataclass(frozen=True)
class Shots:
    """Annotated images and what their labels mean.

    Attributes:
        pictures: the images.
        maps: one label map [depth height width] a picture: 0 background, 1..way, 255 unknown.
        names: the class of each way.
        values: the number that stands for each way in mask files.
    """

    pictures: tuple[Planes, ...]
    maps: tuple[np.ndarray, ...]
    names: tuple[str, ...]
    values: tuple[int, ...]

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

    def apart(self) -> tuple["Shots", ...]:
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

    def labels(self, size: int) -> UInt8[Tensor, "shot height width"]:
        """Fit the label maps of the annotated planes into the square.

        Raises:
            DataError: there are more than `MOST_SHOTS`.
        """
        labels = [
            frame_of(picture, size).fit_labels(torch.from_numpy(found[plane]))
            for picture, found in zip(self.pictures, self.maps, strict=True)
            for plane in _marked(found)
        ]
        if len(labels) > MOST_SHOTS:
            raise DataError(
                f"{len(labels)} annotated planes; expected at most {MOST_SHOTS}. "
                "Leave some out, e.g. every second one"
            )
        return torch.stack(labels)

    def masks(self, size: int) -> UInt8[Tensor, "way shot height width"]:
        """Fit one binary mask (0, 1, 255 unknown) a way and annotated plane into the square."""
        labels = self.labels(size)
        return torch.stack([binary_mask(labels, way) for way in range(1, len(self.names) + 1)])

    def images(self, size: int) -> Iterator[Float[Tensor, "chunk channel height width"]]:
        """Fit the annotated planes themselves into the square, in chunks."""
        for picture, found in zip(self.pictures, self.maps, strict=True):
            yield from framed(picture, frame_of(picture, size), _marked(found))


def read_shots(
    images: ImageLike | Sequence[ImageLike],
    masks: ImageLike | Sequence[ImageLike],
    classes: Legend | Sequence[str] | None = None,
    *,
    ignore_affine: bool = False,
) -> Shots:
    """Read annotated images; see `Segmenter.learn` for the arguments.

    Raises:
        DataError: unreadable files, sizes that differ, masks that do not lie on their images, or
            without foreground.
    """
    pictures = [image_planes(image) for image in _listed(images)]
    listed = _listed(masks)
    partners = [*pictures, *[None] * len(listed)]  # numbers that differ are refused below
    drawings = [
        mask_planes(mask, partner, ignore_affine)
        for mask, partner in zip(listed, partners, strict=False)
    ]
    legend: Legend | None = None
    if classes is not None:
        named = {"instances": classes} if isinstance(classes, str) else _plain(classes)
        legend = parse_legend(named)
    maps, names, values = settle_masks(pictures, drawings, legend)
    return Shots(tuple(pictures), tuple(maps), names, values)


def framed(
    picture: Planes, frame: Frame, planes: Sequence[int]
) -> Iterator[Float[Tensor, "chunk channel height width"]]:
    """Fit planes into the square, in chunks; all of them share the picture's intensity range."""
    limits = intensity_range(picture.pixels)
    for start in range(0, len(planes), _CHUNK):
        chunk = [
            frame.fit_image(to_tensor(picture.pixels[plane], limits))
            for plane in planes[start : start + _CHUNK]
        ]
        yield torch.stack([to_channels(image, 3) for image in chunk])


def frame_of(picture: Planes, size: int) -> Frame:
    """How a picture's planes sit in the square."""
    return Frame(picture.pixels.shape[1], picture.pixels.shape[2], size)


def _marked(found: np.ndarray) -> list[int]:
    """List the planes of label maps [depth height width] in which anything is marked."""
    return np.flatnonzero(((found > 0) & (found != IGNORE)).any(axis=(1, 2))).tolist()


def _listed(items: ImageLike | Sequence[ImageLike]) -> list[ImageLike]:
    return list(items) if isinstance(items, (list, tuple)) else [items]  # type: ignore[list-item]


def _plain(classes: Legend | Sequence[str]) -> object:
    return dict(classes) if isinstance(classes, Mapping) else list(classes)
