"""Annotated images, and those to be segmented, as tensors: fitted into the square."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from weakref import WeakKeyDictionary

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor
from torch.nn import functional

from episodes.catalog.letterbox import Letterbox, intensity_range, to_tensor
from episodes.errors import DataError
from episodes.sampling.episode import to_channels
from episodes.sampling.sampler import binary_mask
from fewshot.inference.inputs import ImageStack
from fewshot.inference.support_set import SupportSet

MAX_SHOTS = 512
"""More support planes than this are refused rather than thinned out in silence."""
_ranges: WeakKeyDictionary[ImageStack, tuple[float, float]] = WeakKeyDictionary()

CHUNK = 8
"""Planes that are made into tensors, and pass through the encoder, at once."""


def fit_masks(shots: SupportSet, size: int) -> UInt8[Tensor, "way shot height width"]:
    """Fit one binary mask (0, 1, 255 unknown) a way and annotated plane into the square.

    Raises:
        DataError: there are more than `MAX_SHOTS` annotated planes.
    """
    planes = sum(map(len, shots.annotated_planes()))
    if planes > MAX_SHOTS:
        raise DataError(
            f"{planes} annotated planes; expected at most {MAX_SHOTS}. "
            "Leave some out, e.g. every second one"
        )
    labels = torch.stack(
        [
            letterbox_of(picture, size).fit_labels(torch.from_numpy(found[plane]))
            for picture, found, annotated in zip(
                shots.pictures, shots.maps, shots.annotated_planes(), strict=True
            )
            for plane in annotated
        ]
    )
    return torch.stack([binary_mask(labels, way) for way in range(1, len(shots.names) + 1)])


def fit_images(
    shots: SupportSet, size: int
) -> Iterator[Float[Tensor, "chunk channel height width"]]:
    """Fit the annotated planes themselves into the square, in chunks."""
    for picture, annotated in zip(shots.pictures, shots.annotated_planes(), strict=True):
        yield from preprocess(picture, letterbox_of(picture, size), annotated)


def preprocess(
    picture: ImageStack, frame: Letterbox, planes: Sequence[int]
) -> Iterator[Float[Tensor, "chunk channel height width"]]:
    """Fit planes into the square, in chunks; all of them share the picture's intensity range."""
    for start in range(0, len(planes), CHUNK):
        chunk = [
            frame.fit_image(to_tensor(picture.pixels[plane], limits_of(picture, plane)))
            for plane in planes[start : start + CHUNK]
        ]
        yield torch.stack([to_channels(image, 3) for image in chunk])


def limits_of(picture: ImageStack, plane: int) -> tuple[float, float]:
    """Return the intensities that become 0 and 1 in a plane: by default those of all planes."""
    known = picture.limits
    if known is None:
        if picture not in _ranges:
            _ranges[picture] = intensity_range(picture.pixels)
        return _ranges[picture]
    low, high = known[plane] if isinstance(known[0], tuple) else known
    return low, high


def only_selected(picture: ImageStack) -> ImageStack:
    """Leave the planes out that are not selected; intensities stay those of the whole."""
    if picture.selected is None:
        return picture
    if picture.selected == tuple(range(len(picture.pixels))):
        return replace(picture, selected=None)
    limits = tuple(limits_of(picture, plane) for plane in picture.selected)
    part = replace(picture.with_pixels(picture.pixels[list(picture.selected)]), limits=limits)
    return part if len(picture.selected) == len(picture.pixels) else replace(part, geometry=None)


def has_colour(pixels: np.ndarray) -> bool:
    """Whether three channels differ anywhere in planes [... height width 3] or [... height width].

    >>> has_colour(np.zeros((4, 4, 3))), has_colour(np.eye(3)[None])
    (False, True)
    """
    if pixels.shape[-1] != 3:
        return False
    return bool((pixels != pixels[..., :1]).any())


def nearest_labels(labels: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Bring labels [height width] to another size; of what would be lost, places are kept.

    >>> nearest_labels(np.diag([0, 1, 0, 0]).astype(np.uint8), (2, 2))
    array([[1, 0],
           [0, 0]], dtype=uint8)
    """
    if labels.shape == shape:
        return labels
    found = functional.interpolate(
        torch.from_numpy(labels)[None, None], size=shape, mode="nearest-exact"
    )[0, 0].numpy()
    for label in np.setdiff1d(labels, found):
        places = np.nonzero(labels == label)
        scaled = (
            index * new // old for index, new, old in zip(places, shape, labels.shape, strict=True)
        )
        found[tuple(scaled)] = label
    return found


def letterbox_of(picture: ImageStack, size: int) -> Letterbox:
    """How a picture's planes sit in the square."""
    return Letterbox(picture.pixels.shape[1], picture.pixels.shape[2], size)


def inside_of(frame: Letterbox) -> Bool[Tensor, "size size"]:
    """Where a picture lies in its square; the rest is padding."""
    high, wide = frame.inner
    left, _, top, _ = frame.padding
    inside = torch.zeros(frame.size, frame.size, dtype=torch.bool)
    inside[top : top + high, left : left + wide] = True
    return inside
