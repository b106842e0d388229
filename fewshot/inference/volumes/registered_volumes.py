"""Pairs of volumes laid over each other, remembered for all classes that are sought in them."""

from collections.abc import Callable, Sequence
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from episodes.catalog.catalog import Catalog
from episodes.protocols.base import volumes
from fewshot.inference.volumes.local_matching import LocalMatchingSettings, interpolate_annotation
from fewshot.inference.volumes.registration import RegistrationSettings, register
from fewshot.models.prototypes import grid_weights

_PAIRS, _CLASSES = 256, 256  # whose places and shares are remembered

Keys = tuple[str, ...]


class RegisteredVolumes:
    """Volumes of a catalog, by the keys of their slices.

    Args:
        catalog: says which slices a volume has.
        features: of a slice, by its key; [channel rows columns].
        mask: of a slice's class, by key and name, {0, 1, 255}; asked for annotated slices alone.
        registration: how volumes are laid over each other.
        local_matching: how slices between annotated ones are filled in.
    """

    def __init__(
        self,
        catalog: Catalog,
        features: Callable[[str], Tensor],
        mask: Callable[[str, str], Tensor],
        registration: RegistrationSettings | None = None,
        local_matching: LocalMatchingSettings | None = None,
    ) -> None:
        self._features, self._mask = features, mask
        self.registration = registration or RegistrationSettings()
        self.local_matching = local_matching or LocalMatchingSettings()
        self._scans = {
            sample.key: tuple(one.key for one in samples)
            for samples in volumes(catalog).values()
            for sample in samples
        }
        self.correspondences: Callable[[Keys, Keys], Tensor] = lru_cache(_PAIRS)(self._register)
        self._coverage: Callable[[Keys, Keys, str], Tensor] = lru_cache(_CLASSES)(
            self._interpolate_annotation
        )

    def scan(self, key: str) -> Keys:
        """All slices of the volume that a slice belongs to, in order."""
        return self._scans[key]

    def features(self, scan: Keys) -> Float[Tensor, "depth channel rows columns"]:
        """Features of a volume."""
        return torch.stack([self._features(key) for key in scan]).float()

    def coverage(
        self, annotated: Sequence[str], scan: Keys, name: str
    ) -> Float[Tensor, "depth rows columns"]:
        """Shares of a class in all slices of a volume of which some are annotated; remembered."""
        return self._coverage(tuple(annotated), scan, name)

    def _interpolate_annotation(self, annotated: Keys, scan: Keys, name: str) -> Tensor:
        features = self.features(scan)
        masks = torch.stack([self._mask(key, name) for key in annotated])
        coverage = coverage_of(masks, *features.shape[-2:]).to(features)
        if len(annotated) == len(scan):
            return coverage
        return interpolate_annotation(
            features, coverage, [scan.index(key) for key in annotated], self.local_matching
        )

    def _register(self, query: Keys, support: Keys) -> Float[Tensor, "depth 3 rows columns"]:
        return register(self.features(query), self.features(support), self.registration)


def coverage_of(masks: Tensor, rows: int, columns: int) -> Float[Tensor, "slice rows columns"]:
    """Which share of every entry of a feature grid masks {0, 1, 255} cover; unknown is none."""
    entry = masks.shape[-2] * masks.shape[-1] / (rows * columns)
    return grid_weights(masks == 1, rows, columns) / entry
