"""Several segmentations of one image become one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from episodes.errors import DataError
from episodes.optional import import_optional
from fewshot.lazily import lazily
from fewshot.pipeline.step import FuseStep
from fewshot.registry import register_step

if TYPE_CHECKING:
    from fewshot.inference.result import Segmentation

torch = lazily("torch")
ensemble = lazily("fewshot.inference.ensemble")  # imports torch

_LEAST = 1e-6  # probability below which logarithms no longer fall


@register_step("fuse")
@dataclass(frozen=True)
class FuseLabels(FuseStep):
    """Fuse the results of several segment steps.

    Attributes:
        method: each has one vote a pixel, and the mean probability decides a tie (majority); the
            mean of probabilities (mean); or votes weighted by how far each agrees with the
            consensus, which STAPLE estimates (staple, extra `medical`).

    Paper: Warfield et al., Simultaneous truth and performance level estimation, IEEE TMI 2004.
    """

    method: Literal["majority", "mean", "staple"] = "majority"

    def fuse(self, results: "Sequence[Segmentation]") -> "Segmentation":
        """Fuse; see `FuseStep`.

        Raises:
            DataError: they differ in their classes, or SimpleITK is not installed for STAPLE.
        """
        first = results[0]
        for other in results[1:]:
            if (other.class_names, other.values) != (first.class_names, first.values):
                raise DataError(
                    f"fuse: the segment steps find {', '.join(first.class_names)} and "
                    f"{', '.join(other.class_names)}; expected the same classes of the same "
                    "values, in the same order"
                )
        logits = torch.from_numpy(np.stack([r.probabilities for r in results])).float()
        logits = logits.clamp(min=_LEAST).log().movedim(2, 1)  # [result plane label row column]
        mean = ensemble.fuse(logits).softmax(dim=-3).movedim(1, 0).numpy()
        if self.method == "mean":
            return _labelled(results, mean, mean)
        if self.method == "majority":
            votes = ensemble.fuse(logits, "majority").softmax(dim=-3).movedim(1, 0).numpy()
            return _labelled(results, votes, votes + mean / (2 * len(results)))
        shares = _staple(np.stack([r.labels for r in results]), len(first.class_names))
        return _labelled(results, shares, shares + mean * 1e-3)


def _labelled(
    results: "Sequence[Segmentation]", probabilities: np.ndarray, scores: np.ndarray
) -> "Segmentation":
    """Give every pixel the label of the highest score; doubts of any result stay."""
    known = [r.expected_dice for r in results if r.expected_dice is not None]
    similar = [
        r.query_support_similarity for r in results if r.query_support_similarity is not None
    ]
    return replace(
        results[0],
        labels=scores.argmax(axis=0).astype(np.uint8),
        probabilities=probabilities.astype(np.float16),
        expected_dice=min(known, default=None),
        query_support_similarity=min(similar, default=None),
        no_answer=next((r.no_answer for r in results if r.no_answer), ""),
    )


def _staple(labels: np.ndarray, ways: int) -> np.ndarray:
    """Weights of each label from the performance that STAPLE estimates: [label plane row column].

    Args:
        labels: uint8 [result plane row column].
        ways: classes beside the background.
    """
    library: Any = import_optional("SimpleITK", "medical")
    if (labels == labels[0]).all():  # there is nothing to estimate
        return np.stack([labels[0] == label for label in range(ways + 1)]).astype(np.float32)
    shares = []
    for label in range(1, ways + 1):
        images = [library.GetImageFromArray((each == label).astype(np.uint8)) for each in labels]
        if not (labels == label).any():
            shares.append(np.zeros(labels.shape[1:], np.float32))
            continue
        staple = library.STAPLEImageFilter()
        staple.SetNumberOfThreads(1)  # sums of several threads differ from run to run
        staple.SetForegroundValue(1)
        shares.append(library.GetArrayFromImage(staple.Execute(*images)).astype(np.float32))
    inside = np.stack(shares)
    background = np.clip(1 - inside.max(axis=0, keepdims=True), 0, 1)
    both = np.concatenate([background, inside])
    return both / np.maximum(both.sum(axis=0, keepdims=True), 1e-12)
