"""The best threshold of one smoothed channel, fitted on the annotated images, or Otsu's."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from episodes.io.pixels import IGNORE
from fewshot.baselines.channels import LEVELS, channel_views, quantised, view_name
from fewshot.baselines.image_predictor import (
    Fitted,
    ImagePredictor,
    enlarge,
    image_at,
    training_images,
)
from fewshot.baselines.search import Chosen
from fewshot.inference.inputs import ImageStack
from fewshot.inference.predictors.build import register_predictor
from fewshot.inference.predictors.feature_predictor import AnnotatedSlices
from fewshot.lazily import lazily

filters = lazily("skimage.filters")

_MAX_SIDE = 1024
_STEEPNESS = 2.0  # of the probability, in margins of one standard deviation


@dataclass(frozen=True)
class ThresholdSettings:
    """What is tried.

    Attributes:
        sigmas: of Gaussian smoothing, in pixels; 0 is none.
        otsu_margin: Otsu's threshold, which follows each image's own brightness, is taken where
            its Dice on the annotated images is at most so much below the best fixed threshold's.
    """

    sigmas: tuple[float, ...] = (0.0, 1.0, 2.0, 4.0)
    otsu_margin: float = 0.02


@dataclass(frozen=True)
class Rule:
    """How one class is told from all others.

    Attributes:
        view: number of the channel and sigma, in the order of `channel_views`.
        bright: whether the class is above the threshold.
        level: the threshold, 0 to `LEVELS`; None for Otsu's of each image.
        spread: standard deviation of the annotated images, in levels.
        dice: on the annotated images, 0 to 1.
    """

    view: int
    bright: bool
    level: int | None
    spread: float
    dice: float


@register_predictor("threshold")
class ThresholdPredictor(ImagePredictor[tuple[Rule, ...]]):
    """Threshold the channel that fits the annotated images best, one class at a time.

    Channels are luma, red, green, blue, saturation and value (luma alone where a picture is grey),
    each smoothed by several Gaussians. Where several classes claim a pixel, it goes to the one
    whose threshold is farther away, in standard deviations of its channel.
    """

    Settings: ClassVar = ThresholdSettings

    def fit(self, annotated: AnnotatedSlices, colour: bool) -> tuple[Rule, ...]:
        """Find the rule of each class with the highest Dice over all known pixels."""
        ways = len(annotated.shots.names)
        each = [
            self._histograms(image, labels, ways)
            for image, labels in training_images(annotated, colour, _MAX_SIDE)
        ]
        return tuple(self._best_rule(np.stack(each), way) for way in range(1, ways + 1))

    def probabilities(
        self, picture: ImageStack, plane: int, support: Fitted[tuple[Rule, ...]]
    ) -> np.ndarray:
        """Softmax of the margins, the background's being 0."""
        image = image_at(picture, plane, support.colour, _MAX_SIDE)
        views = dict(enumerate(channel_views(image, self.settings.sigmas)))
        logits = np.zeros((len(support.model) + 1, *image.shape[:2]), np.float32)
        for way, rule in enumerate(support.model, 1):
            logits[way] = _STEEPNESS * _margin(rule, quantised(views[rule.view]))
        odds = np.exp(np.clip(logits - logits.max(axis=0), -80, 0))
        height, width = picture.pixels.shape[1:3]
        return enlarge(odds / odds.sum(axis=0), (height, width))

    def configuration(self, model: tuple[Rule, ...], names: Sequence[str]) -> Chosen:
        """Report the rule of each class; see `ImagePredictor`."""
        sigmas = self.settings.sigmas
        values = {
            name: {
                "channel": view_name(rule.view, sigmas),
                "side": "bright" if rule.bright else "dark",
                "threshold": "Otsu" if rule.level is None else rule.level / LEVELS,
            }
            for name, rule in zip(names, model, strict=True)
        }
        return Chosen(values, float(np.mean([rule.dice for rule in model])), 4 * LEVELS)

    def _histograms(self, image: np.ndarray, labels: np.ndarray, ways: int) -> np.ndarray:
        """Count the levels of known pixels: [view label level]; unknown ones come last."""
        kept = np.where(labels == IGNORE, ways + 1, labels).astype(np.int64)
        return np.stack(
            [
                np.bincount(
                    (kept * LEVELS + quantised(view)).ravel(), minlength=(ways + 2) * LEVELS
                ).reshape(ways + 2, LEVELS)
                for view in channel_views(image, self.settings.sigmas)
            ]
        )

    def _best_rule(self, histograms: np.ndarray, way: int) -> Rule:
        """Choose among views, polarities and thresholds.

        Args:
            histograms: [image view label level].
            way: the class.
        """
        of_class, known = histograms[:, :, way], histograms[:, :, :-1].sum(axis=2)
        if not of_class.any():
            return Rule(0, True, LEVELS, 1.0, 0.0)  # is never found
        best: Rule | None = None
        for view in range(histograms.shape[1]):
            counts, all_counts = of_class[:, view], known[:, view]
            spread = _spread(all_counts.sum(axis=0))
            for bright in (True, False):
                dice = dice_of_levels(counts.sum(axis=0), all_counts.sum(axis=0), bright)
                level = _middle_of_best(dice)
                fixed = Rule(view, bright, level, spread, float(dice[level]))
                whole = histograms[:, view].sum(axis=1)
                levels = [otsu_level(each) for each in whole]
                otsu = Rule(view, bright, None, spread, _at(levels, counts, all_counts, bright))
                for rule in (fixed, otsu):
                    if best is None or self._rank(rule) > self._rank(best):
                        best = rule
        assert best is not None  # there is one view at least
        return best

    def _rank(self, rule: Rule) -> float:
        return rule.dice + (self.settings.otsu_margin if rule.level is None else 0.0)


