"""What labels look like: a Gaussian mixture of each label's colours, as a source of evidence.

Seeds, markers, first contours and the costs of graph cuts are all drawn from it, so that methods
which need a person's clicks in their papers get them from the annotated images.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage, special

from episodes.errors import DataError
from fewshot.baselines.image_predictor import GREY
from fewshot.baselines.search import Values
from fewshot.baselines.searched_predictor import Annotated, SearchedPredictor, one_hot
from fewshot.inference.pixel_features import draw_pixels
from fewshot.lazily import lazily

mixture = lazily("sklearn.mixture")
exceptions = lazily("sklearn.exceptions")

_SIGMAS = (1.0, 4.0)  # pixels: of a colour, and of its surroundings
_LEAST = 10  # pixels a component, below which fewer are fitted
_FAR = 60.0  # largest difference of log-likelihoods, so that one pixel does not outvote a region
_AGREEMENT = 0.4  # weight of the appearance beside a labelling, see `softened`


@dataclass(frozen=True)
class AppearanceSettings:
    """How the appearance of labels is learned.

    Attributes:
        components: of the Gaussian mixture of each label.
        spread: standard deviation added to that of the annotated pixels, in intensities 0 to 1, for
            images differ more than their pixels do.
        pixels: at most so many are learned from, shared equally by the background and the classes.
        max_side: larger images are scaled down to this side, in pixels.
        seed: of the draw of pixels and of the mixtures.
    """

    components: int = 3
    spread: float = 0.01
    pixels: int = 12_000
    max_side: int = 512
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("components", "pixels", "max_side"):
            if getattr(self, name) < 1:
                raise DataError(f"{name} is {getattr(self, name)}; expected at least 1")
        if not 0 < self.spread < 1:
            raise DataError(f"spread is {self.spread}; expected a number between 0 and 1")


@dataclass(frozen=True, eq=False)
class Appearance:
    """What was learned.

    Attributes:
        mixtures: of each label; None of one without pixels.
        shares: of each label among the known pixels.
    """

    mixtures: tuple[Any, ...]
    shares: np.ndarray


@dataclass(frozen=True, eq=False)
class Seen:
    """An image, and what its pixels look like.

    Attributes:
        image: float32 [height width channel].
        logs: log of likelihood times share of each label, float32 [label height width].
    """

    image: np.ndarray
    logs: np.ndarray

    def posterior(self, weight: float = 1.0) -> np.ndarray:
        """Probabilities of the labels: float32 [label height width].

        Args:
            weight: of the classes against the background; above 1 more is found.
        """
        logs = self.logs.copy()
        logs[1:] += np.log(weight)
        return special.softmax(logs, axis=0)


class AppearancePredictor(SearchedPredictor[Appearance]):
    """A searched baseline that begins with the appearance of the labels."""

    def learn_from(self, images: Sequence[Annotated], ways: int) -> Appearance:
        """Fit the mixtures."""
        return fit_appearance(images, ways, self.settings)

    def observe(self, image: np.ndarray, learned: Appearance) -> Seen:
        """Measure the likelihoods of an image."""
        return Seen(image, log_likelihoods(image, learned))

    def label(self, seen: Seen, learned: Appearance, values: Values) -> np.ndarray:
        """See `SearchedPredictor`."""
        raise NotImplementedError


def fit_appearance(
    images: Sequence[Annotated], ways: int, settings: AppearanceSettings
) -> Appearance:
    """Fit a Gaussian mixture to the known pixels of each label.

    Args:
        images: annotated ones.
        ways: how many classes.
        settings: how.
    """
    generator = np.random.default_rng(settings.seed)
    maps = [labels for _, labels in images]
    picked = draw_pixels(maps, settings.pixels, generator)
    features, found = [], []
    for (image, labels), places in zip(images, picked, strict=True):
        described = colour_features(image)
        features.append(described.reshape(-1, described.shape[2])[places])
        found.append(labels.ravel()[places])
    learned, given = np.concatenate(features), np.concatenate(found)
    counts = np.array([sum(int((m == label).sum()) for m in maps) for label in range(ways + 1)])
    mixtures = tuple(fit_mixture(learned[given == label], settings) for label in range(ways + 1))
    return Appearance(mixtures, counts / counts.sum())


def fit_mixture(features: np.ndarray, settings: AppearanceSettings) -> Any:
    """Fit a Gaussian mixture; None without features, fewer components where there are few.

    Args:
        features: [pixel feature].
        settings: how.
    """
    if not len(features):
        return None
    if len(features) == 1:
        features = np.repeat(features, 2, axis=0)
    count = max(1, min(settings.components, len(features) // _LEAST))
    made = mixture.GaussianMixture(count, reg_covar=settings.spread**2, random_state=settings.seed)
    with warnings.catch_warnings():  # a mixture that could move on a little is good enough
        warnings.simplefilter("ignore", exceptions.ConvergenceWarning)
        return made.fit(features)


def log_likelihoods(image: np.ndarray, learned: Appearance) -> np.ndarray:
    """Log of likelihood times share of each label: float32 [label height width]."""
    described = colour_features(image)
    flat = described.reshape(-1, described.shape[2])
    found = np.full((len(learned.mixtures), len(flat)), -np.inf, np.float32)
    for label, (made, share) in enumerate(zip(learned.mixtures, learned.shares, strict=True)):
        if made is not None:
            found[label] = made.score_samples(flat) + np.log(share)
    found = np.maximum(found, found.max(axis=0) - _FAR)
    return found.reshape(-1, *image.shape[:2])


def colour_features(image: np.ndarray) -> np.ndarray:
    """Describe pixels by their colour, that of their surroundings, and the spread of luma there.

    Args:
        image: float32 [height width channel], 0 to 1.

    Returns:
        float32 [height width feature].

    >>> colour_features(np.zeros((4, 5, 3), np.float32)).shape
    (4, 5, 7)
    """
    smooth = [ndimage.gaussian_filter(image, (sigma, sigma, 0)) for sigma in _SIGMAS]
    luma = luma_of(image)
    mean, square = (ndimage.gaussian_filter(each, _SIGMAS[-1]) for each in (luma, luma**2))
    spread = np.sqrt(np.maximum(square - mean**2, 0))[..., None]
    return np.concatenate([*smooth, spread], axis=2)


def luma_of(image: np.ndarray) -> np.ndarray:
    """Grey of an image [height width channel]: float32 [height width]."""
    return image[..., 0] if image.shape[2] == 1 else image @ GREY


def gradient_of(image: np.ndarray, sigma: float) -> np.ndarray:
    """Largest Gaussian gradient magnitude of the channels: float32 [height width]."""
    channels = np.moveaxis(image, 2, 0)
    return np.max([ndimage.gaussian_gradient_magnitude(each, sigma) for each in channels], axis=0)


def softened(found: np.ndarray, posterior: np.ndarray) -> np.ndarray:
    """Probabilities of a labelling, lower where the appearance disagrees; labels stay as they are.

    Args:
        found: labels [height width].
        posterior: probabilities by appearance [label height width].
    """
    certain = one_hot(found, len(posterior))
    return (1 - _AGREEMENT) * certain + _AGREEMENT * posterior


def one_against_rest(masks: Sequence[np.ndarray], posterior: np.ndarray) -> np.ndarray:
    """Join a mask of each class; where several claim a pixel, the most probable one has it.

    Args:
        masks: bool [height width] of each class.
        posterior: probabilities by appearance [label height width].

    Returns:
        Labels [height width].

    >>> masks = [np.array([[True, True]]), np.array([[False, True]])]
    >>> one_against_rest(masks, np.array([[[0.2, 0.2]], [[0.3, 0.3]], [[0.5, 0.5]]]))
    array([[1, 2]])
    """
    claims = np.where(np.stack(masks), posterior[1:] + 1, 0)
    return np.where(claims.max(axis=0) > 0, claims.argmax(axis=0) + 1, 0)
