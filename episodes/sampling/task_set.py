"""The same episodes in the shape of a learn2learn task set.

learn2learn's training loops take a `learn2learn.data.Taskset`: an object with a length, tasks by
number, `sample()`, and tasks that are what a collate function makes of a list of (input, target)
pairs. This offers that without needing learn2learn to be installed.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import default_collate

from episodes.errors import EpisodeError
from episodes.sampling.episode import Episode
from episodes.sampling.plans import episode_generator
from episodes.sampling.sampler import EpisodeSource

_SAMPLE = 6  # stream of the generator

Pairs = list[tuple[Tensor, Tensor]]


class TaskSet:
    """Tasks that can be used where learn2learn expects a `Taskset`.

    A task is `(images, labels)`: the support images, way by way, then the queries; float32
    [image channel height width] and uint8 [image height width] with 0 background, 1..way and
    255 unknown.

    Args:
        source: gives an episode for a number.
        num_tasks: how many tasks there are: episodes 0 to num_tasks - 1.
        task_collate: makes a task of a list of (image, labels) pairs; by default they are stacked.
        seed: of `sample`, a whole number from 0 to 2**64 - 1.
    """

    def __init__(
        self,
        source: EpisodeSource,
        num_tasks: int,
        task_collate: Callable[[Pairs], Any] | None = None,
        seed: int = 0,
    ) -> None:
        if num_tasks < 1:
            raise EpisodeError(
                f"num_tasks is {num_tasks}; expected at least 1. Without an end, take the "
                "episodes from the source itself"
            )
        episode_generator(seed, 0, _SAMPLE)  # raises on a seed out of range
        self.source, self.num_tasks, self.seed = source, num_tasks, seed
        self.task_collate = task_collate or default_collate
        self._sampled = 0

    def __len__(self) -> int:
        return self.num_tasks

    def __getitem__(self, index: int) -> Any:
        if not 0 <= index < self.num_tasks:
            raise IndexError(f"task {index} of {self.num_tasks}; expected 0 or more")
        return self.task_collate(as_pairs(self.source.episode(index)))

    def __iter__(self) -> Iterator[Any]:
        return (self[index] for index in range(self.num_tasks))

    def sample(self) -> Any:
        """Draw a task uniformly; the n-th call gives the same task in every run."""
        generator = episode_generator(self.seed, self._sampled, _SAMPLE)
        self._sampled += 1
        return self[int(generator.integers(self.num_tasks))]


def as_pairs(episode: Episode) -> Pairs:
    """List the images of an episode with their labels: support way by way, then queries."""
    pairs: Pairs = []
    for way, masks in enumerate(episode.support_masks):
        for image, mask in zip(episode.support_images[way], masks, strict=True):
            # Pixels of other ways are unknown in a support mask, and stay so.
            pairs.append((image, torch.where(mask == 1, way + 1, mask)))
    pairs += zip(episode.query_images, episode.query_labels, strict=True)
    return pairs