def dice_of_levels(of_class: np.ndarray, known: np.ndarray, bright: bool) -> np.ndarray:
    """Dice of every threshold: [LEVELS + 1].

    Args:
        of_class, known: how many pixels of the class, and of all that are known, have each level.
        bright: whether what is at or above the threshold is found, or what is below.
    """
    tp, found = (
        np.concatenate([[0], np.cumsum(counts)]).astype(np.float64) for counts in (of_class, known)
    )
    if bright:
        tp, found = tp[-1] - tp, found[-1] - found
    return 2 * tp / np.maximum(found + of_class.sum(), 1)


def otsu_level(counts: np.ndarray) -> int:
    """Otsu's threshold of a histogram; 0 where all pixels have one level."""
    levels = np.flatnonzero(counts)
    if len(levels) < 2:
        return 0
    return int(filters.threshold_otsu(hist=(counts, np.arange(LEVELS)))) + 1


def _at(levels: list[int], of_class: np.ndarray, known: np.ndarray, bright: bool) -> float:
    """Dice of several images together, each at its own threshold."""
    tp = found = 0
    for level, counts, all_counts in zip(levels, of_class, known, strict=True):
        part = slice(level, None) if bright else slice(0, level)
        tp, found = tp + counts[part].sum(), found + all_counts[part].sum()
    return float(2 * tp / max(found + of_class.sum(), 1))


def _margin(rule: Rule, levels: np.ndarray) -> np.ndarray:
    """Distance to the threshold in standard deviations, positive inside; never 0."""
    level = rule.level
    if level is None:
        level = otsu_level(np.bincount(levels.ravel(), minlength=LEVELS))
    above = (levels - level + 0.5) / rule.spread
    return above if rule.bright else -above


def _spread(counts: np.ndarray) -> float:
    """Standard deviation of a histogram in levels, at least 1."""
    level, total = np.arange(LEVELS), max(counts.sum(), 1)
    mean = (counts * level).sum() / total
    return max(1.0, float(np.sqrt((counts * (level - mean) ** 2).sum() / total)))


def _middle_of_best(dice: np.ndarray) -> int:
    """Middle of the first run of thresholds with the highest Dice."""
    first = int(dice.argmax())
    end = first
    while end + 1 < len(dice) and dice[end + 1] == dice[first]:
        end += 1
    return (first + end) // 2
