"""Volumes without annotation pass an annotated class on: friends of friends say where it lies.

One volume laid over another may miss, and then everything that is learnt from the place is wrong.
But where a class was found in a few further volumes, which nobody annotated, each of them can be
laid over the query as well; their errors differ, and the mean of what they carry is steadier than
any one of them. A lab that annotates one volume has such volumes: those it trained on.

Paper: that one atlas makes many through unlabelled images is Wolz et al., LEAP: learning embeddings
for atlas propagation, NeuroImage 2010; and Pipitone et al., MAGeT brain, NeuroImage 2014.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from copy import copy
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from episodes.protocols.base import Protocol
from fewshot.inference.volumes.registered_volumes import Keys, RegisteredVolumes
from fewshot.inference.volumes.registration import warp
from fewshot.inference.volumes.segment_volume import segment_volume

_COVERAGES = 512  # classes of a relay that are remembered


class AtlasPropagation:
    """Training scans of a protocol, segmented by the support, and laid over the query.

    Args:
        registered: the volumes.
        count: how many of them pass a class on; 0 asks none.
    """

    def __init__(self, registered: RegisteredVolumes, count: int) -> None:
        self.registered, self.count = registered, count
        self.scans: tuple[Keys, ...] = ()
        self._coverage: Callable[[Keys, Keys, str, Keys], Tensor] = lru_cache(_COVERAGES)(
            self._segment_intermediate
        )

    def with_count(self, count: int) -> "AtlasPropagation":
        """Another number of relays; what these remember is used."""
        other = copy(self)
        other.count = count
        return other

    def set_intermediates(self, protocol: Protocol) -> None:
        """Take the scans that a protocol trains on; none of which it drops a slice."""
        kept = Counter(self.registered.scan(sample.key) for sample in protocol.train.samples)
        self.scans = tuple(scan for scan, slices in kept.items() if slices == len(scan))

    def intermediates(self, support: Keys, query: Keys) -> tuple[Keys, ...]:
        """The first scans after the support, going round; neither it nor the query.

        From the first one on where the support is held out of training.
        """
        start = self.scans.index(support) if support in self.scans else 0
        others = [*self.scans[start:], *self.scans[:start]]
        return tuple(scan for scan in others if scan not in (support, query))[: self.count]

    def precompute(self, annotated: Sequence[str], support: Keys, name: str, query: Keys) -> None:
        """Segment the relays; needed once a support."""
        for intermediate in self.intermediates(support, query):
            self._coverage(tuple(annotated), support, name, intermediate)

    def propagate(
        self, annotated: Sequence[str], support: Keys, name: str, query: Keys
    ) -> Float[Tensor, "depth rows columns"] | None:
        """Take a class to all slices of the query through every relay: mean of shares, 0 to 1.

        Args:
            annotated: slices of the support that are.
            support: all of its slices.
            name: of the class.
            query: all of its slices.

        Returns:
            None where no scan is left to ask.
        """
        parts = [
            warp(
                self._coverage(tuple(annotated), support, name, intermediate),
                self.registered.correspondences(query, intermediate),
            )
            for intermediate in self.intermediates(support, query)
        ]
        return torch.stack(parts).mean(dim=0) if parts else None

    def _segment_intermediate(
        self, annotated: Keys, support: Keys, name: str, intermediate: Keys
    ) -> Tensor:
        correspondences = self.registered.correspondences(intermediate, support)
        coverage = self.registered.coverage(annotated, support, name)
        volumes = self.registered.features(intermediate), self.registered.features(support)
        background, inside = segment_volume(
            *volumes, coverage, correspondences, self.registered.local_matching
        ).unbind(1)
        return (inside - background).sigmoid()
