"""Tasks like cross-sections of a body: organs, vessels, walls and cavities among other tissue."""

import math
from dataclasses import dataclass

import numpy as np
import torch

from episodes.augmentation.random_fields import smooth_noise
from episodes.synthetic.difficulty import Difficulty
from episodes.synthetic.shapes import FAMILIES, REACH, Family, Shape, draw_shape, inside, vary

AIR, SKIN, FAT, TISSUE = 0, 1, 2, 3
_TISSUES = 4  # kinds of tissue between the structures
_FIRST = TISSUE + _TISSUES  # number of the first structure


@dataclass(frozen=True)
class Anatomy:
    """What the subjects of a task share.

    Attributes:
        body: the outline.
        shell: thickness of skin and fat, as shares of the body's radius.
        tissue: the kind of tissue at every pixel, uint8 [height width].
        structures: in the order of drawing; later ones cover earlier ones.
        foreground: number of structures, from the last, that may become classes.
    """

    body: Shape
    shell: tuple[float, float]
    tissue: np.ndarray
    structures: tuple[Shape, ...]
    foreground: int

    @property
    def numbers(self) -> int:
        """How many numbers label maps hold: two a structure, for its body and its core."""
        return _FIRST + 2 * len(self.structures)

    def classes(self) -> dict[int, str]:
        """The numbers that may become classes, with a name each."""
        found = {}
        for index, shape in list(enumerate(self.structures))[-self.foreground :]:
            number = _FIRST + 2 * index
            found[number] = f"{shape.family} wall" if shape.has_core else shape.family
            if shape.has_core:
                found[number + 1] = f"{shape.family} core"
        return found

    def draw_lookalikes(
        self, difficulty: Difficulty, generator: np.random.Generator
    ) -> dict[int, int]:
        """Draw which labels have the appearance of which others: distractors like classes."""
        alike = {}
        first = len(self.structures) - self.foreground
        for index in range(first):
            if generator.random() < difficulty.resemblance:
                other = int(generator.integers(first, len(self.structures)))
                for core in (0, 1):
                    alike[_FIRST + 2 * index + core] = _FIRST + 2 * other + core
        return alike


def draw_anatomy(
    way: int, side: int, difficulty: Difficulty, generator: np.random.Generator
) -> Anatomy:
    """Draw what the subjects of a task share.

    Args:
        way: classes that the task needs at least.
        side: of the images, in pixels.
        difficulty: how hard.
        generator: the source of randomness.
    """
    body = draw_shape("blob", (0.0, 0.0), generator.uniform(0.36, 0.44), generator)
    body = Shape(
        "blob", (0.0, 0.0), body.radius, generator.uniform(1, 1.35), 0.0, 0.3 * body.waves, 0.5
    )
    fields = smooth_noise(generator, (side, side), side * generator.uniform(0.03, 0.07), _TISSUES)
    foreground = way + int(generator.integers(0, 3))
    count = foreground + round(difficulty.distractors)
    shapes: list[Shape] = []
    for _ in range(count):
        family = FAMILIES[int(generator.integers(len(FAMILIES)))]
        shapes.append(_place(family, body, shapes, generator))
    # Distractors are drawn first, so that classes stay visible.
    return Anatomy(
        body,
        (generator.uniform(0.02, 0.05), generator.uniform(0.04, 0.15)),
        _highest(fields.numpy()),
        tuple(shapes[foreground:][::-1] + shapes[:foreground][::-1]),
        foreground,
    )


def draw_subject(
    task: Anatomy, side: int, difficulty: Difficulty, generator: np.random.Generator
) -> np.ndarray:
    """Draw the label image of one subject: uint8 [side side] of numbers below `task.numbers`."""
    rows, columns = deformed_grid(side, difficulty.deformation, generator)
    body = vary(task.body, difficulty.deformation / 2, generator)
    depth = _depth(body, columns, rows)
    labels = np.zeros((side, side), np.uint8)
    labels[depth < 1] = SKIN
    labels[depth < 1 - task.shell[0]] = FAT
    within = depth < 1 - sum(task.shell)
    # Tissue follows the deformation like everything else.
    row, column = (
        np.clip(((part + 0.5) * side).astype(np.int64), 0, side - 1) for part in (rows, columns)
    )
    labels[within] = TISSUE + task.tissue[row[within], column[within]]
    margin = 3.5 * difficulty.deformation
    for index, shape in enumerate(task.structures):
        drawn = vary(shape, difficulty.deformation / 2, generator)
        box = _box(drawn, margin, side)
        found = inside(drawn, columns[box], rows[box])
        hit = (found > 0) & within[box]
        labels[box][hit] = (_FIRST - 1 + 2 * index + found)[hit]
    return labels


def deformed_grid(
    side: int, deformation: float, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw where each pixel comes from: (rows, columns) from the centre, in shares of the side.

    Args:
        side: of the image, in pixels.
        deformation: standard deviation of the displacement along each axis, as a share.
        generator: the source of randomness.
    """
    coarse = smooth_noise(generator, (side, side), 0.11 * side, count=2)
    fine = smooth_noise(generator, (side, side), 0.025 * side, count=2)
    field = (deformation * (0.99 * coarse + 0.14 * fine)).numpy()  # squares add up to 1
    places = ((torch.arange(side) + 0.5) / side - 0.5).numpy()
    return places[:, None] + field[0], places + field[1]


def _depth(body: Shape, columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """How far out each point lies in a body: 0 in the middle, 1 on its outline."""
    stretch, radius = math.sqrt(body.aspect), float(body.radius)
    u, v = columns / (radius * stretch), rows / (radius / stretch)
    angle = np.arctan2(v, u)
    ripple = sum(
        a * np.cos((k + 2) * angle + p) for k, (a, p) in enumerate(body.waves[:2].tolist())
    )
    return np.hypot(u, v) / (1 + ripple)


def _highest(fields: np.ndarray) -> np.ndarray:
    """Number of the highest field at each pixel; many times faster here than argmax."""
    highest, number = fields[0].copy(), np.zeros(fields.shape[1:], np.uint8)
    for index, field in enumerate(fields[1:], start=1):
        number[field > highest] = index
        np.maximum(highest, field, out=highest)
    return number


def _place(
    family: Family, body: Shape, others: list[Shape], generator: np.random.Generator
) -> Shape:
    """Draw a shape inside the body, apart from the others where there is room."""
    found: list[tuple[float, float, tuple[float, float]]] = []
    while len(found) < 12 and not (found and found[-1][0] > 0):
        radius = body.radius * generator.uniform(0.14, 0.34) * (1.6 if family == "tube" else 1)
        angle, reach = generator.uniform(0, 2 * np.pi), math.sqrt(generator.random())
        reach *= max(0.05, 0.78 * body.radius - radius)
        stretch = math.sqrt(body.aspect)
        centre = (reach * math.cos(angle) * stretch, reach * math.sin(angle) / stretch)
        gaps = (math.dist(centre, other.centre) - radius - other.radius for other in others)
        found.append((min(gaps, default=1.0), radius, centre))
    _, radius, centre = max(found)
    return draw_shape(family, centre, radius, generator)


def _box(shape: Shape, margin: float, side: int) -> tuple[slice, slice]:
    """The rows and columns that a shape can touch."""
    reach = shape.radius * math.sqrt(shape.aspect) * REACH + margin
    column, row = (
        slice(max(0, int((place - reach + 0.5) * side)), max(0, int((place + reach + 0.5) * side)))
        for place in shape.centre
    )
    return row, column
