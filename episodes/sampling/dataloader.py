"""The loader of batches: any number of workers, processes and restarts, the same batches.

Process r of `world` takes the items i with i mod world = r, in order. Its workers take batches in
turn, a few at once where they are small, and hand them out in turn, so workers change nothing.
"""

import itertools
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch.utils.data import DataLoader, IterableDataset

from episodes.errors import EpisodeError
from episodes.sampling.episode import EpisodeBatch, Plan, collate
from episodes.sampling.sampler import EpisodeSampler, EpisodeSource, PlannedSource
from episodes.sampling.shared_memory_ring import PREFETCH, SharedMemoryRing, Slot, batch_bytes

T = TypeVar("T")
AHEAD = 32
"""Episodes that are planned in a row: twice as fast as between copies of pixels."""
CHUNK_BYTES, MAX_CHUNK = 2**22, 8
"""Batches that a worker hands over at once: so many, or as many as fit into this memory."""


@dataclass(frozen=True)
class EpisodeBatches:
    """Makes batches of the episodes of a source: a pure function of their numbers.

    Attributes:
        source: gives an episode for a number.
    """

    source: EpisodeSource

    def __call__(self, indices: Sequence[int]) -> EpisodeBatch:
        """Make one batch of the episodes with these numbers."""
        return next(self.in_turn([indices]))

    def in_turn(self, numbers: Iterable[Sequence[int]]) -> Iterator[EpisodeBatch]:
        """Make batch after batch."""
        if isinstance(self.source, PlannedSource):
            yield from map(self.source.load_batch, _plan_ahead(self.source, iter(numbers)))
        else:
            for indices in numbers:
                yield collate([self.source.episode(index) for index in indices])

    def require_one_shape(self, size: int, start: int) -> None:
        """Refuse batches that reach over the border of a group of episodes of one shape.

        Args:
            size: episodes of a batch of all processes.
            start: number of the first episode.
        """
        if not isinstance(self.source, EpisodeSampler) or not self.source.settings.varies:
            return
        group = self.source.settings.group
        if group % size or start % size:
            raise EpisodeError(
                f"ways or shots vary every {group} episodes, while a batch of all processes is "
                f"{size} episodes and the first is {start}; set EpisodeSettings.group to {size} or "
                "a multiple, and start at a whole batch"
            )


