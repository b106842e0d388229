"""Tasks like micrographs: kinds of cells on a background, in other places in every picture."""

from dataclasses import dataclass

import numpy as np

from episodes.synthetic.anatomy import deformed_grid
from episodes.synthetic.intensity_levels import Levels


@dataclass(frozen=True)
class Kind:
    """A kind of cell.

    Attributes:
        radius: as a share of the grid's pitch, below 0.5.
        aspect: length over breadth.
        core: radius of the nucleus as a share of the cell's; 0 for none.
        share: how often among the places of the grid.
    """

    radius: float
    aspect: float
    core: float
    share: float


@dataclass(frozen=True)
class Cells:
    """What the pictures of a task share.

    Attributes:
        pitch: distance of neighbouring cells, as a share of the side.
        kinds: the last `foreground` of them may become classes.
        foreground: see there.
    """

    pitch: float
    kinds: tuple[Kind, ...]
    foreground: int

    @property
    def numbers(self) -> int:
        """How many numbers label maps hold: background, and two a kind."""
        return 1 + 2 * len(self.kinds)

    def classes(self) -> dict[int, str]:
        """The numbers that may become classes, with a name each."""
        found = {}
        for index, kind in list(enumerate(self.kinds))[-self.foreground :]:
            found[1 + 2 * index] = "cell rim" if kind.core else "cell"
            if kind.core:
                found[2 + 2 * index] = "cell core"
        return found

    def likeness(self, level: Levels, generator: np.random.Generator) -> dict[int, int]:
        """Draw which numbers look like which others: distractors like classes."""
        alike: dict[int, int] = {}
        first = len(self.kinds) - self.foreground
        for index in range(first):
            if generator.random() < level.resemblance:
                other = int(generator.integers(first, len(self.kinds)))
                alike |= {1 + 2 * index: 1 + 2 * other, 2 + 2 * index: 2 + 2 * other}
        return alike


def draw_cells(way: int, side: int, level: Levels, generator: np.random.Generator) -> Cells:
    """Draw what the pictures of a task share; see `episodes.synthetic.anatomy.draw_anatomy`."""
    foreground = way + int(generator.integers(0, 2))
    count = foreground + round(level.distractors / 3)
    shares = generator.uniform(0.6, 1.4, count)
    shares *= generator.uniform(0.5, 0.95) / shares.sum()
    kinds = tuple(
        Kind(
            generator.uniform(0.2, 0.47),
            generator.uniform(1.0, 2.0),
            generator.choice([0.0, generator.uniform(0.4, 0.75)]),
            share,
        )
        for share in shares
    )
    return Cells(generator.uniform(0.06, 0.17), kinds, foreground)


def draw_picture(
    task: Cells, side: int, level: Levels, generator: np.random.Generator
) -> np.ndarray:
    """Draw the label image of one picture: uint8 [side side] of numbers below `task.numbers`."""
    # It bends the rows of the grid, so that they do not show, and the cells a little.
    rows, columns = deformed_grid(side, 0.02 + 0.3 * level.deformation, generator)
    grid = int(1 / task.pitch) + 4
    turn = generator.uniform(0, 2 * np.pi)
    cos, sin = np.float32(np.cos(turn) / task.pitch), np.float32(np.sin(turn) / task.pitch)
    down = rows * cos - columns * sin + 100
    slide = generator.random(grid, np.float32)[down.astype(np.int64) % grid]
    places = (columns * cos + rows * sin + 100 + slide, down)
    tables = _cells(task, grid, generator)
    where = (places[1].astype(np.int64) % grid) * grid + places[0].astype(np.int64) % grid
    u, v = (place % 1 - table.take(where) for place, table in zip(places, tables[:2], strict=True))
    along, across, cosine, sine = (table.take(where) for table in tables[2:6])
    distance = np.hypot((u * cosine + v * sine) / along, (v * cosine - u * sine) / across)
    number, core = tables[6].take(where), tables[7].take(where)
    labels = np.where((distance < 1) & (number > 0), number + (distance < core), 0)
    return labels.astype(np.uint8)


def _cells(task: Cells, grid: int, generator: np.random.Generator) -> list[np.ndarray]:
    """Draw the cell at each place of the grid: middle, half axes, direction, number, core."""
    kinds, count = task.kinds, grid * grid
    shares = np.array([kind.share for kind in kinds])
    chosen = generator.choice(len(kinds) + 1, count, p=[*shares, 1 - shares.sum()])
    radius, aspect, core = (
        np.array([*(getattr(kind, name) for kind in kinds), 1.0])[chosen]
        for name in ("radius", "aspect", "core")
    )
    along = np.minimum(radius * np.sqrt(aspect) * generator.uniform(0.85, 1.15, count), 0.49)
    across = along / aspect
    free = 0.5 - along
    middle = 0.5 + generator.uniform(-1, 1, (2, count)) * free
    angle = generator.uniform(0, 2 * np.pi, count)
    number = np.where(chosen < len(kinds), 1 + 2 * chosen, 0)
    parts = (*middle, along, across, np.cos(angle), np.sin(angle))
    return [*(part.astype(np.float32) for part in parts), number, core.astype(np.float32)]
