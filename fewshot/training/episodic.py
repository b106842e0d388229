"""What is trained on what: the loop knows nothing else of a model or of its data."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from episodes.errors import FewshotError
from episodes.sampling.episode import EpisodeBatch, collate
from episodes.sampling.sampler import EpisodeSource
from fewshot.models.checkpoint import save_network
from fewshot.models.meta_learning import GradientNetwork
from fewshot.models.network import FewShotNetwork
from fewshot.training.meta_objective import GradientObjective
from fewshot.training.objective import EpisodeObjective


@dataclass(frozen=True)
class Task:
    """Something to be trained: episodes, pairs, or plain pictures with labels.

    Attributes:
        objective: `objective(batch)` returns a dictionary of scalar tensors; "loss" is minimised
            and all are logged. A batch's loss has to be the mean of its items' losses, or
            several processes will not do what one does; or the objective brings the batch together
            and computes one loss in every process (`fewshot.siamese.objective`).
        load: makes a batch of the items with these numbers, on the CPU; a pure function of them.
            It runs in worker processes.
        save: writes the model into a folder, for its users.
    """

    objective: nn.Module
    load: Callable[[Sequence[int]], Any]
    save: Callable[[Path], object]


def episodic(
    network: FewShotNetwork,
    source: EpisodeSource,
    alignment: float = 1.0,
    class_weights: tuple[float, float] | None = None,
) -> Task:
    """Train a segmenter on episodes.

    Args:
        network: trained in place.
        source: of the training catalog, drawing at the segmenter's size.
        alignment: weight of the prototype alignment loss; 0 leaves it out. Gradient-based
            segmenters have none.
        class_weights: of the background and of the classes in the loss of the queries; by default
            the head's own. Gradient-based segmenters take none: their loss is balanced.

    Raises:
        FewshotError: class_weights for a gradient-based network.
    """
    if class_weights is not None and isinstance(network, GradientNetwork):
        raise FewshotError(
            f"class_weights are {class_weights}, but the loss of {network.head.settings.method} "
            "is balanced; leave them out"
        )
    objective: nn.Module = (
        GradientObjective(network)
        if isinstance(network, GradientNetwork)
        else EpisodeObjective(network, alignment, class_weights)
    )
    return Task(
        objective,
        partial(_episodes, source),
        partial(save_network, network),
    )


def _episodes(source: EpisodeSource, indices: Sequence[int]) -> EpisodeBatch:
    return collate([source.episode(index) for index in indices])
