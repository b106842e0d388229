"""A task: the objective, its batches and how it is saved; all that the loop needs of a model."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from episodes.errors import FewshotError
from episodes.sampling.dataloader import EpisodeBatches
from episodes.sampling.sampler import EpisodeSource
from fewshot.losses.episode_loss import DEFAULT_LOSS, EpisodeLoss, takes_class_weights
from fewshot.models.checkpoint import save_network
from fewshot.models.meta_learning import GradientNetwork
from fewshot.models.network import FewShotNetwork
from fewshot.registry import LOSSES
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


def episode_task(
    network: FewShotNetwork,
    source: EpisodeSource,
    alignment: float = 1.0,
    class_weights: tuple[float, float] | None = None,
    loss: str = DEFAULT_LOSS,
) -> Task:
    """Train a segmenter on episodes.

    Args:
        network: trained in place.
        source: of the training catalog, drawing at the segmenter's size.
        alignment: weight of the prototype alignment loss; 0 leaves it out. Gradient-based
            segmenters have none.
        class_weights: of the background and of the classes in the loss of the queries; by default
            the head's own. Gradient-based segmenters take none: their loss is balanced.
        loss: a loss or a sum of losses, see `EpisodeLoss`.

    Raises:
        FewshotError: no such loss, or one that does not fit the network; class_weights for a
            gradient-based network, or for a loss that has none.
    """
    return Task(
        episode_objective(network, alignment, class_weights, loss),
        EpisodeBatches(source),
        partial(save_network, network),
    )


def episode_objective(
    network: FewShotNetwork,
    alignment: float,
    class_weights: tuple[float, float] | None,
    loss: str,
) -> nn.Module:
    """Build what episodic training minimises; arguments and errors are those of `episode_task`."""
    if isinstance(network, GradientNetwork):
        return _gradient_objective(network, class_weights, EpisodeLoss(loss))
    return EpisodeObjective(network, alignment, class_weights, _weighed(loss, class_weights))


def _gradient_objective(
    network: GradientNetwork, class_weights: tuple[float, float] | None, loss: EpisodeLoss
) -> GradientObjective:
    method = network.head.settings.method
    if class_weights is not None:
        raise FewshotError(
            f"class_weights are {class_weights}, but the loss of {method} is balanced; leave them "
            "out"
        )
    if method == "reptile" and loss.text != DEFAULT_LOSS:
        raise FewshotError(
            f"loss is {loss.text!r}, but reptile moves towards the adapted weights and has no loss "
            "of the queries; leave it out"
        )
    return GradientObjective(network, loss)


def _weighed(text: str, class_weights: tuple[float, float] | None) -> EpisodeLoss:
    loss = EpisodeLoss(text)
    if class_weights is not None and not loss.takes_weights:
        raise FewshotError(
            f"class_weights are {class_weights}, but loss {text!r} has none; leave them out, or "
            f"add {' or '.join(filter(takes_class_weights, LOSSES.names()))}"
        )
    return loss
