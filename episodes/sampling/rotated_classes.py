"""Rotation augmentation of classes: each class of an episode becomes one of four."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from episodes.errors import EpisodeError
from episodes.sampling.episode import Episode
from episodes.sampling.plans import episode_generator
from episodes.sampling.sampler import EpisodeSource

_STREAM = 30  # of the generator; the samplers have others


@dataclass(frozen=True)
class RotatedClasses:
    """Rotates all images of a class by the same random multiple of 90 degrees.

    For characters: a rotated character is another class, so that there are four times as many.
    Two rotations of one character are never in one episode.

    Attributes:
        source: of episodes of square images, whose queries show one class each.
        seed: of the rotations, which depend on it and the episode's number alone.

    Paper: Vinyals et al., Matching networks for one shot learning, NeurIPS 2016, section 4.1.1;
    after Santoro et al., Meta-learning with memory-augmented neural networks, ICML 2016.
    """

    source: EpisodeSource
    seed: int = 0

    def episode(self, index: int) -> Episode:
        """Make episode `index`.

        Raises:
            EpisodeError: the images are not square.
        """
        episode = self.source.episode(index)
        height, width = episode.query_images.shape[-2:]
        if height != width:
            raise EpisodeError(
                f"images are {height} x {width}; only square ones can be rotated by 90 degrees"
            )
        generator = episode_generator(self.seed, index, _STREAM)
        rotations = generator.integers(4, size=len(episode.class_names)).tolist()
        of_queries = [rotations[way] for way in episode.plan.query_ways]
        return replace(
            episode,
            support_images=_rotate(episode.support_images, rotations),
            support_masks=_rotate(episode.support_masks, rotations),
            query_images=_rotate(episode.query_images, of_queries),
            query_labels=_rotate(episode.query_labels, of_queries),
        )


def _rotate(items: Tensor, rotations: list[int]) -> Tensor:
    return torch.stack(
        [torch.rot90(item, k, (-2, -1)) for item, k in zip(items, rotations, strict=True)]
    )
