"""The annotated objects of each class and image, and the splitting that finds them best."""

from collections.abc import Sequence

import numpy as np

from episodes.io.pixels import IGNORE
from fewshot.inference.instances.make import spacing_of
from fewshot.inference.instances.search import Annotated, choose_splitting
from fewshot.inference.instances.sizes import ObjectSizes, measure_objects
from fewshot.inference.instances.splitting import SplitMethod, Splitting
from fewshot.inference.support_set import SupportSet
from fewshot.lazily import lazily

ndimage = lazily("scipy.ndimage")


def choose_splittings(
    method: SplitMethod,
    shots: SupportSet,
    sizes: Sequence[ObjectSizes],
    found: Sequence[np.ndarray],
    insides: Sequence[np.ndarray] | None = None,
    *,
    threshold: bool = False,
) -> tuple[tuple[Splitting, ...], float]:
    """Choose how the objects of each class are made, see `choose_splitting`.

    Args:
        method: of splitting.
        shots: annotated images.
        sizes: of the objects of each class.
        found: probabilities of each image [label depth height width].
        insides: of the insides of objects [depth height width], where those were learned.
        threshold: search this alone.

    Returns:
        The choice of each class, and the mean of their scores, 0 to 1.
    """
    classes = zip(objects_of_classes(shots), sizes, strict=True)
    each = [
        choose_splitting(
            method, _pairs(shots, found, insides, way, of_class), size, threshold=threshold
        )
        for way, (of_class, size) in enumerate(classes, 1)
    ]
    splittings, reached = zip(*each, strict=True)
    return splittings, float(np.mean(reached))


def sizes_of_classes(shots: SupportSet) -> tuple[ObjectSizes, ...]:
    """Measure the objects of each class."""
    numbered = shots.objects is not None
    return tuple(measure_objects(each, numbered) for each in objects_of_classes(shots))


def objects_of_classes(shots: SupportSet) -> list[list[np.ndarray]]:
    """List the objects of each class and image, int32 [depth height width]; 0 is none."""
    if shots.objects is not None:
        return [list(shots.objects)]
    return [
        [
            ndimage.label(found == way, np.ones((3, 3, 3)))[0].astype(np.int32)
            for found in shots.maps
        ]
        for way in range(1, len(shots.names) + 1)
    ]


def _pairs(
    shots: SupportSet,
    probabilities: Sequence[np.ndarray],
    insides: Sequence[np.ndarray] | None,
    way: int,
    numbers: Sequence[np.ndarray],
) -> list[Annotated]:
    """Pair the objects of a class with what was found, of images without the axis of depth."""
    found = []
    for place, (picture, known) in enumerate(zip(shots.pictures, shots.maps, strict=True)):
        first = 0 if len(known) == 1 else ...
        hidden = known == IGNORE
        inside = None if insides is None else np.where(hidden, 0, insides[place])[first]
        foreground = np.where(hidden, 0, probabilities[place][way])[first]
        image = picture.pixels[0] if len(known) == 1 else None
        spacing = spacing_of(picture)
        found.append(Annotated(numbers[place][first], foreground, inside, spacing, image))
    return found
