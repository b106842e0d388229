"""A segmenter as a method of the protocols, used as its users do: learn, then segment files."""

import statistics
import time
from collections.abc import Callable, Iterator
from functools import lru_cache

import numpy as np

from episodes.io.read import planes_of
from episodes.sampling.episode import Plan
from fewshot.evaluation.confusion_counts import GroundTruth
from fewshot.inference.inputs import ImageStack
from fewshot.inference.postprocessing.settings import PostprocessSettings
from fewshot.inference.segmenter import Segmenter
from fewshot.inference.support_set import SupportSet
from fewshot.inference.two_stage import TwoStageSupport, learn_two_stage, segment_two_stage
from fewshot.models.heads import Support

_PICTURES = 512  # remembered


class EndToEndPredictor:
    """Learn the support with `Segmenter.learn_shots`, segment each query image by itself.

    Unlike `fewshot.evaluation.predictors.SlicePredictor`, which remembers features in one
    square, this enlarges what is thin (`fewshot.inference.resolution`) and can look twice
    (`fewshot.inference.two_stage`).

    Args:
        truth: where the support's masks come from.
        segmenter: in evaluation mode.
        postprocess: cues that improve the answers; by default none.
        zoom: side of the second look's window, in extents of the structure; 0 for one look.
    """

    def __init__(
        self,
        truth: GroundTruth,
        segmenter: Segmenter,
        postprocess: PostprocessSettings | None = None,
        zoom: float = 0.0,
    ) -> None:
        self.truth, self.segmenter, self.zoom = truth, segmenter, zoom
        self.network = segmenter.network
        self.postprocess = postprocess or PostprocessSettings()
        self.spent: list[float] = []
        self._picture: Callable[[str], ImageStack] = lru_cache(_PICTURES)(self._read)
        self._learned = lru_cache(1)(self._learn)

    def __call__(self, plan: Plan) -> Iterator[np.ndarray]:
        """See `fewshot.evaluation.confusion_counts.CasePredictor`."""
        support = self._learned(plan.support[0], plan.classes[0])
        for key in plan.query:
            picture = self._picture(key)
            started = time.perf_counter()
            if isinstance(support, TwoStageSupport):
                found = segment_two_stage(self.segmenter, picture, support, self.postprocess)
            else:
                found = self.segmenter.segment(picture, support, self.postprocess)
            self.spent.append(time.perf_counter() - started)
            yield found.labels[0] == 1

    def milliseconds(self) -> float | None:
        """Time of a query, the median; None before the first."""
        return 1000 * statistics.median(self.spent) if self.spent else None

    def _learn(self, keys: tuple[str, ...], name: str) -> Support | TwoStageSupport:
        maps = tuple(self.truth.mask(key, name)[None] for key in keys)
        shots = SupportSet(tuple(map(self._picture, keys)), maps, (name,), (1,))
        mirror = self.postprocess.flip == "both"
        if self.zoom:
            return learn_two_stage(self.segmenter, shots, self.zoom, mirror=mirror)
        return self.segmenter.learn_shots(shots, mirror=mirror)

    def _read(self, key: str) -> ImageStack:
        place = self.truth.sample(key).image
        pixels = planes_of(place.source)[place.plane or 0]
        return ImageStack(pixels[None], key)
