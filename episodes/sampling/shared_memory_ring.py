"""A ring of shared memory through which worker processes hand over batches.

DataLoader sends tensors one by one, and opens a connection for each: a millisecond and more a
batch, longer than it takes to make one. Here a worker writes a few batches into the next place of
its part of a block that all processes share, and sends the number of the place.

A place is free again when the batches after next are requested: DataLoader asks a worker for more
only when it has handed out earlier ones, and those are copied out before the next are taken.
"""

import io
import pickle
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

PREFETCH = 2
"""Places that DataLoader asks each worker to fill ahead of time."""
_PLACES = PREFETCH + 2  # one that is being taken out, and one to spare


@dataclass(frozen=True)
class Place:
    """Where some batches lie: what travels between processes instead of them.

    Attributes:
        worker, number: of the part and of the place in it.
        tensors: start, shape and type of each.
        batches: each one pickled, with numbers of tensors instead of tensors.
    """

    worker: int
    number: int
    tensors: tuple[tuple[int, torch.Size, torch.dtype], ...]
    batches: tuple[bytes, ...]


class Ring:
    """Shared places for batches.

    Args:
        workers: processes that write.
        largest: bytes of the tensors of the largest place; more do not fit and travel as ever.
    """

    def __init__(self, workers: int, largest: int) -> None:
        self._block = torch.empty(workers, _PLACES, largest, dtype=torch.uint8).share_memory_()

    def put(self, batches: list[Any], worker: int, turn: int) -> Place | list[Any]:
        """Write batches into the worker's place for this turn; those too large come back."""
        tensors: list[Tensor] = []
        pickled = tuple(_pickle(batch, tensors) for batch in batches)
        if sum(part.nbytes for part in tensors) > self._block.shape[2]:
            return batches
        number, start = turn % _PLACES, 0
        lying = []
        for part in tensors:
            data = part.reshape(-1).view(torch.uint8)
            self._block[worker, number, start : start + len(data)] = data
            lying.append((start, part.shape, part.dtype))
            start += len(data)
        return Place(worker, number, tuple(lying), pickled)

    def take(self, place: Place | list[Any]) -> Iterator[Any]:
        """Copy batches out of their place, one after the other."""
        if not isinstance(place, Place):
            yield from place
            return
        block = self._block[place.worker, place.number]
        for pickled in place.batches:
            yield _Unpickler(pickled, block, place.tensors).load()


def batch_bytes(batch: Any) -> int:
    """Say how much memory the tensors of a batch take."""
    tensors: list[Tensor] = []
    _pickle(batch, tensors)
    return sum(part.nbytes for part in tensors)


def _pickle(batch: Any, tensors: list[Tensor]) -> bytes:
    """Pickle a batch without its tensors, which are appended to a list."""
    file = io.BytesIO()
    _Pickler(file, tensors).dump(batch)
    return file.getvalue()


class _Pickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO, tensors: list[Tensor]) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self._tensors = tensors

    def persistent_id(self, value: object) -> int | None:
        if not isinstance(value, Tensor) or value.device.type != "cpu":
            return None
        self._tensors.append(value.detach().contiguous())
        return len(self._tensors) - 1


class _Unpickler(pickle.Unpickler):
    def __init__(
        self,
        pickled: bytes,
        block: Tensor,
        tensors: Sequence[tuple[int, torch.Size, torch.dtype]],
    ) -> None:
        super().__init__(io.BytesIO(pickled))
        self._block, self._tensors = block, tensors

    def persistent_load(self, number: int) -> Tensor:
        start, shape, dtype = self._tensors[number]
        size = shape.numel() * dtype.itemsize
        return self._block[start : start + size].clone().view(dtype).view(shape)
