"""Count pixels of methods under a protocol of `episodes.protocols`, at the files' own pixels."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Literal
from typing import Protocol as Interface

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from episodes import decode
from episodes.catalog import IGNORE, Catalog, Sample
from episodes.episode import Plan, to_channels
from episodes.frame import Frame
from episodes.legend import class_map, named
from episodes.load import Loader
from episodes.protocols.contract import Protocol
from episodes.protocols.score import Count
from episodes.sampler import binary_mask
from fewshot.answer import prior_of, score
from fewshot.baselines.copy_mask import paste
from fewshot.confidence import grid_masks
from fewshot.ensemble import Fuse
from fewshot.heads.contract import Support
from fewshot.refine.flip import mirrored
from fewshot.refine.order import Scored, refine
from fewshot.refine.settings import RefineSettings
from fewshot.segmenter import Segmenter

_MAPS, _FILES, _FEATURES = 1024, 4, 512  # remembered at once


class Method(Interface):
    """Anything that segments the queries of a one-way plan."""

    def __call__(self, plan: Plan) -> Iterator[np.ndarray]:
        """Give one boolean mask [height width] a query, at the query's own size."""
        ...


class Truth:
    """Label maps of a catalog at the size of the files.

    Args:
        catalog: measured; its classes are numbered from 1.
    """

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self._samples = {sample.key: sample for sample in catalog.samples}
        self._planes: Callable[[Path], np.ndarray] = lru_cache(_FILES)(decode.read_labels)
        self.labels: Callable[[str], np.ndarray] = lru_cache(_MAPS)(self._read)

    def sample(self, key: str) -> Sample:
        """Return the sample of a key."""
        return self._samples[key]

    def mask(self, key: str, name: str) -> np.ndarray:
        """Read the mask of one class: uint8 [height width], 0, 1, 255 unknown."""
        labels = self.labels(key)
        mask = (labels == self.catalog.classes.index(name) + 1).astype(np.uint8)
        mask[labels == IGNORE] = IGNORE
        return mask

    def _read(self, key: str) -> np.ndarray:
        sample = self._samples[key]
        merged = np.full(sample.size, 0 if sample.masks else IGNORE, np.uint8)
        for mask in sample.masks:
            path = mask.pixels.path
            values = self._planes(path)[mask.pixels.plane or 0]
            found = class_map(values, named(mask), self.catalog.classes, str(path))
            clash = (merged > 0) & (found > 0) & (merged != found)
            merged = np.where(found > 0, found, merged)
            merged[clash] = IGNORE
        return merged


class CopyMask:
    """Paste the support's mask on every query; several shots vote, a tie being background.

    Args:
        truth: where the support's masks come from.
    """

    def __init__(self, truth: Truth) -> None:
        self.truth = truth

    def __call__(self, plan: Plan) -> Iterator[np.ndarray]:
        """See `Method`."""
        shots = [self.truth.mask(key, plan.classes[0]) == 1 for key in plan.support[0]]
        for key in plan.query:
            shape = self.truth.sample(key).size
            votes = [paste(shot.astype(np.uint8), shape) for shot in shots]
            yield votes[0] == 1 if len(votes) == 1 else 2 * np.sum(votes, axis=0) > len(votes)


