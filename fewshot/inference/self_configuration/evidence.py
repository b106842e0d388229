"""What candidates reach on the annotated images themselves: the evidence for choosing among them.

Two kinds. *Changed copies* of an annotated image, in place, size, contrast and noise, as other
images of its kind differ: a candidate that depends on exact intensities fails there; but detail
is repeated, which favours fine features. *Disjoint parts*: learning from one half of the image, or
from all other images, and segmenting what was left out: nothing is repeated, but a single structure
cannot be left out.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Int, UInt8
from torch import Tensor
from torch.nn import functional

from episodes.io.pixels import IGNORE
from fewshot.inference.inputs import ImageStack
from fewshot.inference.self_configuration.candidates import Candidate, Fitted
from fewshot.inference.self_configuration.views import Shot, View
from fewshot.lazily import lazily
from fewshot.metrics.overlap import confusion_matrix
from fewshot.metrics.overlap import dice as class_dice

intensity = lazily("episodes.augmentation.intensity")  # these import SciPy
spatial = lazily("episodes.augmentation.spatial")

Task = tuple[tuple[Shot, ...], Shot]
"""Shots to learn from, and one to be segmented."""
_COPIES, _HALVES = 2, 1
_GAIN, _OFFSET = 0.2, 0.08  # largest, of each channel
_SHARE = 0.15  # of every class, that both halves have to show
_SIDE = 512  # of the copies, in pixels, at most


def changed_copies(shots: Sequence[Shot], seed: int = 0) -> Iterator[Shot]:
    """Change annotated planes as other images of their kind differ."""
    generator = np.random.default_rng(seed)
    for number in range(_COPIES):
        shot = shots[number % len(shots)]
        image, labels = _at_most(shot, _SIDE)
        for change in _changes():
            image, labels = change(image, labels, generator)
        size = (len(image), 1, 1)
        gain = torch.from_numpy(1 + _GAIN * generator.uniform(-1, 1, size)).float()
        offset = torch.from_numpy(_OFFSET * generator.uniform(-1, 1, size)).float()
        yield Shot(_view(shot.view.picture, (image * gain + offset).clamp(0, 1)), labels)


def disjoint_parts(shots: Sequence[Shot], way: int) -> Iterator[Task]:
    """Leave one image out of several, or a half of a single one, where both halves show all."""
    if len(shots) > 1:
        yield tuple(shots[1:]), shots[0]
        return
    shot, found = shots[0], 0
    for axis in (0, 1):
        first, second = _halves(shot.labels, axis)
        for known, left_out in ((first, second), (second, first)):
            if found < _HALVES and _shows(known, left_out, shot.labels, way):
                found += 1
                yield (replace(shot, labels=known),), replace(shot, labels=left_out)


def scores(
    candidates: Mapping[str, Candidate],
    fitted: Mapping[str, Fitted],
    shots: Sequence[Shot],
    way: int,
    done: Callable[[], object] = lambda: None,
) -> tuple[dict[str, float], dict[str, float]]:
    """Measure the Dice of every candidate on changed copies, and on disjoint parts.

    Args:
        candidates: by name.
        fitted: the same, having learned all shots.
        shots: annotated planes.
        way: number of classes.
        done: called after each candidate.

    Returns:
        Mean Dice, 0 to 1, by name; NaN where there is nothing to measure it on.
    """
    copies = list(changed_copies(shots))
    parts = list(disjoint_parts(shots, way))
    on_copies, on_parts = {}, {}
    for name, candidate in candidates.items():
        on_copies[name] = _mean(dice(fitted[name], copy, way) for copy in copies)
        on_parts[name] = _mean(
            dice(candidate.fit(known, way), left_out, way) for known, left_out in parts
        )
        done()
    return on_copies, on_parts


def dice(fitted: Fitted, shot: Shot, way: int) -> float:
    """Mean Dice over the classes that a plane shows, unknown pixels aside; NaN where there is none.

    Args:
        fitted: a candidate.
        shot: to be segmented.
        way: number of classes.
    """
    odds = fitted.log_odds(shot.view).float()
    truth = shot.labels_at(odds.shape[1:])
    known = truth != IGNORE
    table = confusion_matrix(labels_of(odds).numpy()[known], truth[known], way + 1, None)
    return _mean(class_dice(table)[1:][table[1:].any(axis=1)])


def labels_of(odds: Tensor) -> Int[Tensor, "rows columns"]:
    """Take the class of the highest log odds, and background where none is above 0."""
    best, label = odds.max(dim=0)
    return torch.where(best > 0, label + 1, 0)


def _changes() -> tuple[Any, ...]:
    return (
        spatial.Warp(
            spatial.Affine(15.0, 0.06, 5.0, (0.8, 1.25)), spatial.Elastic(alpha=480.0, sigma=16.0)
        ),
        intensity.Gamma((2 / 3, 3 / 2)),
        intensity.GaussianNoise(0.04),
    )


def _at_most(shot: Shot, side: int) -> tuple[Tensor, UInt8[Tensor, "height width"]]:
    """Image and labels, scaled down to a longest side."""
    image, labels = shot.view.image, shot.labels
    scale = side / max(labels.shape)
    if scale >= 1:
        return image, labels
    shape = [max(1, round(each * scale)) for each in labels.shape]
    image = functional.interpolate(image[None], size=shape, mode="bilinear", antialias=True)[0]
    return image, torch.from_numpy(shot.labels_at(shape))


def _view(picture: ImageStack, image: Tensor) -> View:
    pixels = image[0] if len(image) == 1 else image.movedim(0, -1)
    copy = ImageStack(pixels.contiguous().numpy()[None], picture.name, limits=(0.0, 1.0))
    return View(copy)


def _halves(labels: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Labels of either half, the other half unknown."""
    middle = labels.shape[axis] // 2
    first, second = labels.clone(), labels.clone()
    first.narrow(axis, middle, labels.shape[axis] - middle).fill_(IGNORE)
    second.narrow(axis, 0, middle).fill_(IGNORE)
    return first, second


def _shows(known: Tensor, left_out: Tensor, labels: Tensor, way: int) -> bool:
    """Whether both halves show enough of every class, and the learned one some background."""
    return bool((known == 0).any()) and all(
        float((half == label).sum()) >= _SHARE * float((labels == label).sum()) > 0
        for half in (known, left_out)
        for label in range(1, way + 1)
    )


def _mean(values: Iterable[float]) -> float:
    found = [value for value in values if not np.isnan(value)]
    return float(np.mean(found)) if found else float("nan")
