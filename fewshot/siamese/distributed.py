"""Gathers the whole batch in every process: embeddings with gradients, and labels."""

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
        samples: their indices in the catalog.
    """

    embeddings: Float[Tensor, "item dim"]
    labels: Int64[Tensor, "item"]
    subjects: Int64[Tensor, "item"]
    samples: Int64[Tensor, "item"]


def gather_batch(local: Embedded, positions: Int64[Tensor, "item"]) -> Embedded:
    """Gather the parts of all processes, in the order of their positions in the batch.

    Parts may differ in size. Every process has to compute the same loss of the result, and the
    gradients of the weights have to be averaged over processes, as DistributedDataParallel does:
    then they are those of one process with the whole batch.

    Args:
        local: this process's part.
        positions: of its items in the whole batch.
    """
    if not (distributed.is_available() and distributed.is_initialized()):
        return local
    numbers = torch.stack([local.labels, local.subjects, local.samples, positions], dim=1)
    sizes = _sizes(len(numbers), numbers.device)
    labels, subjects, samples, all_positions = _collect(numbers, sizes).unbind(dim=1)
    order = all_positions.argsort()
    embeddings = _AllGather.apply(local.embeddings, sizes)
    return Embedded(embeddings[order], labels[order], subjects[order], samples[order])


def _sizes(size: int, device: torch.device) -> list[int]:
    local = torch.tensor([size], device=device)
    all_sizes = [torch.zeros_like(local) for _ in range(distributed.get_world_size())]
    distributed.all_gather(all_sizes, local)
    return [int(n) for n in all_sizes]


def _collect(values: Tensor, sizes: list[int]) -> Tensor:
    """Gather rows; parts are padded to the largest meanwhile, as all_gather needs equal sizes."""
    padded = values.new_zeros(max(sizes), values.shape[1])
    padded[: len(values)] = values
    received = [torch.empty_like(padded) for _ in sizes]
    distributed.all_gather(received, padded)
    return torch.cat([rows[:size] for rows, size in zip(received, sizes, strict=True)])


class _AllGather(torch.autograd.Function):
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
