"""Answers on annotated images by a segmenter that did not learn them."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from episodes.io.pixels import IGNORE
from fewshot.inference.instances.look import groups_of
from fewshot.inference.predictors.base import Predictor
from fewshot.inference.result import Segmentation
from fewshot.inference.support_set import SupportSet

FOLDS = 2
ENOUGH = 24
"""Annotated images on which a few numbers are chosen; more of them are learned, not segmented."""


def relearn(predictor: Predictor[Any], shots: SupportSet, support: Any) -> Any:
    """Learn annotated images; a predictor that chose its methods already does not choose again.

    Args:
        predictor: may have a method `relearn`.
        shots: annotated images.
        support: what it learned of others, or None.
    """
    again = getattr(predictor, "relearn", None)
    return predictor.learn(shots) if again is None or support is None else again(shots, support)


def held_out_probabilities(
    predictor: Predictor[Any], shots: SupportSet, support: Any = None
) -> list[np.ndarray]:
    """Segment each annotated image with what was learned from the others.

    Of several images every second one is left out, of a single one a half; of a volume nothing is.

    Args:
        predictor: learns anew for each part.
        shots: annotated images.
        support: what it learned of all of them, see `relearn`.

    Returns:
        Probabilities of each image, float32 [label depth height width].
    """
    found: list[np.ndarray | None] = [None] * len(shots.pictures)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of parts that show few labels; the whole was checked
        for learned, tested in _parts(shots):
            model = relearn(predictor, learned, support)
            for place, where in tested:
                answer = _probabilities(predictor.segment(shots.pictures[place], model))
                before = found[place]
                found[place] = answer if before is None else np.where(where, answer, before)
    return [each for each in found if each is not None]


def _parts(shots: SupportSet) -> Iterator[tuple[SupportSet, list[tuple[int, np.ndarray]]]]:
    """What is learned each time, and the images, and pixels of them, that are segmented with it."""
    count = len(shots.pictures)
    every = [(place, np.ones(found.shape, bool)) for place, found in enumerate(shots.maps)]
    if count > 1:
        for fold in range(FOLDS):
            rest = [place for place in range(count) if place % FOLDS != fold]
            part = subset(shots, rest)
            if not _shows_all(part):
                yield shots, every
                return
            yield part, every[fold::FOLDS]
        return
    halves = _halves(shots)
    if not halves:
        yield shots, every
    for tested in halves:
        maps = (np.where(tested, np.uint8(IGNORE), shots.maps[0]),)
        yield replace(shots, maps=maps), [(0, tested)]


def _halves(shots: SupportSet) -> list[np.ndarray]:
    """Two halves of one image that both show every label; none where there are no such."""
    (labels,) = shots.maps
    if len(labels) > 1:
        return []
    for axis in np.argsort(labels.shape[1:])[::-1] + 1:
        first = np.zeros(labels.shape, bool)
        first[(slice(None),) * axis + (slice(labels.shape[axis] // 2),)] = True
        labels_of = [set(np.unique(labels[half])) - {IGNORE} for half in (first, ~first)]
        if labels_of[0] == labels_of[1] and len(labels_of[0]) == len(shots.names) + 1:
            return [first, ~first]
    return []


def parts_by_look(shots: SupportSet) -> dict[str, SupportSet]:
    """Part annotated images by their look; those of several classes stay together."""
    groups = groups_of(shots.pictures)
    if len(groups) == 1 or len(shots.names) > 1:
        return {next(iter(groups)): shots}
    return {look: subset(shots, places) for look, places in groups.items()}


def enough(shots: SupportSet) -> SupportSet:
    """Keep `ENOUGH` annotated images at most, taken evenly."""
    count = len(shots.pictures)
    return shots if count <= ENOUGH else subset(shots, range(0, count, -(-count // ENOUGH)))


def subset(shots: SupportSet, places: Sequence[int]) -> SupportSet:
    """Keep some of the annotated images, with their objects."""
    return replace(
        shots,
        pictures=tuple(shots.pictures[place] for place in places),
        maps=tuple(shots.maps[place] for place in places),
        objects=shots.objects and tuple(shots.objects[place] for place in places),
        annotated=shots.annotated and tuple(shots.annotated[place] for place in places),
    )


def _shows_all(shots: SupportSet) -> bool:
    shown = set().union(*(np.unique(found).tolist() for found in shots.maps))
    return set(range(len(shots.names) + 1)) <= shown


def _probabilities(answer: Segmentation) -> np.ndarray:
    return answer.probabilities.astype(np.float32)
