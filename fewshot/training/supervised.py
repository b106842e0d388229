"""Plain supervised training in the same loop: pictures with labels, any network, any loss."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from episodes.augmentation.base import Transform
from episodes.catalog.catalog import Catalog
from episodes.catalog.loader import Loader
from episodes.errors import DataError
from episodes.io.write import atomic_write, make_folder
from episodes.sampling.episode import to_channels
from episodes.sampling.plans import episode_generator
from fewshot.losses import cross_entropy_loss
from fewshot.training.episodic import Task

_ORDER, _TRANSFORM = 40, 41  # streams of the generator

ImageBatch = tuple[Tensor, Tensor]
"""Images float32 [batch channel height width] and labels uint8 [batch height width]."""


class Supervised(nn.Module):
    """The mean loss of a network's logits on labelled images.

    Args:
        network: gives logits [batch label rows columns] for images; coarser ones are enlarged.
        loss: any of `fewshot.losses`, or a `WeightedSum` of several.
    """

    def __init__(self, network: nn.Module, loss: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.network, self.loss = network, loss

    def forward(self, batch: Sequence[Tensor]) -> dict[str, Tensor]:
        """Return the "loss"."""
        images, labels = batch
        logits = self.network(images)
        if logits.shape[-2:] != labels.shape[-2:]:
            logits = functional.interpolate(
                logits, size=labels.shape[-2:], mode="bilinear", align_corners=False
            )
        return {"loss": self.loss(logits, labels)}


def supervised_task(
    network: nn.Module,
    catalog: Catalog,
    loader: Loader,
    *,
    loss: Callable[[Tensor, Tensor], Tensor] = cross_entropy_loss,
    transform: Transform | None = None,
    channel: int = 3,
    seed: int = 0,
) -> Task:
    """Train a network on the images of a catalog, which all come once before any comes again.

    Args:
        network: one logit a class of the catalog, and one for the background, which is label 0.
        catalog: with classes and masks.
        loader: reads the pixels.
        loss: any of `fewshot.losses`.
        transform: changes images and labels together.
        channel: 1 or 3, what the network takes.
        seed: of the order and the transforms.

    Raises:
        DataError: no image, or no class.
    """
    if not len(catalog) or not catalog.classes:
        raise DataError(
            f"catalog {catalog.name!r} has {len(catalog)} images and {len(catalog.classes)} "
            "classes; supervised training needs at least one of each"
        )

    pictures = _Images(catalog, loader, transform, channel, seed)
    return Task(Supervised(network, loss), pictures, partial(_save, network))


@dataclass(frozen=True)
class _Images:
    """Loads labelled images by item number; worker processes get a copy of it."""

    catalog: Catalog
    loader: Loader
    transform: Transform | None
    channel: int
    seed: int

    def __call__(self, indices: Sequence[int]) -> ImageBatch:
        images, labels = zip(*(self._item(index) for index in indices), strict=True)
        return torch.stack(images), torch.stack(labels)

    def _item(self, index: int) -> ImageBatch:
        turn, place = divmod(index, len(self.catalog))
        order = episode_generator(self.seed, turn, _ORDER).permutation(len(self.catalog))
        sample = self.catalog.samples[int(order[place])]
        pair = self.loader.image(sample), self.loader.labels(sample, self.catalog.classes)
        if self.transform is not None:
            pair = self.transform(*pair, episode_generator(self.seed, index, _TRANSFORM))
        return to_channels(pair[0], self.channel), pair[1]


def _save(network: nn.Module, folder: Path) -> None:
    with atomic_write(make_folder(folder) / "model.safetensors") as partial_file:
        state = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
        save_file(state, partial_file)
