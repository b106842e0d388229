"""Shape families in coordinates of their own, where a shape reaches from about -1 to 1.

Each function takes points and says for each 0 outside, 1 in the shape, 2 in its core (the cavity
of a ring, the nucleus of a cell).
"""

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

Family = Literal["blob", "bean", "crescent", "ring", "tube", "cluster"]
FAMILIES: tuple[Family, ...] = ("blob", "bean", "crescent", "ring", "tube", "cluster")
REACH = 1.6
"""No shape has points farther than this from its centre."""

_ANGLES = 512  # steps of the outline's table
_TURN = 2 * np.pi / _ANGLES


@dataclass(frozen=True)
class Shape:
    """A shape of a family, at a place.

    Attributes:
        family: which kind.
        centre: (column, row) from the image's centre, in shares of its side.
        radius: in shares of the side.
        aspect: length over breadth, 1 or more.
        angle: of the long axis, in radians.
        waves: amplitude and phase of the outline's waves, [waves 2]; wave k has k + 2 periods.
        thickness: of a ring's wall, a tube's half breadth or a cluster's cells, as a share.
        seed: of the cells of a cluster.
    """

    family: Family
    centre: tuple[float, float]
    radius: float
    aspect: float
    angle: float
    waves: np.ndarray
    thickness: float
    seed: int = 0

    @property
    def has_core(self) -> bool:
        """Whether the shape has a core."""
        return self.family == "ring"


def draw_shape(
    family: Family, centre: tuple[float, float], radius: float, generator: np.random.Generator
) -> Shape:
    """Draw a shape of a family; see `Shape`."""
    long = {"tube": 1.0, "ring": 1.25, "bean": 1.6, "crescent": 1.3}.get(family, 1.7)
    waves = np.stack([generator.uniform(0, 0.16, 4), generator.uniform(0, 2 * np.pi, 4)], axis=1)
    waves[:, 0] /= np.arange(1, 5) ** 0.7
    low, high = {"ring": (0.15, 0.4), "tube": (0.09, 0.2), "cluster": (0.45, 0.75)}.get(
        family, (0.5, 0.5)
    )
    return Shape(
        family,
        centre,
        radius,
        aspect=generator.uniform(1, long),
        angle=generator.uniform(0, 2 * np.pi),
        waves=waves,
        thickness=generator.uniform(low, high),
        seed=int(generator.integers(2**32)),
    )


def vary(shape: Shape, amount: float, generator: np.random.Generator) -> Shape:
    """Draw another subject's version of a shape.

    Args:
        shape: the family member.
        amount: standard deviation of the place, in shares of the image's side; angle, size and
            outline vary in proportion. Cells of a cluster lie elsewhere in every subject.
        generator: the source of randomness.
    """
    place = generator.standard_normal(2) * amount
    size, thick = np.exp(generator.standard_normal(2) * (4, 3) * amount)
    turn = generator.standard_normal() * 8 * amount
    waves = shape.waves.copy()
    waves[:, 1] += generator.standard_normal(len(waves)) * 20 * amount
    return replace(
        shape,
        centre=(shape.centre[0] + place[0], shape.centre[1] + place[1]),
        radius=shape.radius * size,
        angle=shape.angle + turn,
        waves=waves,
        thickness=min(shape.thickness * thick, 0.9),
        seed=int(generator.integers(2**32)),
    )


def inside(shape: Shape, columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Classify points: 0 outside, 1 in the shape, 2 in its core.

    Args:
        shape: the shape.
        columns: of the points from the image's centre, in shares of its side; any array shape.
        rows: the same.

    Returns:
        uint8 of the points' array shape.
    """
    # Python's numbers keep the arrays in float32; NumPy's would make them float64.
    across, down = columns - float(shape.centre[0]), rows - float(shape.centre[1])
    cos, sin = math.cos(shape.angle), math.sin(shape.angle)
    stretch, radius = math.sqrt(shape.aspect), float(shape.radius)
    u = (across * cos + down * sin) / (radius * stretch)
    v = (down * cos - across * sin) / (radius / stretch)
    if shape.family == "tube":
        return _tube(shape, u, v).astype(np.uint8)
    ratio = np.hypot(u, v) / _outline(shape.waves)[_steps(u, v)]
    whole = ratio < 1
    if shape.family == "ring":
        return whole.astype(np.uint8) + (ratio < 1 - shape.thickness)
    if shape.family == "bean":
        whole &= np.hypot(u, v - 1.15) > 0.65
    elif shape.family == "crescent":
        whole &= np.hypot(u, v - 0.55) > 0.85
    elif shape.family == "cluster":
        whole &= _cells(shape, u, v)
    return whole.astype(np.uint8)


def _steps(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """The direction of each point as a row of the outline's table."""
    return np.rint(np.arctan2(v, u) * (1 / _TURN)).astype(np.int64) % _ANGLES


def _outline(waves: np.ndarray) -> np.ndarray:
    """Distance of the outline from the centre in each direction, within REACH / aspect."""
    angles = _TURN * np.arange(_ANGLES)
    periods = np.arange(2, 2 + len(waves))
    ripple = waves[:, 0] @ np.cos(periods[:, None] * angles + waves[:, 1:])
    return (1 + ripple).clip(0.5, 1.4).astype(np.float32)


def _tube(shape: Shape, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """A band along a sine of two waves; its breadth is taken across its course."""
    (rise, start), (ripple, phase) = shape.waves[:2].tolist()
    first, second = 3 * rise, 2 * ripple  # up to half its length to either side
    course = first * np.sin(2.2 * u + start) + second * np.sin(5 * u + phase)
    slope = 2.2 * first * np.cos(2.2 * u + start) + 5 * second * np.cos(5 * u + phase)
    return (np.abs(v - course) < float(shape.thickness) * np.sqrt(1 + slope**2)) & (np.abs(u) < 1.2)


def _cells(shape: Shape, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Many small discs, each somewhere in its own square of a grid."""
    pitch, side = 0.34, 16
    generator = np.random.Generator(np.random.Philox(key=[shape.seed, 0]))
    row = np.floor(v / pitch).astype(np.int64) % side
    u = u + generator.random(side, np.float32)[row]  # else the rows would stand in file
    column = np.floor(u / pitch).astype(np.int64) % side
    radius = pitch / 2 * shape.thickness * generator.uniform(0.8, 1.0, (side, side))
    middle = generator.uniform(-1, 1, (2, side, side)) * (pitch / 2 - radius)
    where = row * side + column
    local = (part % pitch - pitch / 2 for part in (u, v))
    offset = (m.ravel().astype(np.float32)[where] for m in middle)
    across, down = (part - shift for part, shift in zip(local, offset, strict=True))
    return np.hypot(across, down) < radius.ravel().astype(np.float32)[where]
