"""Annotated images of which the best supports are chosen for every plane of a query."""

from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from episodes.catalog.catalog import Sample
from fewshot.evaluation.catalog_stacks import CatalogStacks
from fewshot.evaluation.confusion_counts import GroundTruth
from fewshot.evaluation.retrieved_support_predictor import Pooled, cosine_distances
from fewshot.inference.inputs import ImageStack
from fewshot.inference.magnification import TooLargeError, annotated_scale
from fewshot.inference.predictors.registered_volume import RegisteredVolumePredictor
from fewshot.inference.predictors.slice import AssignedSlicePredictor
from fewshot.inference.result import Segmentation
from fewshot.inference.segment_stack import scale_mismatch
from fewshot.inference.support_set import SupportSet
from fewshot.inference.volumes.slice_alignment import FeatureStandardizer, align_slices
from fewshot.inference.volumes.slice_assignment import assign_supports, viterbi_assignment
from fewshot.inference.volumes.slice_position import grid_pooled_features, isotonic_positions

_LEARNED = 4  # support sets that are remembered

Keys = tuple[str, ...]


@dataclass(frozen=True)
class Selected:
    """The supports of every plane of a query: keys [plane][top], and their costs [plane]."""

    keys: list[list[str]]
    costs: list[float]


class SupportGallery:
    """Annotated images to choose supports from, and a predictor that segments with them.

    Args:
        samples: with masks, in the order of their volumes.
        classes: of their catalog.
        values: the number of each class in masks.
        truth: of their catalog.
        predictor: segments with the chosen ones: a `RegisteredVolumePredictor` with whole volumes,
            an `AssignedSlicePredictor` with slices.
        weight: of a plane's relative position beside its features, in lengths of the volume.
        top: how many supports a query has; their probabilities are averaged.
    """

    def __init__(
        self,
        samples: list[Sample],
        classes: tuple[str, ...],
        values: tuple[int, ...],
        truth: GroundTruth,
        predictor: RegisteredVolumePredictor | AssignedSlicePredictor,
        *,
        weight: float = 1.0,
        top: int = 1,
    ) -> None:
        self.classes, self.values, self.truth = classes, values, truth
        self.predictor, self.weight, self.top = predictor, weight, top
        self._pooled = Pooled(truth, predictor.network)
        self._stacks = CatalogStacks(truth)
        self.keys = tuple(sample.key for sample in samples)
        by_file: dict[Path, list[str]] = defaultdict(list)
        for sample in samples:
            by_file[sample.image.path].append(sample.key)
        self.volumes = [tuple(keys) for keys in by_file.values() if len(keys) > 1]
        self._learned = lru_cache(_LEARNED)(self._learn)

    def segment(
        self, image: ImageStack, *, other_magnification: bool = False
    ) -> tuple[Segmentation, Selected]:
        """Segment an image or volume with the supports that fit it best.

        Args:
            image: all of it is segmented.
            other_magnification: see `fewshot.inference.segmenter.Segmenter.segment`.

        Raises:
            TooLargeError: the structures of its supports would vanish in it.
        """
        pooled = grid_pooled_features(self.predictor.features.volume(image)).cpu().numpy()
        if isinstance(self.predictor, RegisteredVolumePredictor):
            return self._with_volumes(self.predictor, image, pooled, other_magnification)
        selected = self.select_slices(pooled)
        keys = tuple(dict.fromkeys(key for keys in selected.keys for key in keys))
        self._check_size(image, keys, other_magnification)
        support = self._learned(keys)
        place = {key: number for number, key in enumerate(self._order(keys))}
        assignment = [[(place[key],) for key in keys] for keys in selected.keys]
        return self.predictor.segment(image, support, assignment), selected

    def _with_volumes(
        self,
        predictor: RegisteredVolumePredictor,
        image: ImageStack,
        pooled: np.ndarray,
        other_magnification: bool,
    ) -> tuple[Segmentation, Selected]:
        """Segment with the volumes that fit best; say on which slice of each a plane lies."""
        volumes, cost = self.select_volumes(pooled)
        named = []
        for keys in volumes:
            stack = self._stacks.file(keys)
            places = predictor.registered.correspondences(image, stack)[:, 0]
            rising = isotonic_positions(places.mean(dim=(1, 2)).cpu().numpy())
            nearest = np.abs(np.subtract.outer(rising.round(), stack.chosen)).argmin(axis=1)
            named.append([keys[place] for place in nearest])
        selected = Selected([list(row) for row in zip(*named, strict=True)], [cost] * len(pooled))
        distinct = tuple(dict.fromkeys(key for keys in selected.keys for key in keys))
        self._check_size(image, distinct, other_magnification)
        support = self._learned(tuple(key for keys in volumes for key in keys))
        return predictor.segment(image, support), selected

    def select_volumes(self, pooled: np.ndarray) -> tuple[list[Keys], float]:
        """Choose the annotated volumes that fit a query best, and the cost of the best one.

        Args:
            pooled: features of the query's planes [plane feature].
        """
        tables = [self._costs(pooled, keys) for keys in self.volumes]
        rows = np.arange(len(pooled))
        fits = [float(table[rows, viterbi_assignment(table)].mean()) for table in tables]
        order = np.argsort(fits, kind="stable")[: self.top]
        return [self.volumes[number] for number in order], min(fits)

    def select_slices(self, pooled: np.ndarray) -> Selected:
        """Choose annotated images for the planes of a query.

        Slices of a volume get slices of the one annotated volume that fits best, in order. A
        picture gets the nearest of all annotated images.

        Args:
            pooled: features of the query's planes [plane feature].
        """
        if len(pooled) == 1 or not self.volumes:
            keys, ordered = self.keys, False
            costs = cosine_distances(pooled, self._pooled(keys))
        else:
            tables = [self._costs(pooled, keys) for keys in self.volumes]
            rows = np.arange(len(pooled))
            fits = [table[rows, viterbi_assignment(table)].mean() for table in tables]
            best = int(np.argmin(fits))
            keys, costs, ordered = self.volumes[best], tables[best], True
        picked = assign_supports(costs, self.top, ordered=ordered)
        lowest = costs[np.arange(len(costs)), picked[:, 0]].tolist()
        return Selected([[keys[place] for place in row] for row in picked.tolist()], lowest)

    def _costs(self, pooled: np.ndarray, keys: Keys) -> np.ndarray:
        """Cost of each pair of slices: features, and places once the volumes are aligned."""
        support = self._pooled(keys)
        places = align_slices(pooled, support, FeatureStandardizer.of([pooled, support]))
        away = np.abs(np.subtract.outer(places, np.arange(len(keys)))) / len(keys)
        return cosine_distances(pooled, support) + self.weight * away

    def _order(self, keys: Keys) -> list[str]:
        """The order in which annotated planes are numbered: file by file."""
        return [key for run in self._by_file(keys) for key in run]

    def _by_file(self, keys: Keys) -> list[Keys]:
        files: dict[Path, list[str]] = defaultdict(list)
        for key in keys:
            files[self.truth.sample(key).image.path].append(key)
        return [tuple(run) for run in files.values()]

    def _shots(self, keys: Keys) -> SupportSet:
        return self._stacks.support_set(
            self._by_file(keys), self.truth.labels, self.classes, self.values
        )

    def _learn(self, keys: Keys) -> Any:
        return self.predictor.learn(self._shots(keys))

    def _check_size(self, image: ImageStack, keys: Keys, other_magnification: bool) -> None:
        if other_magnification:
            return
        network, shots = self.predictor.network, self._shots(keys)
        planes = shots.annotated_planes()
        maps = [found[list(chosen)] for found, chosen in zip(shots.maps, planes, strict=True)]
        scale = annotated_scale(shots.pictures, maps)
        if reason := scale_mismatch(network, image, scale, network.settings.size, tiles=False):
            raise TooLargeError(reason)