class BatchLoader(IterableDataset[Any]):
    """Batches in order: of episodes, pairs, or whatever a function makes of numbers.

    Training, evaluation and a loop of one's own use it. Each iteration starts anew.

    Args:
        load: a source of episodes; or makes a batch of the items with these numbers, a pure
            function of them.
        batch: items a batch.
        workers: processes that load beside this one, each with a cache of decoded images of its
            own; 0 loads in this one.
        rank: number of this process, from 0.
        world: number of processes.
        start: number of the first item, over all processes; after k batches in each process
            a run goes on with `start=k * batch * world`.
        stop: number of the item, over all processes, before which to end; None for endless.
            The last batch may be smaller.

    Raises:
        EpisodeError: a number is out of range; or ways or shots vary and the episodes of a batch
            would not share them.

    Example:
        >>> loader = BatchLoader(sum, 3, stop=8)
        >>> list(loader)  # of 0 1 2, of 3 4 5, of 6 7
        [3, 12, 13]
    """

    def __init__(
        self,
        load: EpisodeSource | Callable[[Sequence[int]], Any],
        batch: int = 1,
        *,
        workers: int = 0,
        rank: int = 0,
        world: int = 1,
        start: int = 0,
        stop: int | None = None,
    ) -> None:
        if batch < 1:
            raise EpisodeError(f"batch is {batch}; expected at least 1")
        if workers < 0:
            raise EpisodeError(f"workers is {workers}; expected 0 or more")
        if not 0 <= rank < world:
            raise EpisodeError(f"rank {rank} of {world}; expected 0 <= rank < world")
        if start < 0 or (stop is not None and stop < start):
            raise EpisodeError(f"start is {start} and stop {stop}; expected 0 <= start <= stop")
        self.load = EpisodeBatches(load) if isinstance(load, EpisodeSource) else load
        if isinstance(self.load, EpisodeBatches):
            self.load.require_one_shape(batch * world, start)
        self.batch, self.workers, self.rank, self.world = batch, workers, rank, world
        self.start, self.stop = start, stop

    def __iter__(self) -> Iterator[Any]:
        if self.workers:
            return self._from_workers()
        info = torch.utils.data.get_worker_info()  # of a DataLoader around this one
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        return self.make(itertools.islice(self.numbers(), worker, None, workers))

    def numbers(self) -> Iterator[Sequence[int]]:
        """The numbers of the items of this process, batch by batch."""
        first, step = self.start + (self.rank - self.start) % self.world, self.batch * self.world
        for start in itertools.count(first, step):
            end = start + step if self.stop is None else min(start + step, self.stop)
            if start >= end:
                return
            yield range(start, end, self.world)

    def make(self, numbers: Iterable[Sequence[int]]) -> Iterator[Any]:
        """Load the batches of these items, in this process."""
        return (
            self.load.in_turn(numbers)
            if isinstance(self.load, EpisodeBatches)
            else map(self.load, numbers)
        )

    def _from_workers(self) -> Iterator[Any]:
        first = next(self.make(self.numbers()), None)  # for the size of a batch
        if first is None:
            return
        size = batch_bytes(first)
        chunk = max(1, min(MAX_CHUNK, CHUNK_BYTES // max(size, 1)))
        ring = SharedMemoryRing(self.workers, chunk * size)
        slots: Iterable[Slot | list[Any]] = DataLoader(
            _Writing(self.numbers, self.make, ring, chunk),
            batch_size=None,
            num_workers=self.workers,
            prefetch_factor=PREFETCH,
            worker_init_fn=_leave_ctrl_c,
            generator=torch.Generator(),  # else it would draw from the global one
        )
        for slot in slots:
            yield from ring.take(slot)


class _Writing(IterableDataset["Slot | list[Any]"]):
    """The workers' side of `BatchLoader`."""

    def __init__(
        self,
        numbers: Callable[[], Iterator[Sequence[int]]],
        make: Callable[[Iterable[Sequence[int]]], Iterator[Any]],
        ring: SharedMemoryRing,
        chunk: int,
    ) -> None:
        self.numbers, self.make, self.ring, self.chunk = numbers, make, ring, chunk

    def __iter__(self) -> Iterator[Slot | list[Any]]:
        info = torch.utils.data.get_worker_info()
        if info is None:
            raise EpisodeError("batches are written into a ring by worker processes alone")
        dealt = deal(self.numbers(), info.id, info.num_workers, self.chunk)
        for turn, numbers in enumerate(dealt):
            yield self.ring.put(list(self.make(numbers)), info.id, turn)


def deal(items: Iterable[T], worker: int, workers: int, max_items: int) -> Iterator[list[T]]:
    """Deal items to workers in turn: one each, then two each, then four, up to `max_items`.

    The first batches are thus ready soon.

    >>> [list(deal(range(10), worker, 2, 2)) for worker in (0, 1)]
    [[[0], [2, 3], [6, 7]], [[1], [4, 5], [8, 9]]]
    """
    items, size = iter(items), 1
    while True:
        turn = [list(itertools.islice(items, size)) for _ in range(workers)]
        if not turn[worker]:
            return
        yield turn[worker]
        size = min(2 * size, max_items)


def _plan_ahead(
    source: PlannedSource, numbers: Iterator[Sequence[int]]
) -> Iterator[Sequence[Plan]]:
    """Plan the episodes of several batches in a row; one that fails does so in its turn."""
    for first in numbers:
        ahead = max(0, AHEAD // len(first) - 1)
        planned: list[list[Plan]] = []
        failed: EpisodeError | None = None
        for indices in itertools.chain([first], itertools.islice(numbers, ahead)):
            try:
                planned.append([source.plan(index) for index in indices])
            except EpisodeError as error:
                failed = error
                break
        yield from planned
        if failed is not None:
            raise failed


def _leave_ctrl_c(_: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is for the process that requests batches
