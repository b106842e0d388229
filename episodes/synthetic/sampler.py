"""Generated tasks: every episode has new classes.

A class is a shape at a position among others. A subject is the same layout, deformed, with its own
intensities, textures, bias field, blur and noise. As no class comes back, only comparing support
and query can be learnt.

Papers: Hoffmann et al., SynthMorph, TMI 2022; Butoi et al., UniverSeg, ICCV 2023.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from episodes.errors import EpisodeError
from episodes.sampling.episode import Episode, Plan
from episodes.sampling.sampler import episode_generator
from episodes.sampling.superpixel_sampler import assemble
from episodes.synthetic.anatomy import TISSUE, Anatomy, draw_anatomy, draw_subject
from episodes.synthetic.appearance import draw_appearance, render
from episodes.synthetic.cells import Cells, draw_cells, draw_label_map
from episodes.synthetic.difficulty import Difficulty, interpolate_difficulty

_DRAW = 22  # stream of the generator
_TRIES = 50
_N_BACKGROUND = TISSUE + 4


@dataclass(frozen=True)
class SyntheticSettings:
    """Settings of a generated episode.

    Attributes:
        way: classes an episode.
        shot: annotated images a class.
        query: images to segment; all of them show all classes.
        size: side of the images, in pixels.
        channel: 1 grey, 3 colour.
        difficulty: 0 to 1; see `episodes.synthetic.difficulty`.
        microscopy: fraction of the tasks that look like micrographs; the others like scans.
        min_area_fraction: smallest area of a class in each image, as a fraction of the image.
    """

    way: int = 1
    shot: int = 1
    query: int = 1
    size: int = 256
    channel: int = 1
    difficulty: float = 0.5
    microscopy: float = 0.3
    min_area_fraction: float = 0.002

    def __post_init__(self) -> None:
        for name in ("way", "shot", "query"):
            if getattr(self, name) < 1:
                raise EpisodeError(f"{name} is {getattr(self, name)}; expected at least 1")
        if self.way > 10:
            raise EpisodeError(f"way is {self.way}; expected at most 10 structures an image")
        if not 32 <= self.size <= 1024:
            raise EpisodeError(f"size is {self.size} pixels; expected 32 to 1024")
        if self.channel not in (1, 3):
            raise EpisodeError(f"channel is {self.channel}; expected 1 or 3")
        if not 0 <= self.microscopy <= 1:
            raise EpisodeError(f"microscopy is {self.microscopy}; expected a fraction from 0 to 1")
        if not 0 < self.min_area_fraction < 0.05:
            raise EpisodeError(
                f"min_area_fraction is {self.min_area_fraction}; expected above 0, below 0.05"
            )
        interpolate_difficulty(self.difficulty)  # raises on a difficulty out of range


class SyntheticSampler:
    """Generates episodes; a pure function of (settings, seed, i).

    Args:
        settings: ways, shots, queries, size and difficulty.
        seed: a whole number from 0 to 2**64 - 1.

    Example:
        >>> episode = SyntheticSampler(SyntheticSettings(way=2, shot=3, size=64)).episode(0)
        >>> episode.support_images.shape
        torch.Size([2, 3, 1, 64, 64])
    """

    def __init__(self, settings: SyntheticSettings | None = None, seed: int = 0) -> None:
        self.settings, self.seed = settings or SyntheticSettings(), seed
        episode_generator(seed, 0, _DRAW)  # raises on a seed out of range

    def episode(self, index: int) -> Episode:
        """Generate episode `index`.

        Raises:
            EpisodeError: fifty tasks in a row had too few structures that stay visible.
        """
        settings, difficulty = self.settings, interpolate_difficulty(self.settings.difficulty)
        generator = episode_generator(self.seed, index, _DRAW)
        task, maps, numbers = self._draw(difficulty, generator)
        n_background = _N_BACKGROUND if isinstance(task, Anatomy) else 1
        appearance = draw_appearance(
            task.numbers,
            settings.channel,
            n_background,
            task.draw_lookalikes(difficulty, generator),
            difficulty,
            generator,
        )
        ways = np.zeros(256, np.uint8)
        ways[numbers] = np.arange(1, settings.way + 1)
        pairs: list[tuple[Tensor, Tensor]] = [
            (render(labels, appearance, difficulty, generator), torch.from_numpy(ways[labels]))
            for labels in maps
        ]
        keys = [f"synthetic/{self.seed}/{index}/{subject}" for subject in range(len(pairs))]
        shots = [
            slice(first, first + settings.shot)
            for first in range(0, settings.way * settings.shot, settings.shot)
        ]
        queries = slice(settings.way * settings.shot, None)
        names = task.classes()
        plan = Plan(
            index,
            tuple(f"{names[number]} {index}.{number}" for number in numbers),
            tuple(tuple(keys[row]) for row in shots),
            tuple(keys[queries]),
            tuple(keys[queries]),
        )
        return assemble([pairs[row] for row in shots], pairs[queries], plan)

    __getitem__ = episode

    def _draw(
        self, difficulty: Difficulty, generator: np.random.Generator
    ) -> tuple[Anatomy | Cells, list[np.ndarray], list[int]]:
        """Draw a task, the label maps of its subjects, and the numbers of its classes."""
        settings = self.settings
        count, side = settings.way * settings.shot + settings.query, settings.size
        min_area = max(9, round(settings.min_area_fraction * side**2))
        for _ in range(_TRIES):
            task: Anatomy | Cells
            if generator.random() < settings.microscopy:
                task = draw_cells(settings.way, side, difficulty, generator)
                maps = [draw_label_map(task, side, difficulty, generator) for _ in range(count)]
            else:
                task = draw_anatomy(settings.way, side, difficulty, generator)
                maps = [draw_subject(task, side, difficulty, generator) for _ in range(count)]
            areas = [np.bincount(labels.ravel(), minlength=task.numbers) for labels in maps]
            smallest = np.min(areas, axis=0)
            visible = [number for number in task.classes() if smallest[number] >= min_area]
            if len(visible) >= settings.way:
                order = generator.permutation(len(visible))[: settings.way]
                return task, maps, [visible[i] for i in order]
        raise EpisodeError(
            f"none of {_TRIES} tasks had {settings.way} structures of {min_area} pixels in all of "
            f"{count} images; choose fewer ways or shots, or lower min_area_fraction or difficulty"
        )
