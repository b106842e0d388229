"""Tasks like micrographs: cells of some types on a background, at random positions."""

from dataclasses import dataclass

import numpy as np

from episodes.synthetic.anatomy import deformed_grid
from episodes.synthetic.difficulty import Difficulty


@dataclass(frozen=True)
class CellType:
    """A type of cell.

    Attributes:
        radius: as a fraction of the grid's pitch, below 0.5.
        aspect: length over breadth.
        core: radius of the nucleus as a fraction of the cell's; 0 for none.
        fraction: of the grid's positions that have this type.
    """

    radius: float
    aspect: float
    core: float
    fraction: float


@dataclass(frozen=True)
class Cells:
    """The properties that the images of a task have in common.

    Attributes:
        pitch: distance of neighbouring cells, as a fraction of the side.
        cell_types: the last `foreground` of them may become classes.
        foreground: number of types that may become classes.
    """

    pitch: float
    cell_types: tuple[CellType, ...]
    foreground: int

    @property
    def numbers(self) -> int:
        """Number of labels: background, and two for each type."""
        return 1 + 2 * len(self.cell_types)

    def classes(self) -> dict[int, str]:
        """The numbers that may become classes, with a name each."""
        names = {}
        for index, kind in list(enumerate(self.cell_types))[-self.foreground :]:
            names[1 + 2 * index] = "cell rim" if kind.core else "cell"
            if kind.core:
                names[2 + 2 * index] = "cell core"
        return names

    def draw_lookalikes(
        self, difficulty: Difficulty, generator: np.random.Generator
    ) -> dict[int, int]:
        """Draw which labels have the appearance of which others: distractors like classes."""
        alike: dict[int, int] = {}
        first = len(self.cell_types) - self.foreground
        for index in range(first):
            if generator.random() < difficulty.resemblance:
                other = int(generator.integers(first, len(self.cell_types)))
                alike |= {1 + 2 * index: 1 + 2 * other, 2 + 2 * index: 2 + 2 * other}
        return alike


def draw_cells(
    way: int, side: int, difficulty: Difficulty, generator: np.random.Generator
) -> Cells:
    """Draw a task; see `episodes.synthetic.anatomy.draw_anatomy`."""
    foreground = way + int(generator.integers(0, 2))
    count = foreground + round(difficulty.distractors / 3)
    fractions = generator.uniform(0.6, 1.4, count)
    fractions *= generator.uniform(0.5, 0.95) / fractions.sum()
    cell_types = tuple(
        CellType(
            generator.uniform(0.2, 0.47),
            generator.uniform(1.0, 2.0),
            generator.choice([0.0, generator.uniform(0.4, 0.75)]),
            fraction,
        )
        for fraction in fractions
    )
    return Cells(generator.uniform(0.06, 0.17), cell_types, foreground)


def draw_label_map(
    task: Cells, side: int, difficulty: Difficulty, generator: np.random.Generator
) -> np.ndarray:
    """Draw the label map of one image: uint8 [side side] of numbers below `task.numbers`."""
    # The deformation hides the rows of the grid, and deforms the cells a little.
    rows, columns = deformed_grid(side, 0.02 + 0.3 * difficulty.deformation, generator)
    grid = int(1 / task.pitch) + 4
    turn = generator.uniform(0, 2 * np.pi)
    cos, sin = np.float32(np.cos(turn) / task.pitch), np.float32(np.sin(turn) / task.pitch)
    down = rows * cos - columns * sin + 100
    slide = generator.random(grid, np.float32)[down.astype(np.int64) % grid]
    positions = (columns * cos + rows * sin + 100 + slide, down)
    tables = _cells(task, grid, generator)
    node = (positions[1].astype(np.int64) % grid) * grid + positions[0].astype(np.int64) % grid
    u, v = (
        position % 1 - table.take(node)
        for position, table in zip(positions, tables[:2], strict=True)
    )
    along, across, cosine, sine = (table.take(node) for table in tables[2:6])
    distance = np.hypot((u * cosine + v * sine) / along, (v * cosine - u * sine) / across)
    number, core = tables[6].take(node), tables[7].take(node)
    labels = np.where((distance < 1) & (number > 0), number + (distance < core), 0)
    return labels.astype(np.uint8)


def _cells(task: Cells, grid: int, generator: np.random.Generator) -> list[np.ndarray]:
    """Draw the cell at each node of the grid: centre, half axes, direction, number, core."""
    kinds, count = task.cell_types, grid * grid
    fractions = np.array([kind.fraction for kind in kinds])
    chosen = generator.choice(len(kinds) + 1, count, p=[*fractions, 1 - fractions.sum()])
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
