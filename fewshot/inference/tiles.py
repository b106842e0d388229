"""Segment an image of many fields of view in overlapping parts of the annotated images' size.

Every part is compared at the magnification of the annotated images, and their probabilities are
joined by a mean whose weights fall to the rims of the parts, where structures are cut. All parts
share the intensity range of the whole image, so that an empty part stays empty.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch

from episodes.catalog.letterbox import intensity_range
from episodes.errors import ModelError
from fewshot.inference.inputs import ImageStack
from fewshot.inference.magnification import fields_along
from fewshot.inference.postprocessing.settings import PostprocessSettings
from fewshot.inference.result import Segmentation
from fewshot.inference.segment_stack import segment_stack
from fewshot.inference.settings import Ensemble
from fewshot.models.heads import Support
from fewshot.models.network import FewShotNetwork

_OVERLAP = 0.25  # of a part's side, with its neighbours
_HARDLY = 1.5  # fields along the longest side, up to which an image is segmented whole


def segment_tiles(
    network: FewShotNetwork,
    picture: ImageStack,
    supports: Sequence[Support],
    settings: PostprocessSettings,
    how: Ensemble,
) -> Segmentation:
    """Segment an image in parts; one that is hardly larger than the annotated ones, whole.

    Volumes are cut in their planes alone: every part has all of them.

    Args:
        network: which learned the supports.
        picture: to be segmented.
        supports: learned.
        settings: cues that improve the answer of every part.
        how: answers of several supports become one.

    Raises:
        ModelError: an earlier version learned the supports; or a cue needs the whole picture.
    """
    _check(network, supports, settings)
    height, width = picture.pixels.shape[1:3]
    fields = min(fields_along(s.annotated, picture)[0] for s in supports if s.annotated)
    side = max(1, round(max(height, width) / fields))
    network.eval()
    if fields <= _HARDLY:
        with torch.inference_mode():
            return segment_stack(network, picture, supports, settings, how, True)

    def segment(part: ImageStack) -> Segmentation:
        with torch.inference_mode():
            return segment_stack(network, part, supports, settings, how, True)

    return join_tiles(picture, side, segment)


def join_tiles(
    picture: ImageStack, side: int, segment: Callable[[ImageStack], Segmentation]
) -> Segmentation:
    """Segment an image in overlapping parts and average their probabilities.

    Args:
        picture: to be segmented; a volume is cut in its planes alone.
        side: of the parts, in pixels.
        segment: one part, whose intensity range is that of the whole.
    """
    limits = intensity_range(picture.pixels)
    height, width = picture.pixels.shape[1:3]
    weights = np.zeros((height, width), np.float32)
    sums = np.zeros((0, *picture.pixels.shape[:3]), np.float32)
    results: list[tuple[Segmentation, float]] = []
    for rows, columns in parts(height, width, side):
        pixels = picture.pixels[:, rows, columns]
        result = segment(replace(picture.with_pixels(pixels), limits=limits))
        if not len(sums):
            sums = np.zeros((len(result.probabilities), *picture.pixels.shape[:3]), np.float32)
        weight = np.outer(*(ramp(each) for each in pixels.shape[1:3]))
        sums[..., rows, columns] += result.probabilities * weight
        weights[rows, columns] += weight
        found = float((result.labels > 0).sum()) + 1e-3
        nothing = np.zeros((0, 0, 0), np.uint8)  # the planes are in the sums
        results.append((replace(result, labels=nothing, probabilities=nothing), found))
    probabilities = (sums / weights).astype(np.float16)
    return replace(
        results[0][0],
        labels=probabilities.argmax(axis=0).astype(np.uint8),
        probabilities=probabilities,
        source=picture,
        query_support_similarity=mean_of_known(
            [(one.query_support_similarity, area) for one, area in results]
        ),
        expected_dice=mean_of_known([(one.expected_dice, area) for one, area in results]),
    )


def mean_of_known(found: Sequence[tuple[float | None, float]]) -> float | None:
    """Average what is known of parts, weighted by what was found in them."""
    known = [(value, area) for value, area in found if value is not None]
    if not known:
        return None
    values, areas = zip(*known, strict=True)
    return float(np.average(values, weights=areas))


def parts(height: int, width: int, side: int) -> Iterator[tuple[slice, slice]]:
    """Cover an image with parts of one size that overlap by a quarter or more.

    >>> list(parts(4, 7, 4))
    [(slice(0, 4, None), slice(0, 4, None)), (slice(0, 4, None), slice(3, 7, None))]
    """
    return itertools.product(_starts(height, side), _starts(width, side))


def _starts(length: int, side: int) -> list[slice]:
    if length <= side:
        return [slice(0, length)]
    count = 1 + int(np.ceil((length - side) / max(1, side * (1 - _OVERLAP))))
    starts = np.linspace(0, length - side, count).round().astype(int).tolist()
    return [slice(start, start + side) for start in starts]


def ramp(length: int) -> np.ndarray:
    """Weights along a side: 1 inside, falling over the overlap towards both ends."""
    away = np.minimum(np.arange(1, length + 1), np.arange(length, 0, -1))
    return np.minimum(1.0, away / max(1.0, _OVERLAP * length)).astype(np.float32)


def _check(
    network: FewShotNetwork, supports: Sequence[Support], settings: PostprocessSettings
) -> None:
    if not supports:
        raise ModelError("no support; learn one from an annotated image first")
    if any(support.annotated is None for support in supports):
        raise ModelError(
            "an earlier version learned the support, and it does not hold the size of the "
            "annotated images, of which tiles are; learn it again"
        )
    whole = {
        "keep": settings.keep != "all",
        "fill": bool(settings.fill),
        "proximity": bool(settings.proximity),
        "coordinates": bool(network.settings.coordinates),
    }
    asked = [name for name, given in whole.items() if given]
    if asked:
        raise ModelError(
            f"tiles are segmented each by itself, and {', '.join(asked)} needs the whole picture; "
            "leave out one of them"
        )
