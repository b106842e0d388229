"""Match, then segment, for whole volumes: lay them over each other, then compare what lies close.

`MatchedVolumes` is a method of the protocols: one annotated volume, or a few annotated slices of
one, segment every slice of another, whose truth chooses nothing. `segment_volume` is the same for
features and masks.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from episodes.episode import Plan, to_channels
from episodes.frame import Frame
from episodes.protocols import contract
from episodes.protocols.contract import Protocol
from episodes.protocols.whole_volumes import whole_volumes
from fewshot.counting import Truth
from fewshot.protocol_model import Model
from fewshot.prototypes import grid_weights
from fewshot.refine.order import Scored, refine
from fewshot.refine.settings import RefineSettings
from fewshot.segmenter import Segmenter
from fewshot.siamese.nearby import NearbySettings, complete, score_nearby
from fewshot.siamese.registration import RegistrationSettings, carry, register

_VOLUMES, _PAIRS = 32, 128  # volumes whose features, and pairs whose places are remembered


def segment_volume(
    query: Float[Tensor, "depth channel rows columns"],
    support: Float[Tensor, "support_depth channel rows columns"],
    shares: Float[Tensor, "support_depth rows columns"],
    places: Float[Tensor, "depth 3 rows columns"],
    settings: NearbySettings | None = None,
) -> Float[Tensor, "depth label rows columns"]:
    """Segment one class of a volume from an annotated one.

    Args:
        query, support: features of whole volumes.
        shares: which share of every entry of the support the class covers; of a few annotated
            slices, `fewshot.siamese.nearby.complete` makes the rest.
        places: from `fewshot.siamese.registration.register`.
        settings: see `fewshot.siamese.nearby`.

    Returns:
        Logits of background and class.
    """
    settings = settings or NearbySettings()
    sought = carry(shares, places) > 1 - settings.purity
    found = score_nearby(query, support, shares, places, sought, settings)
    return torch.stack([torch.zeros_like(found), found], dim=1)


def shares_of(masks: Tensor, rows: int, columns: int) -> Float[Tensor, "slice rows columns"]:
    """Which share of every entry of a feature grid masks {0, 1, 255} cover; unknown is none."""
    entry = masks.shape[-2] * masks.shape[-1] / (rows * columns)
    return grid_weights(masks == 1, rows, columns) / entry


class MatchedVolumes(Model):
    """Segment whole volumes with an annotated volume, or a few annotated slices of one.

    Args:
        truth: where the support's masks come from, and which slices a volume has; masks are read of
            the slices that a plan names as support alone.
        segmenter: in evaluation mode; one whose head works on features. Its head is not used.
        refine: cues that improve the answers; by default none.
        registration: how volumes are laid over each other.
        nearby: how positions are compared.
    """

    def __init__(
        self,
        truth: Truth,
        segmenter: Segmenter,
        refine: RefineSettings | None = None,
        registration: RegistrationSettings | None = None,
        nearby: NearbySettings | None = None,
    ) -> None:
        super().__init__(truth, segmenter, refine)
        self.registration = registration or RegistrationSettings()
        self.nearby = nearby or NearbySettings()
        self._scans = {
            sample.key: tuple(one.key for one in samples)
            for samples in contract.volumes(truth.catalog).values()
            for sample in samples
        }
        self._volume: Callable[[tuple[str, ...]], Tensor] = lru_cache(_VOLUMES)(self._stacked)
        self._laid: Callable[[tuple[str, ...], tuple[str, ...]], Tensor] = lru_cache(_PAIRS)(
            self._register
        )

    def arrange(self, protocol: Protocol) -> Protocol:
        """Join the cases of one run, class, support and query volume; see `Arranging`."""
        return whole_volumes(protocol, self.truth.catalog)

    @torch.inference_mode()
    def __call__(self, plan: Plan) -> Iterator[np.ndarray]:
        """See `Method`."""
        query, scan = self._scans[plan.query[0]], self._scans[plan.support[0][0]]
        features, support = self._volume(query), self._volume(scan)  # not the answer's time
        with self._timed("answer", len(plan.query)):
            shares = self._shares(plan.support[0], scan, plan.classes[0])
            places = self._laid(query, scan)
            logits = segment_volume(features, support, shares, places, self.nearby)
            wanted = [query.index(key) for key in plan.query]
            samples = [self.truth.sample(key) for key in plan.query]
            frame = Frame(*samples[0].size, self.segmenter.settings.size)
            scored = (
                Scored(
                    self.segmenter.calibration(logits[[place]]),
                    to_channels(self.loader.image(sample), 3)[None],
                    features[[place]],
                )
                for place, sample in zip(wanted, samples, strict=True)
            )
            found = refine(scored, frame, self.refine)
            masks = [(inside > outside).cpu().numpy() for outside, inside in found]
        yield from masks

    def _shares(
        self, annotated: Sequence[str], scan: tuple[str, ...], name: str
    ) -> Float[Tensor, "support_depth rows columns"]:
        """Shares of a class in all slices of the support volume."""
        features = self._volume(scan)
        masks = torch.stack([self._mask(key, name) for key in annotated])
        shares = shares_of(masks, *features.shape[-2:]).to(features)
        if len(annotated) == len(scan):
            return shares
        heights = [scan.index(key) for key in annotated]
        return complete(features, shares, heights, self.nearby)

    def _stacked(self, keys: tuple[str, ...]) -> Tensor:
        return torch.stack([self._encode(key, False).float() for key in keys])

    def _register(self, query: tuple[str, ...], support: tuple[str, ...]) -> Tensor:
        return register(self._volume(query), self._volume(support), self.registration)
