"""Annotated images of which the best support is chosen for every plane of a query."""

from collections import defaultdict
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from episodes.catalog.catalog import Sample
from episodes.catalog.loader import Loader
from episodes.io.pixels import IGNORE
from episodes.sampling.episode import to_channels
from episodes.sampling.sampler import binary_mask
from fewshot.evaluation.confusion_counts import GroundTruth
from fewshot.evaluation.retrieved_support_predictor import Pooled, cosine_distances
from fewshot.inference.query_similarity import with_masks
from fewshot.inference.resolution import structure_width
from fewshot.inference.segmenter import Segmenter
from fewshot.inference.volumes.local_matching import interpolate_annotation
from fewshot.inference.volumes.registered_volumes import coverage_of
from fewshot.inference.volumes.registration import register
from fewshot.inference.volumes.segment_volume import segment_volume
from fewshot.inference.volumes.slice_alignment import FeatureStandardizer, align_slices
from fewshot.inference.volumes.slice_assignment import assign_supports, viterbi_assignment
from fewshot.inference.volumes.slice_position import grid_pooled_features, isotonic_positions
from fewshot.models.heads import Support
from fewshot.models.scale import AnnotatedScale

_SUPPORTS, _VOLUMES = 256, 4  # condensed supports, and volumes whose features are remembered


@dataclass(frozen=True)
class Chosen:
    """The supports of every plane of a query: keys [plane][top], and their costs [plane]."""

    keys: list[list[str]]
    costs: list[float]


