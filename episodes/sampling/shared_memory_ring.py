"""A ring of shared memory through which worker processes hand over batches.

DataLoader sends tensors one by one, and opens a connection for each: a millisecond and more a
batch, longer than it takes to make one. Here a worker writes a batch into the next place of its
part of a block that all processes share, and sends the number of the place.

A place is free again when the batch after next is asked for: DataLoader asks a worker for one more
batch only when it has handed out an earlier one, and who takes a batch out copies it at once.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from episodes.sampling.episode import EpisodeBatch, Plan

PREFETCH = 2
"""Batches that DataLoader asks of each worker ahead of time."""
_PLACES = PREFETCH + 2  # one that is being taken out, and one to spare
_TENSORS = ("support_images", "query_images", "support_masks", "query_labels")


@dataclass(frozen=True)
class Place:
    """Where a batch lies: what travels between processes instead of it.

    Attributes:
        worker, number: of the part and of the place in it.
        shapes: shape and type of each tensor, in the order of the block.
        plans: of the episodes.
    """

    worker: int
    number: int
    shapes: tuple[tuple[torch.Size, torch.dtype], ...]
    plans: tuple[Plan, ...]


class Ring:
    """Shared places for batches.

    Args:
        workers: processes that write.
        largest: bytes of the largest batch; larger ones do not fit and travel as ever.
    """

    def __init__(self, workers: int, largest: int) -> None:
        self._block = torch.empty(workers, _PLACES, largest, dtype=torch.uint8).share_memory_()

    def put(self, batch: EpisodeBatch, worker: int, turn: int) -> Place | EpisodeBatch:
        """Write a batch into the worker's place for this turn; one that does not fit comes back."""
        parts = [getattr(batch, name).contiguous() for name in _TENSORS]
        if batch_bytes(batch) > self._block.shape[2]:
            return batch
        number, start = turn % _PLACES, 0
        for part in parts:
            data = part.view(-1).view(torch.uint8)
            self._block[worker, number, start : start + len(data)] = data
            start += len(data)
        shapes = tuple((part.shape, part.dtype) for part in parts)
        return Place(worker, number, shapes, batch.plans)

    def take(self, place: Place | EpisodeBatch) -> EpisodeBatch:
        """Copy a batch out of its place."""
        if isinstance(place, EpisodeBatch):
            return place
        block = self._block[place.worker, place.number]
        tensors = dict(zip(_TENSORS, _parts(block, place.shapes), strict=True))
        return EpisodeBatch(**tensors, plans=place.plans)


def batch_bytes(batch: EpisodeBatch) -> int:
    """Say how much memory the tensors of a batch take."""
    return sum(getattr(batch, name).nbytes for name in _TENSORS)


def _parts(block: Tensor, shapes: Sequence[tuple[torch.Size, torch.dtype]]) -> Iterator[Tensor]:
    start = 0
    for shape, dtype in shapes:
        size = shape.numel() * dtype.itemsize
        yield block[start : start + size].clone().view(dtype).view(shape)
        start += size
