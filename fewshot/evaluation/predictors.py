"""A segmenter as a method of the protocols: features are remembered, answers refined."""

import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from episodes.catalog.catalog import Sample
from episodes.catalog.letterbox import Letterbox
from episodes.catalog.loader import Loader
from episodes.sampling.episode import Plan, to_channels
from episodes.sampling.sampler import binary_mask
from fewshot.evaluation.confusion_counts import GroundTruth
from fewshot.inference.ensemble import Fuse
from fewshot.inference.postprocessing.flip_tta import mirrored
from fewshot.inference.postprocessing.pipeline import SliceLogits, postprocess
from fewshot.inference.postprocessing.settings import PostprocessSettings
from fewshot.inference.query_similarity import grid_masks
from fewshot.inference.segment_stack import prior_of, score
from fewshot.models.heads.base import Support
from fewshot.models.network import FewShotNetwork

_FEATURES = 1024  # slices whose features are remembered


class SlicePredictor:
    """Segment the queries with a `Segmenter`.

    Consecutive queries that are consecutive planes of one file are refined as a stack.

    Args:
        truth: where the support's masks come from.
        network: in evaluation mode; one whose head works on features.
        postprocess: cues that improve the answers; by default none.
        how: "together" condenses all shots into one support; else each shot is a support of its
            own and the answers are fused, see `fewshot.inference.ensemble`.

    Attributes:
        spent: seconds a slice of every encoding, and of every answer: scores and refinement.
    """

    def __init__(
        self,
        truth: GroundTruth,
        network: FewShotNetwork,
        postprocess: PostprocessSettings | None = None,
        how: Fuse | Literal["together"] = "together",
    ) -> None:
        self.truth = truth
        self.network = network.eval()
        self.postprocess, self.how = postprocess or PostprocessSettings(), how
        self.loader = Loader(network.settings.size)
        self.spent: dict[str, list[float]] = {"encode": [], "answer": []}
        self._features: Callable[[str, bool], Tensor] = lru_cache(_FEATURES)(self._encode)

    @torch.inference_mode()
    def __call__(self, plan: Plan) -> Iterator[np.ndarray]:
        """See `CasePredictor`."""
        chosen = iter(self.supports(plan))
        for stack in _stacks([self.truth.sample(key) for key in plan.query]):
            frame = Letterbox(*stack[0].size, self.network.settings.size)
            supports = [next(chosen) for _ in stack]
            for sample in stack:
                self._features(sample.key, False)  # is not part of the answer's time
            with self._timed("answer", len(stack)):
                scored = map(self._score, supports, stack)
                used = {id(one): one for each in supports for one in each}
                prior = prior_of(list(used.values()), self.postprocess)
                masks = _masks(postprocess(scored, frame, self.postprocess, prior))
            yield from masks

    def supports(self, plan: Plan) -> Sequence[Sequence[Support]]:
        """Give the supports of each query of a plan; here all queries have the same."""
        keys = plan.support[0]
        sets = [keys] if self.how == "together" else [(key,) for key in keys]
        return [[self._condense(shots, plan.classes[0]) for shots in sets]] * len(plan.query)

    def features(self, key: str) -> Float[Tensor, "channel rows columns"]:
        """Features of a slice; remembered."""
        return self._features(key, False)

    def share_cache(self, other: "SlicePredictor") -> None:
        """Use what another method of the same segmenter and catalog remembers."""
        self._features = other._features

    def _refined(
        self, keys: Sequence[str], logits: Float[Tensor, "slice label rows columns"]
    ) -> list[np.ndarray]:
        """Refine the calibrated logits of some slices of one volume, and make masks of them."""
        samples = [self.truth.sample(key) for key in keys]
        frame = Letterbox(*samples[0].size, self.network.settings.size)
        scored = (
            SliceLogits(found[None], self._image(sample), self.features(sample.key)[None])
            for found, sample in zip(logits, samples, strict=True)
        )
        return _masks(postprocess(scored, frame, self.postprocess))

    def _condense(self, keys: Sequence[str], name: str) -> Support:
        masks = torch.stack([self._mask(key, name) for key in keys])[None]
        support = self._of_features(keys, masks, mirror=False)
        if self.postprocess.flip == "both":
            other = self._of_features(keys, mirrored(masks), mirror=True)
            support = replace(support, mirrored=other)
        return support

    def _of_features(self, keys: Sequence[str], masks: Tensor, mirror: bool) -> Support:
        features = torch.stack([self._features(key, mirror) for key in keys])
        shots = masks.to(self.network.device)
        support = self.network.head.encode_support(features[None, None], shots[None])
        small = grid_masks(masks, *features.shape[-2:])
        return replace(support, shots={"features": features, "masks": small})

    def _score(self, supports: Sequence[Support], sample: Sample) -> SliceLogits:
        image = self._image(sample)

        def look(support: Support, mirror: bool) -> tuple[Tensor, Tensor]:
            features = self._features(sample.key, mirror)[None]
            return self.network.head.logits(support, features[None])[0], features

        how = "probabilities" if self.how == "together" else self.how
        return score(look, image, supports, self.postprocess, self.network.calibration, how)

    @torch.inference_mode()
    def _encode(self, key: str, mirror: bool) -> Tensor:
        image = self._image(self.truth.sample(key))
        with self._timed("encode"):
            return self.network.encode(mirrored(image) if mirror else image)[0]

    def _image(self, sample: Sample) -> Float[Tensor, "1 channel height width"]:
        return to_channels(self.loader.image(sample), 3)[None]

    def milliseconds(self) -> float | None:
        """Time of a query slice, the medians of encoding and answering; None before the first."""
        if not self.spent["answer"]:
            return None
        return 1000 * sum(statistics.median(seconds) for seconds in self.spent.values() if seconds)

    @contextmanager
    def _timed(self, part: str, slices: int = 1) -> Iterator[None]:
        device = self.network.device
        self._wait(device)  # accelerators work on while Python goes ahead
        started = time.perf_counter()
        yield
        self._wait(device)
        self.spent[part].append((time.perf_counter() - started) / slices)

    @staticmethod
    def _wait(device: torch.device) -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    def _mask(self, key: str, name: str) -> Tensor:
        return binary_mask(self.loader.labels(self.truth.sample(key), (name,)), 1)


def _masks(probabilities: Iterable[Tensor]) -> list[np.ndarray]:
    """Masks of a class of probabilities [label height width]; argmax over two labels is slow."""
    return [(inside > outside).cpu().numpy() for outside, inside in probabilities]


def _stacks(samples: Sequence[Sample]) -> Iterator[list[Sample]]:
    """Cut a list of samples where one does not lie directly behind the other in the same file."""
    stack: list[Sample] = []
    for sample in samples:
        if stack:
            last, place = stack[-1].image, sample.image
            follows = (place.plane or 0) == (last.plane or 0) + 1
            if place.source != last.source or not follows:
                yield stack
                stack = []
        stack.append(sample)
    if stack:
        yield stack
