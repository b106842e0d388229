"""Batches of episodes for DataLoader: any number of workers, processes and restarts, same batches.

Process r of `world` takes the episodes i with i mod world = r, in order; its worker w of n takes
every n-th batch, which DataLoader hands out in turn, so workers change nothing.
"""

import signal
from collections.abc import Iterable, Iterator

import torch
from torch.utils.data import DataLoader, IterableDataset

from episodes.errors import EpisodeError
from episodes.sampling.episode import EpisodeBatch, collate
from episodes.sampling.sampler import EpisodeSampler, EpisodeSource
from episodes.sampling.shared_memory_ring import PREFETCH, Place, Ring, batch_bytes


class EpisodeStream(IterableDataset[EpisodeBatch]):
    """Episodes of a source in order, batch by batch.

    Args:
        source: gives an episode for a number.
        batch: episodes a batch.
        rank: number of this process, from 0.
        world: number of processes.
        start: number of the first episode, over all processes; after k batches in each process
            a run goes on with `start=k * batch * world`.
        stop: number of the episode, over all processes, before which to end; None for endless.
            The last batch may be smaller.

    Raises:
        EpisodeError: a number is out of range; or ways or shots vary and the episodes of a batch
            would not share them.
    """

    def __init__(
        self,
        source: EpisodeSource,
        batch: int = 1,
        *,
        rank: int = 0,
        world: int = 1,
        start: int = 0,
        stop: int | None = None,
    ) -> None:
        if batch < 1:
            raise EpisodeError(f"batch is {batch}; expected at least 1")
        if not 0 <= rank < world:
            raise EpisodeError(f"rank {rank} of {world}; expected 0 <= rank < world")
        if start < 0 or (stop is not None and stop < start):
            raise EpisodeError(f"start is {start} and stop {stop}; expected 0 <= start <= stop")
        _same_shapes(source, batch * world, start)
        self.source, self.batch, self.rank, self.world = source, batch, rank, world
        self.start, self.stop = start, stop

    def __iter__(self) -> Iterator[EpisodeBatch]:
        info = torch.utils.data.get_worker_info()
        return self._part(info.id, info.num_workers) if info else self._part(0, 1)

    def _part(self, worker: int, workers: int) -> Iterator[EpisodeBatch]:
        first = self.start + (self.rank - self.start) % self.world
        step = self.batch * self.world
        for start in _count(first + worker * step, workers * step, self.stop):
            numbers = range(start, start + step, self.world)
            inside = [i for i in numbers if self.stop is None or i < self.stop]
            yield collate([self.source.episode(i) for i in inside])

    def loader(self, workers: int = 0) -> Iterable[EpisodeBatch]:
        """Load in worker processes; each has a cache of decoded images of its own.

        Args:
            workers: processes beside this one; 0 loads in this one.

        Returns:
            The same batches in the same order; each iteration starts anew.
        """
        if workers < 0:
            raise EpisodeError(f"workers is {workers}; expected 0 or more")
        return _Shared(self, workers) if workers else self


class _Shared:
    """Batches made by workers, handed over through a `Ring`."""

    def __init__(self, stream: Iterable[EpisodeBatch], workers: int) -> None:
        self.stream, self.workers = stream, workers

    def __iter__(self) -> Iterator[EpisodeBatch]:
        first = next(iter(self.stream), None)  # tells how large a batch is
        if first is None:
            return
        ring = Ring(self.workers, batch_bytes(first))
        loader = DataLoader(
            _Writing(self.stream, ring),
            batch_size=None,
            num_workers=self.workers,
            prefetch_factor=PREFETCH,
            worker_init_fn=_leave_ctrl_c,
            generator=torch.Generator(),  # else it would draw from the global one
        )
        for place in loader:
            yield ring.take(place)


class _Writing(IterableDataset[Place | EpisodeBatch]):
    """The workers' side of `_Shared`."""

    def __init__(self, stream: Iterable[EpisodeBatch], ring: Ring) -> None:
        self.stream, self.ring = stream, ring

    def __iter__(self) -> Iterator[Place | EpisodeBatch]:
        info = torch.utils.data.get_worker_info()
        if info is None:
            raise EpisodeError("batches are written into a ring by worker processes alone")
        for turn, batch in enumerate(self.stream):
            yield self.ring.put(batch, info.id, turn)


def _leave_ctrl_c(_: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is for the process that asks for batches


def _count(first: int, step: int, stop: int | None) -> Iterator[int]:
    while stop is None or first < stop:
        yield first
        first += step


def _same_shapes(source: EpisodeSource, size: int, start: int) -> None:
    """Refuse batches that reach over the border of a group of episodes of one shape."""
    if not isinstance(source, EpisodeSampler) or not source.settings.varies:
        return
    group = source.settings.group
    if group % size or start % size:
        raise EpisodeError(
            f"ways or shots vary every {group} episodes, while a batch of all processes is "
            f"{size} episodes and the first is {start}; set EpisodeSettings.group to {size} or a "
            "multiple, and start at a whole batch"
        )