class SupportGallery:
    """Annotated images to choose supports from.

    Args:
        samples: with masks, in the order of their volumes.
        classes: of their catalog.
        values: the number of each class in masks.
        truth: of their catalog.
        segmenter: whose features are compared.
    """

    def __init__(
        self,
        samples: list[Sample],
        classes: tuple[str, ...],
        values: tuple[int, ...],
        truth: GroundTruth,
        segmenter: Segmenter,
    ) -> None:
        self.classes, self.values, self.segmenter = classes, values, segmenter
        self._samples = {sample.key: sample for sample in samples}
        self._loader = Loader(segmenter.network.settings.size)
        self._pooled = Pooled(truth, segmenter.network)
        self.volumes: dict[Path, list[str]] = defaultdict(list)
        for sample in samples:
            self.volumes[sample.image.path].append(sample.key)
        self.support = lru_cache(_SUPPORTS)(self._condense)
        self._maps = lru_cache(_VOLUMES)(self._encode)

    @property
    def whole(self) -> list[tuple[str, ...]]:
        """Keys of the slices of every annotated volume."""
        return [tuple(keys) for keys in self.volumes.values() if len(keys) > 1]

    def lay_over(
        self,
        features: Float[Tensor, "plane channel rows columns"],
        top: int,
        weight: float,
        annotated: Literal["volume", "slices"],
    ) -> tuple[Chosen, Float[Tensor, "plane label rows columns"]]:
        """Lay a query volume over the annotated ones that fit it best, and segment it with them.

        Args:
            features: of the query's planes.
            top: how many annotated volumes.
            weight: of a plane's relative position beside its features; see `assign_supports`.
            annotated: all slices of annotated volumes, or only those that show a class.

        Returns:
            The slice of each volume on which each plane lies, and log-probabilities.
        """
        pooled = grid_pooled_features(features).cpu().numpy()
        tables = [self._ordered_costs(pooled, keys, weight) for keys in self.whole]
        rows = np.arange(len(pooled))
        fits = [float(table[rows, viterbi_assignment(table)].mean()) for table in tables]
        order = np.argsort(fits, kind="stable")[:top]
        named, coverage = [], []
        for keys in (self.whole[number] for number in order):
            support = self._maps(keys)
            correspondences = register(features, support)
            found = [
                segment_volume(features, support, covered, correspondences)[:, 1]
                for covered in self._covered(keys, annotated)
            ]
            logits = torch.stack([torch.zeros_like(found[0]), *found], dim=1)
            coverage.append(self.segmenter.network.calibration(logits).softmax(dim=1))
            slice_indices = isotonic_positions(correspondences[:, 0].mean(dim=(1, 2)).cpu().numpy())
            named.append(
                [keys[z] for z in slice_indices.round().clip(0, len(keys) - 1).astype(int)]
            )
        chosen = Chosen([list(row) for row in zip(*named, strict=True)], [min(fits)] * len(pooled))
        return chosen, torch.stack(coverage).mean(dim=0).clamp(min=1e-6).log()

    def _covered(
        self, keys: tuple[str, ...], annotated: Literal["volume", "slices"]
    ) -> list[Float[Tensor, "plane rows columns"]]:
        """Which share of every position each class covers, in all slices of a volume."""
        samples = [self._samples[key] for key in keys]
        labels = torch.stack([self._loader.labels(sample, self.classes) for sample in samples])
        features = self._maps(keys)
        found = []
        for way in range(1, len(self.classes) + 1):
            masks = torch.stack([binary_mask(each, way) for each in labels])
            known = (masks != IGNORE).flatten(1).any(dim=1)
            if annotated == "slices":
                known &= (masks == 1).flatten(1).any(dim=1)
            slice_indices = known.nonzero()[:, 0].tolist()
            coverage = coverage_of(masks, *features.shape[-2:]).to(features)
            if 0 < len(slice_indices) < len(keys):
                coverage = interpolate_annotation(features, coverage[slice_indices], slice_indices)
            found.append(coverage)
        return found

    def select_supports(self, features: np.ndarray, top: int, weight: float) -> Chosen:
        """Choose supports for the planes of a query.

        Slices of a volume get slices of the one annotated volume that fits best, in order. A
        picture gets the nearest of all annotated images.

        Args:
            features: pooled, [plane feature].
            top: how many a plane.
            weight: of the distance from where the slice lies once the volumes are laid over each
                other, in lengths of the annotated volume.
        """
        whole = self.whole
        if len(features) == 1 or not whole:
            keys = tuple(self._samples)
            costs = cosine_distances(features, self._pooled(keys))
            picked = assign_supports(costs, top)
        else:
            tables = [self._ordered_costs(features, keys, weight) for keys in whole]
            rows = np.arange(len(features))
            fits = [table[rows, viterbi_assignment(table)].mean() for table in tables]
            best = int(np.argmin(fits))
            keys, costs = whole[best], tables[best]
            picked = assign_supports(costs, top, ordered=True)
        lowest = costs[np.arange(len(costs)), picked[:, 0]].tolist()
        return Chosen([[keys[place] for place in row] for row in picked.tolist()], lowest)

    def _ordered_costs(
        self, features: np.ndarray, keys: tuple[str, ...], weight: float
    ) -> np.ndarray:
        support = self._pooled(keys)
        correspondences = align_slices(
            features, support, FeatureStandardizer.of([features, support])
        )
        away = np.abs(np.subtract.outer(correspondences, np.arange(len(keys)))) / len(keys)
        return cosine_distances(features, support) + weight * away

    @torch.inference_mode()
    def _encode(self, keys: tuple[str, ...]) -> Float[Tensor, "plane channel rows columns"]:
        images = (self._loader.image(self._samples[key]) for key in keys)
        return torch.cat(
            [self.segmenter.network.encode(to_channels(each, 3)[None]) for each in images]
        )

    def _condense(self, key: str) -> Support:
        sample = self._samples[key]
        image = to_channels(self._loader.image(sample), 3)[None]
        labels = self._loader.labels(sample, self.classes)[None]
        ways = range(1, len(self.classes) + 1)
        masks = torch.stack([binary_mask(labels, way) for way in ways])
        with torch.inference_mode():
            support = self.segmenter.network.encode_support(
                [image], masks.to(self.segmenter.network.device)
            )
            shots = with_masks(
                support.shots,
                masks,
                self.segmenter.network.head,
                self.segmenter.network.encoder.stride,
            )
            width = structure_width([labels.numpy()])
            return replace(support, shots=shots, annotated=AnnotatedScale(width, max(sample.size)))
