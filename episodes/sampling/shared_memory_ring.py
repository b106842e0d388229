"""A ring of shared memory through which worker processes hand over batches.

DataLoader sends tensors one by one, and opens a connection for each: a millisecond and more a
batch, longer than it takes to make one. Here a worker writes a few batches into the next slot of
its part of a block that all processes share, and sends the number of the slot.

A slot is free again when the batches after next are requested: DataLoader requests more of a worker
only when it has handed out earlier batches, and those are copied out before the next are taken.
"""

import io
import pickle
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

PREFETCH = 2
"""Batches of batches that DataLoader has each worker prepare ahead of time."""
_SLOTS = PREFETCH + 2  # one that is being copied out, and one in reserve


@dataclass(frozen=True)
class Slot:
    """Position of some batches in the shared block: sent between processes instead of them.

    Attributes:
        worker, number: of the part and of the slot in it.
        tensors: start, shape and type of each.
        batches: each one pickled, with numbers of tensors instead of tensors.
    """

    worker: int
    number: int
    tensors: tuple[tuple[int, torch.Size, torch.dtype], ...]
    batches: tuple[bytes, ...]


class SharedMemoryRing:
    """Slots for batches in memory that all processes share.

    Args:
        workers: processes that write.
        largest: bytes of a slot; larger batches are sent by DataLoader's own means.
    """

    def __init__(self, workers: int, largest: int) -> None:
        self._block = torch.empty(workers, _SLOTS, largest, dtype=torch.uint8).share_memory_()

    def put(self, batches: list[Any], worker: int, turn: int) -> Slot | list[Any]:
        """Write batches into the worker's next slot; those too large are returned."""
        tensors: list[Tensor] = []
        pickled = tuple(_pickle(batch, tensors) for batch in batches)
        if sum(part.nbytes for part in tensors) > self._block.shape[2]:
            return batches
        number, start = turn % _SLOTS, 0
        positions = []
        for part in tensors:
            data = part.reshape(-1).view(torch.uint8)
            self._block[worker, number, start : start + len(data)] = data
            positions.append((start, part.shape, part.dtype))
            start += len(data)
        return Slot(worker, number, tuple(positions), pickled)

    def take(self, slot: Slot | list[Any]) -> Iterator[Any]:
        """Copy batches out of their slot, one after the other."""
        if not isinstance(slot, Slot):
            yield from slot
            return
        block = self._block[slot.worker, slot.number]
        for pickled in slot.batches:
            yield _Unpickler(pickled, block, slot.tensors).load()


def batch_bytes(batch: Any) -> int:
    """Memory of the tensors of a batch, in bytes."""
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