class Model:
    """Segment the queries with a `Segmenter`.

    Consecutive queries that are consecutive planes of one file are refined as a stack.

    Args:
        truth: where the support's masks come from.
        segmenter: in evaluation mode; one whose head works on features.
        refine: cues that improve the answers; by default none.
        how: "together" condenses all shots into one support; else each shot is a support of its
            own and the answers are fused, see `fewshot.ensemble`.
    """

    def __init__(
        self,
        truth: Truth,
        segmenter: Segmenter,
        refine: RefineSettings | None = None,
        how: Fuse | Literal["together"] = "together",
    ) -> None:
        self.truth = truth
        self.segmenter = segmenter.eval()
        self.refine, self.how = refine or RefineSettings(), how
        self.loader = Loader(segmenter.settings.size)
        self._features: Callable[[str, bool], Tensor] = lru_cache(_FEATURES)(self._encode)

    @torch.inference_mode()
    def __call__(self, plan: Plan) -> Iterator[np.ndarray]:
        """See `Method`."""
        keys = plan.support[0]
        sets = [keys] if self.how == "together" else [(key,) for key in keys]
        supports = [self._condense(shots, plan.classes[0]) for shots in sets]
        for stack in _stacks([self.truth.sample(key) for key in plan.query]):
            frame = Frame(*stack[0].size, self.segmenter.settings.size)
            scored = (self._score(supports, sample) for sample in stack)
            prior = prior_of(supports, self.refine)
            for background, foreground in refine(scored, frame, self.refine, prior):
                yield (foreground > background).cpu().numpy()  # argmax over the first axis is slow

    def _condense(self, keys: Sequence[str], name: str) -> Support:
        masks = torch.stack([self._mask(key, name) for key in keys])[None]
        support = self._of_features(keys, masks, mirror=False)
        if self.refine.flip == "both":
            other = self._of_features(keys, mirrored(masks), mirror=True)
            support = replace(support, mirrored=other)
        return support

    def _of_features(self, keys: Sequence[str], masks: Tensor, mirror: bool) -> Support:
        features = torch.stack([self._features(key, mirror) for key in keys])
        shots = masks.to(self.segmenter.device)
        support = self.segmenter.head.condense(features[None, None], shots[None])
        small = grid_masks(masks, *features.shape[-2:])
        return replace(support, shots={"features": features, "masks": small})

    def _score(self, supports: Sequence[Support], sample: Sample) -> Scored:
        image = to_channels(self.loader.image(sample), 3)[None]

        def look(support: Support, mirror: bool) -> tuple[Tensor, Tensor]:
            features = self._features(sample.key, mirror)[None]
            return self.segmenter.head.score(support, features[None])[0], features

        how = "probabilities" if self.how == "together" else self.how
        return score(look, image, supports, self.refine, self.segmenter.calibration, how)

    @torch.inference_mode()
    def _encode(self, key: str, mirror: bool) -> Tensor:
        image = to_channels(self.loader.image(self.truth.sample(key)), 3)
        return self.segmenter.encode(mirrored(image[None]) if mirror else image[None])[0]

    def _mask(self, key: str, name: str) -> Tensor:
        return binary_mask(self.loader.labels(self.truth.sample(key), (name,)), 1)


def count_protocol(
    protocol: Protocol, method: Method, truth: Truth, *, progress: bool = False
) -> list[Count]:
    """Segment every case and count the pixels of its class, case by case in the protocol's order.

    Args:
        protocol: its plans have one way.
        method: what is scored.
        truth: of a catalog that holds the protocol's samples.
        progress: show a progress bar.

    Returns:
        One row a case and subject.
    """
    square = partial(paste, shape=(protocol.score_size,) * 2) if protocol.score_size else None
    fold = int(protocol.settings.get("fold", 0))
    counts: list[Count] = []
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


def count_pixels(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Count found, missed, wrong and remaining pixels.

    Args:
        predicted: bool [height width].
        truth: uint8 [height width], 0, 1, 255 unknown, which counts nowhere.

    >>> count_pixels(np.array([True, True, False, True]), np.array([1, 0, 1, 255], np.uint8))
    array([1, 1, 1, 0])
    """
    real = truth == 1
    found = np.count_nonzero(predicted & real)
    missed = np.count_nonzero(real) - found
    wrong = np.count_nonzero(predicted & (truth == 0))
    return np.array(
        [found, missed, wrong, np.count_nonzero(truth != IGNORE) - found - missed - wrong]
    )


def pooled(counts: Iterable[Count]) -> list[Count]:
    """Pool counts: one row a run, fold, subject and class."""
    sums: dict[tuple[str, str, str, int], np.ndarray] = {}
    for count in counts:
        key = (count.run, count.subject, count.class_name, count.fold)
        numbers = np.array([count.found, count.missed, count.wrong, count.rest])
        sums[key] = sums.get(key, 0) + numbers
    return [_count(*key, numbers) for key, numbers in sums.items()]


def _count(run: str, subject: str, name: str, fold: int, numbers: np.ndarray) -> Count:
    found, missed, wrong, rest = map(int, numbers)
    return Count(run, subject, name, found, missed, wrong, rest, fold)
