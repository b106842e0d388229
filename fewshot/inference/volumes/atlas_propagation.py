"""A class propagated to a query through volumes without annotation.

A registration of two volumes may miss, and then everything that follows from it is wrong. Volumes
that nobody annotated are segmented with the annotated one, and each of them is registered with the
query as well; their errors differ, and the mean of their warped masks is steadier than any one of
them. Whoever annotates one volume has such volumes: those the network was trained on.

Paper: that one atlas makes many through unlabelled images is Wolz et al., LEAP: learning embeddings
for atlas propagation, NeuroImage 2010; and Pipitone et al., MAGeT brain, NeuroImage 2014.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from fewshot.inference.cache import Cache
from fewshot.inference.inputs import ImageStack
from fewshot.inference.slice_features import identity_of
from fewshot.inference.volumes.registered_volumes import RegisteredVolumes
from fewshot.inference.volumes.registration import warp
from fewshot.inference.volumes.segment_volume import segment_volume

_COVERAGES = 512  # classes of intermediate volumes that are remembered


@dataclass(frozen=True, eq=False)
class AnnotatedVolume:
    """One class of one volume.

    Attributes:
        volume: the volume.
        annotated: indices of its annotated slices, rising.
        coverage: which share of every position the class covers, [depth rows columns], 0 to 1.
    """

    volume: ImageStack
    annotated: tuple[int, ...]
    coverage: Tensor


class AtlasPropagation:
    """Unannotated volumes, segmented with the support and registered with the query.

    Args:
        registered: registers the volumes.
        count: how many of them propagate a class; 0 for none.
    """

    def __init__(self, registered: RegisteredVolumes, count: int) -> None:
        self.registered, self.count = registered, count
        self._volumes: tuple[ImageStack, ...] = ()
        self._coverage: Cache[Tensor] = Cache(_COVERAGES)

    def set_intermediates(self, volumes: Sequence[ImageStack]) -> None:
        """Name the volumes to choose from, in their order."""
        self._volumes = tuple(volumes)

    def share_cache(self, other: "AtlasPropagation") -> None:
        """Use the volumes of another object, and what it segmented in the same way."""
        self._volumes = other._volumes
        if other.registered.labels_like(self.registered):
            self._coverage = other._coverage

    def intermediates(self, support: ImageStack, query: ImageStack) -> tuple[ImageStack, ...]:
        """List the first volumes after the support, going round; neither it nor the query.

        From the first one on where the support is none of them.
        """
        names = [identity_of(volume) for volume in self._volumes]
        outside = identity_of(support), identity_of(query)
        start = names.index(outside[0]) if outside[0] in names else 0
        others = [*self._volumes[start:], *self._volumes[:start]]
        return tuple(each for each in others if identity_of(each) not in outside)[: self.count]

    def precompute(self, support: AnnotatedVolume, query: ImageStack) -> None:
        """Segment the intermediate volumes; needed once a support."""
        for intermediate in self.intermediates(support.volume, query):
            self._segment(support, intermediate)

    def propagate(
        self, support: AnnotatedVolume, query: ImageStack
    ) -> Float[Tensor, "depth rows columns"] | None:
        """Warp a class to all slices of the query through every intermediate: the mean coverage.

        Returns:
            None where there is no intermediate volume.
        """
        parts = [
            warp(
                self._segment(support, intermediate),
                self.registered.correspondences(query, intermediate),
            )
            for intermediate in self.intermediates(support.volume, query)
        ]
        return torch.stack(parts).mean(dim=0) if parts else None

    def _segment(self, support: AnnotatedVolume, intermediate: ImageStack) -> Tensor:
        name = (support, identity_of(intermediate))
        return self._coverage.get(name, lambda: self._segmented(support, intermediate))

    def _segmented(self, support: AnnotatedVolume, intermediate: ImageStack) -> Tensor:
        correspondences = self.registered.correspondences(intermediate, support.volume)
        features = self.registered.features
        background, inside = segment_volume(
            *(features.volume(intermediate), features.volume(support.volume), support.coverage),
            *(correspondences, self.registered.local_matching),
        ).unbind(1)
        return (inside - background).sigmoid()
