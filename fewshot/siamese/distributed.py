"""The whole batch in every process: embeddings with their gradient, and the numbers beside them."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, distributed


@dataclass(frozen=True)
class Embedded:
    """Embedded items.

    Attributes:
        embeddings: of the items.
        labels: their classes, -1 unknown.
        subjects: numbers of their subjects.
        samples: their places in the catalog.
    """

    embeddings: Float[Tensor, "item dim"]
    labels: Int64[Tensor, "item"]
    subjects: Int64[Tensor, "item"]
    samples: Int64[Tensor, "item"]


def gather_batch(local: Embedded, places: Int64[Tensor, "item"]) -> Embedded:
    """Bring the shares of all processes together, in the order of their places in the batch.

    Shares may differ in size. Every process has to compute the same loss of the result, and the
    gradients of the weights have to be averaged over processes, as DistributedDataParallel does:
    then they are those of one process with the whole batch.

    Args:
        local: this process's share.
        places: of its items in the whole batch.
    """
    if not (distributed.is_available() and distributed.is_initialized()):
        return local
    numbers = torch.stack([local.labels, local.subjects, local.samples, places], dim=1)
    sizes = _sizes(len(numbers), numbers.device)
    labels, subjects, samples, everyones = _collect(numbers, sizes).unbind(dim=1)
    order = everyones.argsort()
    embeddings = _Gather.apply(local.embeddings, sizes)
    return Embedded(embeddings[order], labels[order], subjects[order], samples[order])


def _sizes(size: int, device: torch.device) -> list[int]:
    mine = torch.tensor([size], device=device)
    all_sizes = [torch.zeros_like(mine) for _ in range(distributed.get_world_size())]
    distributed.all_gather(all_sizes, mine)
    return [int(each) for each in all_sizes]


def _collect(values: Tensor, sizes: list[int]) -> Tensor:
    """Gather rows; shares are filled up to the largest on the way, as they have to be equal."""
    padded = values.new_zeros(max(sizes), values.shape[1])
    padded[: len(values)] = values
    received = [torch.empty_like(padded) for _ in sizes]
    distributed.all_gather(received, padded)
    return torch.cat([each[:size] for each, size in zip(received, sizes, strict=True)])


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, values: Tensor, sizes: list[int]) -> Tensor:
        context.sizes = sizes
        return _collect(values, sizes)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        # All processes have the same gradient, so nothing need be sent. Each contributes its own
        # items only, and averaging divides by the number of processes: hence the factor.
        rank, sizes = distributed.get_rank(), context.sizes
        start = sum(sizes[:rank])
        return gradient[start : start + sizes[rank]] * len(sizes), None
