"""Annotated images, and those to be segmented, as tensors: fitted into the square."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from episodes.catalog.letterbox import Letterbox, intensity_range, to_tensor
from episodes.errors import DataError
from episodes.io.pixels import IGNORE
from episodes.sampling.episode import to_channels
from episodes.sampling.sampler import binary_mask
from fewshot.inference.inputs import ImageStack
from fewshot.inference.support_set import SupportSet

MAX_SHOTS = 512
"""More support planes than this are refused rather than thinned out in silence."""
CHUNK = 8
"""Planes that are made into tensors, and pass through the encoder, at once."""


def fit_masks(shots: SupportSet, size: int) -> UInt8[Tensor, "way shot height width"]:
    """Fit one binary mask (0, 1, 255 unknown) a way and annotated plane into the square.

    Raises:
        DataError: there are more than `MAX_SHOTS` annotated planes.
    """
    planes = sum(len(_marked(found)) for found in shots.maps)
    if planes > MAX_SHOTS:
        raise DataError(
            f"{planes} annotated planes; expected at most {MAX_SHOTS}. "
            "Leave some out, e.g. every second one"
        )
    labels = torch.stack(
        [
            letterbox_of(picture, size).fit_labels(torch.from_numpy(found[plane]))
            for picture, found in zip(shots.pictures, shots.maps, strict=True)
            for plane in _marked(found)
        ]
    )
    return torch.stack([binary_mask(labels, way) for way in range(1, len(shots.names) + 1)])


def fit_images(
    shots: SupportSet, size: int
) -> Iterator[Float[Tensor, "chunk channel height width"]]:
    """Fit the annotated planes themselves into the square, in chunks."""
    for picture, found in zip(shots.pictures, shots.maps, strict=True):
        yield from preprocess(picture, letterbox_of(picture, size), _marked(found))


def preprocess(
    picture: ImageStack, frame: Letterbox, planes: Sequence[int]
) -> Iterator[Float[Tensor, "chunk channel height width"]]:
    """Fit planes into the square, in chunks; all of them share the picture's intensity range."""
    limits = picture.limits or intensity_range(picture.pixels)
    for start in range(0, len(planes), CHUNK):
        chunk = [
            frame.fit_image(to_tensor(picture.pixels[plane], limits))
            for plane in planes[start : start + CHUNK]
        ]
        yield torch.stack([to_channels(image, 3) for image in chunk])


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


def _marked(found: np.ndarray) -> list[int]:
    """List the planes of label maps [depth height width] in which anything is marked."""
    return np.flatnonzero(((found > 0) & (found != IGNORE)).any(axis=(1, 2))).tolist()
