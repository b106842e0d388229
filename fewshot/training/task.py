"""What is trained on what: the loop knows nothing else of a model or of its data."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from episodes.episode import EpisodeBatch, collate
from episodes.errors import FewshotError
from episodes.sampler import EpisodeSource
from fewshot.adapt.objective import GradientObjective
from fewshot.adapt.segmenter import GradientSegmenter
from fewshot.saving import save_segmenter
from fewshot.segmenter import Segmenter
from fewshot.training.objective import EpisodeObjective


@dataclass(frozen=True)
class Task:
    """Something to be trained: episodes, pairs, or plain pictures with labels.

    Attributes:
        objective: `objective(batch)` returns a dictionary of scalar tensors; "loss" is minimised
            and all are logged. A batch's loss has to be the mean of its items' losses, or
            several processes will not do what one does; or the objective brings the batch together
            and computes one loss in every process (`fewshot.siamese.task`).
        load: makes a batch of the items with these numbers, on the CPU; a pure function of them.
            It runs in worker processes.
        save: writes the model into a folder, for its users.
    """

    objective: nn.Module
    load: Callable[[Sequence[int]], Any]
    save: Callable[[Path], object]


def episodic(
    segmenter: Segmenter,
    source: EpisodeSource,
    alignment: float = 1.0,
    class_weights: tuple[float, float] | None = None,
) -> Task:
    """Train a segmenter on episodes.

    Args:
        segmenter: trained in place.
        source: of the training catalog, drawing at the segmenter's size.
        alignment: weight of the prototype alignment loss; 0 leaves it out. Gradient-based
            segmenters have none.
        class_weights: of the background and of the classes in the loss of the queries; by default
            the head's own. Gradient-based segmenters take none: their loss is balanced.

    Raises:
        FewshotError: class_weights for a gradient-based segmenter.
    """
    if class_weights is not None and isinstance(segmenter, GradientSegmenter):
        raise FewshotError(
            f"class_weights are {class_weights}, but the loss of {segmenter.head.settings.method} "
            "is balanced; leave them out"
        )
    objective: nn.Module = (
        GradientObjective(segmenter)
        if isinstance(segmenter, GradientSegmenter)
        else EpisodeObjective(segmenter, alignment, class_weights)
    )
    return Task(
        objective,
        partial(_episodes, source),
        partial(save_segmenter, segmenter),
    )


def _episodes(source: EpisodeSource, indices: Sequence[int]) -> EpisodeBatch:
    return collate([source.episode(index) for index in indices])
