"""Count pixels of methods under a protocol of `episodes.protocols`, at the files' own pixels."""

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, partial
from typing import Protocol as Interface
from typing import runtime_checkable

import numpy as np
from tqdm import tqdm

from episodes.catalog.catalog import Catalog, Sample
from episodes.io.pixels import IGNORE, PixelRef
from episodes.io.read import labels_of
from episodes.masks.label_map import class_map, named
from episodes.protocols.aggregate import ConfusionCounts
from episodes.protocols.base import Protocol
from episodes.sampling.episode import Plan
from fewshot.baselines.copy_mask import paste
from fewshot.baselines.feature_grid import through_grid
from fewshot.registry import register_baseline

_MAPS, _FILES, _FEATURES = 1024, 4, 512  # remembered at once


class CasePredictor(Interface):
    """Anything that segments the queries of a one-way plan."""

    def __call__(self, plan: Plan) -> Iterator[np.ndarray]:
        """Give one boolean mask [height width] a query, at the query's own size."""
        ...


@runtime_checkable
class Timed(Interface):
    """A method that measures its latency."""

    def milliseconds(self) -> float | None:
        """Time of a query slice, reading it aside; None before the first."""
        ...


@runtime_checkable
class RegroupsCases(Interface):
    """A method that segments several cases at once."""

    def regroup_cases(self, protocol: Protocol) -> Protocol:
        """Give the same tests, cut into other cases."""
        ...


class GroundTruth:
    """Label maps of a catalog at the size of the files.

    Args:
        catalog: measured; its classes are numbered from 1.
    """

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self._samples = {sample.key: sample for sample in catalog.samples}
        self._planes: Callable[[PixelRef], np.ndarray] = lru_cache(_FILES)(labels_of)
        self.labels: Callable[[str], np.ndarray] = lru_cache(_MAPS)(self._read)

    def sample(self, key: str) -> Sample:
        """Return the sample of a key."""
        return self._samples[key]

    def mask(self, key: str, name: str) -> np.ndarray:
        """Read the mask of one class: uint8 [height width], 0, 1, 255 unknown."""
        labels = self.labels(key)
        mask = (labels == self.catalog.classes.index(name) + 1).view(np.uint8)
        mask |= -(labels == IGNORE).view(np.uint8)  # -1 is 255, and no index is needed
        return mask

    def support_mask(self, key: str, name: str) -> np.ndarray:
        """Read the mask of one class as annotation; overlaps with others are not unknown."""
        return self._merged(key, (name,))

    def _read(self, key: str) -> np.ndarray:
        return self._merged(key, self.catalog.classes)

    def _merged(self, key: str, classes: tuple[str, ...]) -> np.ndarray:
        sample = self._samples[key]
        merged = np.full(sample.size, 0 if sample.masks else IGNORE, np.uint8)
        for mask in sample.masks:
            values = self._planes(mask.pixels.source)[mask.pixels.plane or 0]
            found = class_map(values, named(mask), classes, mask.pixels.name)
            clash = (merged > 0) & (found > 0) & (merged != found)
            merged = np.where(found > 0, found, merged)
            merged[clash] = IGNORE
        return merged


class CopyMask:
    """Paste the support's mask on every query; several shots vote, a tie being background.

    Args:
        truth: where the support's masks come from.
    """

    def __init__(self, truth: GroundTruth) -> None:
        self.truth = truth

    def __call__(self, plan: Plan) -> Iterator[np.ndarray]:
        """See `CasePredictor`."""
        shots = [self.truth.mask(key, plan.classes[0]) == 1 for key in plan.support[0]]
        for key in plan.query:
            shape = self.truth.sample(key).size
            votes = [paste(shot.astype(np.uint8), shape) for shot in shots]
            yield votes[0] == 1 if len(votes) == 1 else 2 * np.sum(votes, axis=0) > len(votes)


class FeatureGrid:
    """Give the truth itself, brought to a feature grid and back: no method, but their ceiling.

    Args:
        truth: what is given away.
        size: side of the square in which images are compared, in pixels.
        stride: pixels a position of the grid.
    """

    def __init__(self, truth: GroundTruth, size: int, stride: int) -> None:
        self.truth, self.size, self.stride = truth, size, stride

    def __call__(self, plan: Plan) -> Iterator[np.ndarray]:
        """See `CasePredictor`."""
        for key in plan.query:
            yield through_grid(self.truth.mask(key, plan.classes[0]), self.size, self.stride)


@register_baseline("copy-mask")
def _copy_mask(truth: GroundTruth, size: int, stride: int) -> CasePredictor:
    return CopyMask(truth)


@register_baseline("feature-grid")
def _feature_grid(truth: GroundTruth, size: int, stride: int) -> CasePredictor:
    return FeatureGrid(truth, size, stride)


def count_protocol(
    protocol: Protocol, method: CasePredictor, truth: GroundTruth, *, progress: bool = False
) -> list[ConfusionCounts]:
    """Segment every case and count the pixels of its class, case by case in the protocol's order.

    A method that is `RegroupsCases` is given other cases of the same tests.

    Args:
        protocol: its plans have one way.
        method: what is scored.
        truth: of a catalog that holds the protocol's samples.
        progress: show a progress bar.

    Returns:
        One row a case and subject.
    """
    if isinstance(method, RegroupsCases):
        protocol = method.regroup_cases(protocol)
    square = partial(paste, shape=(protocol.score_size,) * 2) if protocol.score_size else None
    fold = int(protocol.settings.get("fold", 0))
    counts: list[ConfusionCounts] = []
    for case in tqdm(protocol.cases, desc=protocol.name, unit="case", disable=not progress):
        sums: dict[str, np.ndarray] = {}
        plan = case.plan
        predicted = method(plan)
        for key, subject, mask in zip(plan.query, plan.query_subjects, predicted, strict=True):
            true = truth.mask(key, plan.classes[0])
            if square is not None:
                mask, true = square(mask.astype(np.uint8)) == 1, square(true)
            sums[subject] = sums.get(subject, 0) + count_pixels(mask, true)
        counts += [
            _count(case.run, subject, plan.classes[0], fold, numbers)
            for subject, numbers in sums.items()
        ]
    return counts


def count_pixels(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Confusion counts of a mask: tp, fn, fp, tn, in pixels.

    Args:
        predicted: bool [height width].
        truth: uint8 [height width], 0, 1, 255 unknown, which counts nowhere.

    >>> count_pixels(np.array([True, True, False, True]), np.array([1, 0, 1, 255], np.uint8))
    array([1, 1, 1, 0])
    """
    real = truth == 1
    tp = np.count_nonzero(predicted & real)
    fn = np.count_nonzero(real) - tp
    fp = np.count_nonzero(predicted & (truth == 0))
    return np.array([tp, fn, fp, np.count_nonzero(truth != IGNORE) - tp - fn - fp])


def pool_by_subject(counts: Iterable[ConfusionCounts]) -> list[ConfusionCounts]:
    """Sum counts to one row for each run, fold, subject and class."""
    sums: dict[tuple[str, str, str, int], np.ndarray] = {}
    for count in counts:
        key = (count.run, count.subject, count.class_name, count.fold)
        numbers = np.array([count.tp, count.fn, count.fp, count.tn])
        sums[key] = sums.get(key, 0) + numbers
    return [_count(*key, numbers) for key, numbers in sums.items()]


def _count(run: str, subject: str, name: str, fold: int, numbers: np.ndarray) -> ConfusionCounts:
    tp, fn, fp, tn = map(int, numbers)
    return ConfusionCounts(run, subject, name, tp, fn, fp, tn, fold)
