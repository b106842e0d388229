"""A predictor on the cases of `episodes.protocols.few_images`: Dice of every query and class."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from episodes.io.pixels import IGNORE
from episodes.io.read import planes_of
from episodes.sampling.episode import Plan
from fewshot.evaluation.confusion_counts import GroundTruth
from fewshot.inference.inputs import ImageStack
from fewshot.inference.support_set import SupportSet
from fewshot.metrics.overlap import confusion_matrix, dice


@dataclass(frozen=True)
class QueryScore:
    """How one query was segmented.

    Attributes:
        query: key of the image.
        subject: of the image.
        dice: of each class of the case, 0 to 1; NaN where truth and prediction have none of it.
        expected: the Dice that the predictor expects, 0 to 1; None where it expects none.
        seconds: of segmenting.
    """

    query: str
    subject: str
    dice: tuple[float, ...]
    expected: float | None
    seconds: float

    @property
    def mean(self) -> float:
        """Mean over the classes that are defined; NaN without one."""
        known = [value for value in self.dice if value == value]
        return float(np.mean(known)) if known else float("nan")


@dataclass(frozen=True)
class CaseScore:
    """How the queries of one case were segmented.

    Attributes:
        classes: of the case.
        queries: one score a query.
        learn_seconds: of learning.
    """

    classes: tuple[str, ...]
    queries: tuple[QueryScore, ...]
    learn_seconds: float


def score_case(predictor: Any, plan: Plan, truth: GroundTruth) -> CaseScore:
    """Learn the annotated images of a case and segment its queries, each at its own size.

    Args:
        predictor: see `fewshot.inference.predictors.base.Predictor`.
        plan: the same annotated images for all its classes, see `episodes.protocols.few_images`.
        truth: of the catalog.
    """
    keys = plan.support[0]
    support_set = SupportSet(
        tuple(image_of(truth, key) for key in keys),
        tuple(labels_of_classes(truth, key, plan.classes)[None] for key in keys),
        plan.classes,
        tuple(range(1, len(plan.classes) + 1)),
        ((0,),) * len(keys),
    )
    started = time.perf_counter()
    support = predictor.learn(support_set)
    learned = time.perf_counter() - started
    queries = []
    for key, subject in zip(plan.query, plan.query_subjects, strict=True):
        image = image_of(truth, key)
        started = time.perf_counter()
        result = predictor.segment(image, support)
        seconds = time.perf_counter() - started
        scores = dice_of_classes(
            result.labels[0], labels_of_classes(truth, key, plan.classes), len(plan.classes)
        )
        queries.append(QueryScore(key, subject, scores, result.expected_dice, seconds))
    return CaseScore(plan.classes, tuple(queries), learned)


def image_of(truth: GroundTruth, key: str) -> ImageStack:
    """Read an image, or a slice of a volume as a picture of its own."""
    image = truth.sample(key).image
    return ImageStack(planes_of(image.source)[image.plane or 0][None], key, key=key)


def labels_of_classes(truth: GroundTruth, key: str, classes: tuple[str, ...]) -> np.ndarray:
    """Number the classes of a case from 1: uint8 [height width]; others are background."""
    table = np.zeros(256, np.uint8)
    for way, name in enumerate(classes, 1):
        table[truth.catalog.classes.index(name) + 1] = way
    table[IGNORE] = IGNORE
    return table[truth.labels(key)]


def dice_of_classes(predicted: np.ndarray, truth: np.ndarray, ways: int) -> tuple[float, ...]:
    """Dice of every class; NaN where neither has a pixel of it.

    Args:
        predicted: labels [height width], 0 background, 1..ways.
        truth: as predicted, and 255 unknown, which counts nowhere.
        ways: how many classes.

    >>> dice_of_classes(np.array([[1, 1, 0, 3]]), np.array([[1, 0, 255, 0]]), 3)
    (0.6666666666666666, nan, 0.0)
    """
    known = truth != IGNORE
    table = confusion_matrix(predicted[known], truth[known], ways + 1, None)
    return tuple(dice(table)[1:].tolist())
