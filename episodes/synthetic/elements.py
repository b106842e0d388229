"""Elements of images of perceptual grouping: areas, points, stripes, arcs and blobs."""

import numpy as np
from scipy import ndimage

from episodes.errors import EpisodeError
from episodes.synthetic.shapes import Shape, draw_shape, inside

_TRIES = 1000
_ASYMMETRIC = 0.1  # mean radii


def blob_area(generator: np.random.Generator, side: int) -> np.ndarray:
    """Draw a blob of random outline and place that keeps clear of the border: bool [side side]."""
    columns, rows = _grid(side)
    for _ in range(_TRIES):
        column, row = generator.uniform(-0.27, 0.27, 2)
        radius = generator.uniform(0.17, 0.21)
        shape = draw_shape("blob", (float(column), float(row)), float(radius), generator)
        mask = inside(shape, columns, rows) > 0
        if not mask[~margin(side, side / 20)].any():
            return mask
    raise EpisodeError(f"no blob fitted into an image of {side} pixels after {_TRIES} tries")


def _grid(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Columns and rows from the centre, in shares of the side: float32 [side side] each."""
    places = (np.arange(side, dtype=np.float32) + 0.5) / side - 0.5
    columns, rows = np.meshgrid(places, places)
    return columns, rows


def margin(side: int, width: float) -> np.ndarray:
    """Mark the pixels that are farther than a width from the border: bool [side side]."""
    steps = np.arange(side)
    line = np.minimum(steps, side - 1 - steps) > width
    return line[:, None] & line


def spaced_points(
    generator: np.random.Generator, allowed: np.ndarray, distance: float
) -> list[np.ndarray]:
    """Draw points in random order, none closer to another than a distance (dart throwing).

    Args:
        generator: the source of randomness.
        allowed: where points may lie, bool [height width].
        distance: in pixels.

    Returns:
        Points (row, column), until no pixel is left.
    """
    places = np.argwhere(allowed) + 0.5
    places = places[generator.permutation(len(places))]
    points = []
    while len(places):
        points.append(places[0])
        places = places[np.hypot(*(places - places[0]).T) >= distance]
    return points


def stripes(generator: np.random.Generator, side: int, angle: float) -> np.ndarray:
    """Draw noise of one orientation and a period of about 1/18 of the side: [side side]."""
    rows, columns = np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side), indexing="ij")
    radius = np.hypot(rows, columns) * side
    off = (np.arctan2(rows, columns) - angle + np.pi / 2) % np.pi - np.pi / 2
    passed = np.exp(-(((radius - 18) / 5) ** 2) - (off / 0.25) ** 2)
    spectrum = np.fft.fft2(generator.standard_normal((side, side))) * passed
    return np.fft.ifft2(spectrum).real


def scattered_arcs(
    generator: np.random.Generator, frame: np.ndarray, mask: np.ndarray, count: int = 6
) -> list[np.ndarray]:
    """Cut a frame into arcs, and turn and move each to a free place outside."""
    side = len(mask)
    arcs = []
    taken = mask.copy()
    for part in np.array_split(frame, count):
        middle = part.mean(axis=0)
        reach = float(np.hypot(*(part - middle).T).max())
        free = (ndimage.distance_transform_edt(~taken) > reach + 2) & margin(side, reach + 2)
        places = np.argwhere(free)
        if not len(places):
            continue
        place = places[generator.integers(len(places))]
        turn = generator.uniform(0, 2 * np.pi)
        matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        arcs.append(place + 0.5 + (part - middle) @ matrix)
        taken[tuple(np.round(arcs[-1]).astype(int).T)] = True
    return arcs


def wavy_blob(
    generator: np.random.Generator, centre: tuple[float, float], mirrored: bool, side: int
) -> np.ndarray:
    """Draw a blob with an outline of waves 2 to 5, and of about the same area every time.

    Args:
        generator: the source of randomness.
        centre: (column, row) from the image's centre, in shares of its side.
        mirrored: symmetric about its vertical axis; otherwise far from symmetric about any axis.
        side: of the image, in pixels.

    Returns:
        bool [side side].

    Raises:
        EpisodeError: no such blob was found.
    """
    periods = np.arange(2, 6)
    for _ in range(_TRIES):
        amplitudes = generator.uniform(0.1, 0.18, 4) * np.array([1, 1, 0.8, 0.6])
        phases = generator.uniform(0, 2 * np.pi, 4)
        if mirrored:  # cos(k a + p) keeps its value as a becomes pi - a
            phases = -periods * np.pi / 2 + np.pi * generator.integers(0, 2, 4)
        waves = np.stack([amplitudes, phases], axis=1)
        radius = 0.15 / np.sqrt(1 + (amplitudes**2).sum() / 2)  # of one area
        if mirrored or asymmetry(waves) > _ASYMMETRIC:
            shape = Shape("blob", centre, float(radius), 1.0, 0.0, waves, 0.5)
            return inside(shape, *_grid(side)) > 0
    raise EpisodeError(f"every one of {_TRIES} blobs was nearly symmetric")


def asymmetry(waves: np.ndarray) -> float:
    """Mean distance of an outline from its mirror image about the axis where that is least.

    Args:
        waves: amplitude and phase [waves 2], see `episodes.synthetic.shapes.Shape`.

    Returns:
        In mean radii: 0 is symmetric.

    >>> round(asymmetry(np.array([[0.2, 0.0]])), 3)
    0.0
    """
    angles = np.linspace(0, 2 * np.pi, 180, endpoint=False)
    periods = np.arange(2, 2 + len(waves))
    radii = waves[:, 0] @ np.cos(periods[:, None] * angles + waves[:, 1:])
    return float(min(np.abs(radii - np.roll(radii[::-1], step)).mean() for step in range(180)))
