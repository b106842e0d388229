"""Classes turned by quarters: each class of an episode becomes another, as four times as many."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from episodes.errors import EpisodeError
from episodes.sampling.episode import Episode
from episodes.sampling.plans import episode_generator
from episodes.sampling.sampler import EpisodeSource

_STREAM = 30  # of the generator, apart from the samplers'


@dataclass(frozen=True)
class TurnedClasses:
    """Turns all images of a class by the same random quarter, for training on characters.

    A turned character is a character of its own, so that there are four times as many classes;
    two quarters of one character never meet in an episode.

    Attributes:
        source: of episodes of square images, whose queries show one class each.
        seed: of the turns, which depend on it and the episode's number alone.

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
            raise EpisodeError(f"images are {height} x {width}; only square ones can be turned")
        generator = episode_generator(self.seed, index, _STREAM)
        turns = generator.integers(4, size=len(episode.class_names)).tolist()
        asked = [turns[way] for way in episode.plan.query_ways]
        return replace(
            episode,
            support_images=_turn(episode.support_images, turns),
            support_masks=_turn(episode.support_masks, turns),
            query_images=_turn(episode.query_images, asked),
            query_labels=_turn(episode.query_labels, asked),
        )


def _turn(items: Tensor, turns: list[int]) -> Tensor:
    return torch.stack(
        [torch.rot90(each, turn, (-2, -1)) for each, turn in zip(items, turns, strict=True)]
    )
