"""Pairs of volumes that were registered, and annotations on the feature grid of a volume."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from fewshot.inference.cache import Cache
from fewshot.inference.inputs import ImageStack
from fewshot.inference.slice_features import SliceFeatures, identity_of
from fewshot.inference.volumes.local_matching import LocalMatchingSettings, interpolate_annotation
from fewshot.inference.volumes.registration import RegistrationSettings, register
from fewshot.models.prototypes import grid_weights

_PAIRS = 256  # whose correspondences are remembered


class RegisteredVolumes:
    """Registers volumes, each pair once for all classes.

    Args:
        features: of their slices.
        registration: how volumes are registered.
        local_matching: how slices between annotated ones are labelled.
    """

    def __init__(
        self,
        features: SliceFeatures,
        registration: RegistrationSettings | None = None,
        local_matching: LocalMatchingSettings | None = None,
    ) -> None:
        self.features = features
        self.registration = registration or RegistrationSettings()
        self.local_matching = local_matching or LocalMatchingSettings()
        self._pairs: Cache[Tensor] = Cache(_PAIRS)

    def correspondences(
        self, query: ImageStack, support: ImageStack
    ) -> Float[Tensor, "depth 3 rows columns"]:
        """Find the place of every position of the query in the support; see `register`."""

        def find() -> Tensor:
            volumes = self.features.volume(query), self.features.volume(support)
            return register(*volumes, self.registration)

        return self._pairs.get((identity_of(query), identity_of(support)), find)

    def coverage(
        self,
        volume: ImageStack,
        labels: UInt8[np.ndarray, "depth height width"],
        annotated: Sequence[int],
        way: int = 1,
    ) -> Float[Tensor, "depth rows columns"]:
        """Compute which share of every position of a volume a class covers, 0 to 1.

        Args:
            volume: of which some slices are annotated.
            labels: of all its slices; only those of annotated ones are read.
            annotated: indices of slices, rising.
            way: number of the class.
        """
        features = self.features.volume(volume)
        masks = torch.stack([self.features.mask(volume, labels[z], way) for z in annotated])
        coverage = coverage_of(masks, *features.shape[-2:]).to(features)
        if len(annotated) == len(features):
            return coverage
        return interpolate_annotation(features, coverage, list(annotated), self.local_matching)

    def share_cache(self, other: "RegisteredVolumes") -> None:
        """Use the correspondences of another object, if it registers in the same way."""
        if other.registration == self.registration:
            self._pairs = other._pairs

    def labels_like(self, other: "RegisteredVolumes") -> bool:
        """Whether another object registers volumes and labels slices in the same way."""
        mine = self.registration, self.local_matching
        return mine == (other.registration, other.local_matching)


def coverage_of(masks: Tensor, rows: int, columns: int) -> Float[Tensor, "slice rows columns"]:
    """Which share of every entry of a feature grid masks {0, 1, 255} cover; unknown is none."""
    entry = masks.shape[-2] * masks.shape[-1] / (rows * columns)
    return grid_weights(masks == 1, rows, columns) / entry
