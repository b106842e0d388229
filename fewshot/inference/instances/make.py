"""From probabilities to the numbered objects of an image."""

import numpy as np

from fewshot.inference.inputs import ImageStack
from fewshot.inference.instances.learned import LearnedObjects, ObjectModel
from fewshot.inference.instances.splitting import Splitting, objects_of
from fewshot.inference.instances.value import Instances
from fewshot.inference.result import Segmentation
from fewshot.lazily import lazily

ndimage = lazily("scipy.ndimage")

_HUGE = 4  # times the large annotated objects


def spacing_of(picture: ImageStack) -> tuple[float, ...] | None:
    """Spacing of the axes of a volume, or of the two of an image; None where it is unknown."""
    if picture.geometry is None or not picture.geometry.declared:
        return None
    spacing = picture.geometry.plane_spacing
    return spacing if len(picture.pixels) > 1 else spacing[1:]


def make_instances(
    answer: Segmentation,
    insides: np.ndarray | None,
    learned: LearnedObjects,
    model: ObjectModel,
    doubt: str,
) -> Instances:
    """Make the objects of each class, numbered on from class to class."""
    chance = answer.probabilities.astype(np.float32)
    pixels = answer.source.pixels
    if pixels.min() == pixels.max():
        chance[1:] = 0  # nothing can be told apart
        doubt = doubt or f"{answer.source.name} has one intensity alone, so no object was sought"
    labels = np.zeros(chance.shape[1:], np.int32)
    classes: list[int] = []
    scores: list[np.ndarray] = []
    best = chance.argmax(axis=0)
    for way, splitting in enumerate(model.splittings, 1):
        foreground = chance[way]
        if len(learned.names) > 1:
            foreground = np.where(best == way, foreground, 0)  # a pixel is of one class
        found = _split(foreground, insides, splitting, answer.source)
        count = int(found.max())
        if count:
            means = ndimage.mean(foreground, found, np.arange(1, count + 1))
            scores.append(np.asarray(means))
        labels[found > 0] = found[found > 0] + len(classes)
        classes += [way] * count
    return Instances(
        labels,
        np.array(classes, np.int64),
        np.concatenate(scores) if scores else np.zeros(0),
        learned.names,
        learned.values,
        answer.source,
        doubt or _doubt_of(answer.source, labels, np.array(classes), model),
    )


def _split(
    foreground: np.ndarray,
    inside: np.ndarray | None,
    splitting: Splitting,
    source: ImageStack,
) -> np.ndarray:
    """Make objects of a volume, or of each plane of a stack without place."""
    spacing = spacing_of(source)
    if len(foreground) == 1:
        inner = None if inside is None else inside[0]
        return objects_of(foreground[0], inner, splitting, spacing, source.pixels[0])[None]
    return objects_of(foreground, inside, splitting, spacing)


def _doubt_of(
    source: ImageStack, labels: np.ndarray, classes: np.ndarray, model: ObjectModel
) -> str:
    """Say that objects are far larger than the annotated ones: likely some that were not split."""
    areas = np.bincount(labels.ravel(), minlength=len(classes) + 1)[1:]
    limits = np.array([_HUGE * sizes.large for sizes in model.sizes])
    huge = int((areas > limits[classes - 1]).sum()) if len(classes) else 0
    if not huge:
        return ""
    return (
        f"{huge} of {len(classes)} objects of {source.name} are more than {_HUGE} times as large "
        "as the large annotated ones; look at the overlay, they may be several"
    )
