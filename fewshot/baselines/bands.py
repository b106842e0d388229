"""What thresholding methods share that give a class a range of bands of one channel."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from episodes.io.pixels import IGNORE
from fewshot.baselines.channels import channel_views, view_name
from fewshot.baselines.image_predictor import (
    Fitted,
    ImagePredictor,
    enlarge,
    image_at,
    training_images,
)
from fewshot.baselines.search import Chosen
from fewshot.baselines.searched_predictor import Annotated, check_distinguishable, constant
from fewshot.inference.inputs import ImageStack
from fewshot.inference.predictors.feature_predictor import AnnotatedSlices

BANDS = 128
"""Most bands of a channel."""
_CLAIM = 0.51  # least probability of a class in its bands, so that it is the label there


@dataclass(frozen=True)
class BandSettings:
    """What is tried.

    Attributes:
        sigmas: of Gaussian smoothing, in pixels; 0 is none.
        max_side: larger images are scaled down to this side, in pixels.
    """

    sigmas: tuple[float, ...] = (0.0, 2.0)
    max_side: int = 512


@dataclass(frozen=True)
class BandRule:
    """How one class is told from all others.

    Attributes:
        view: number of the channel and sigma, in the order of `channel_views`.
        values: the setting with which the channel was cut into bands.
        first, last: of the bands of the class.
        dice: on the annotated images, 0 to 1.
        precision: share of the class among the known pixels of its bands.
        missed: share of the class among all other known pixels.
        whole: whether all known pixels are of the class.
    """

    view: int
    values: Mapping[str, Any]
    first: int
    last: int
    dice: float
    precision: float
    missed: float
    whole: bool


class BandPredictor(ImagePredictor[tuple[BandRule, ...]]):
    """Cut a channel into bands, and give each class the range of bands with the highest Dice.

    Every class has a channel, a setting and a range of its own. Where several claim a pixel, it
    goes to the one with the higher precision on the annotated images.
    """

    def settings_tried(self) -> Iterator[Mapping[str, Any]]:
        """Give the settings with which `bands` is tried."""
        raise NotImplementedError

    def bands(self, view: np.ndarray, values: Mapping[str, Any]) -> np.ndarray:
        """Number the band of each pixel of a channel, 0 to BANDS - 1: int64 [height width]."""
        raise NotImplementedError

    def fit(self, annotated: AnnotatedSlices, colour: bool) -> tuple[BandRule, ...]:
        """Find the rule of each class with the highest Dice over all known pixels.

        Raises:
            DataError: a class has no pixel, or all annotated planes have one intensity.
        """
        images = list(training_images(annotated, colour, self.settings.max_side))
        check_distinguishable(images, annotated)
        ways = len(annotated.shots.names)
        best: list[BandRule | None] = [None] * ways
        for view, values, counts in self._tried(images, ways):
            for way in range(1, ways + 1):
                rule = best_range(counts, way, view, values)
                there = best[way - 1]
                if there is None or rule.dice > there.dice:
                    best[way - 1] = rule
        return tuple(rule for rule in best if rule is not None)

    def probabilities(
        self, picture: ImageStack, plane: int, support: Fitted[tuple[BandRule, ...]]
    ) -> np.ndarray:
        """Shares of each class in and out of its bands, as annotated; see `Predictor`."""
        image = image_at(picture, plane, support.colour, self.settings.max_side)
        shape = picture.pixels.shape[1:3]
        whole = [way for way, rule in enumerate(support.model, 1) if rule.whole]
        if whole or np.ptp(image.reshape(-1, image.shape[2]), axis=0).max() == 0:
            return constant(whole[0] if whole else 0, len(support.model) + 1, shape)
        views = dict(enumerate(channel_views(image, self.settings.sigmas)))
        claims = np.zeros((len(support.model), *image.shape[:2]), np.float32)
        for claim, rule in zip(claims, support.model, strict=True):
            bands = self.bands(views[rule.view], rule.values)
            inside = (bands >= rule.first) & (bands <= rule.last)
            claim[:] = np.where(inside, max(rule.precision, _CLAIM), min(rule.missed, 1 - _CLAIM))
        return enlarge(_shared(claims), shape)

    def configuration(self, model: tuple[BandRule, ...], names: Sequence[str]) -> Chosen:
        """Report the rule of each class; see `ImagePredictor`."""
        values = {
            name: {
                "channel": view_name(rule.view, self.settings.sigmas),
                **rule.values,
                "bands": f"{rule.first} to {rule.last}",
            }
            for name, rule in zip(names, model, strict=True)
        }
        tried = len(list(self.settings_tried())) * len(self.settings.sigmas)
        return Chosen(values, float(np.mean([rule.dice for rule in model])), tried)

    def _tried(
        self, images: Sequence[Annotated], ways: int
    ) -> Iterator[tuple[int, Mapping[str, Any], np.ndarray]]:
        """Give every channel and setting with the counts of bands [label band], known pixels."""
        views = [list(channel_views(image, self.settings.sigmas)) for image, _ in images]
        for number in range(len(views[0])):
            for values in self.settings_tried():
                counts = np.zeros((ways + 1, BANDS), np.int64)
                for each, (_, labels) in zip(views, images, strict=True):
                    known = labels != IGNORE
                    code = labels[known].astype(np.int64) * BANDS
                    code += self.bands(each[number], values)[known]
                    counts += np.bincount(code, minlength=counts.size).reshape(counts.shape)
                yield number, values, counts


def best_range(
    counts: np.ndarray, way: int, view: int = 0, values: Mapping[str, Any] | None = None
) -> BandRule:
    """Find the range of bands with the highest Dice; of equal ones the first.

    Args:
        counts: known pixels [label band].
        way: the class.
        view, values: see `BandRule`.

    >>> rule = best_range(np.array([[9, 1, 5, 0], [0, 4, 3, 0]]), 1)
    >>> rule.first, rule.last, round(rule.dice, 2)
    (1, 2, 0.7)
    """
    hits, found = (np.concatenate([[0], np.cumsum(each)]) for each in (counts[way], counts.sum(0)))
    tp, marked = (each[None, 1:] - each[:-1, None] for each in (hits, found))
    tp, marked = np.triu(tp), np.triu(marked)
    dice = 2 * tp / np.maximum(marked + hits[-1], 1)
    first, last = (int(place) for place in np.unravel_index(dice.argmax(), dice.shape))
    inside, area = int(tp[first, last]), int(marked[first, last])
    outside = int(found[-1]) - area
    return BandRule(
        *(view, values or {}, first, last, float(dice[first, last])),
        precision=inside / max(area, 1),
        missed=(int(hits[-1]) - inside) / max(outside, 1),
        whole=bool(hits[-1] == found[-1]),
    )


def _shared(claims: np.ndarray) -> np.ndarray:
    """Give a pixel that several classes claim to the largest claim: [label height width]."""
    if len(claims) == 1:
        return np.concatenate([1 - claims, claims])
    winner = claims.argmax(axis=0)
    others = np.where(np.arange(len(claims))[:, None, None] == winner, 0, claims)
    claims = np.where(others > 0.5, 0, claims)
    rest = np.maximum(1 - claims.sum(axis=0), np.where(claims.max(axis=0) > 0.5, 0, 0.5))
    found = np.concatenate([rest[None], claims])
    return (found / found.sum(axis=0)).astype(np.float32)
