"""Smooth drawings on small images: what is drawn finely is averaged over each pixel."""

from collections.abc import Callable, Iterable

import numpy as np
from PIL import Image, ImageDraw

_FINE = 4  # pixels of the drawing along one of the image


class Pen:
    """Draws on an image, in pixels (row, column); pixel 0 reaches from 0 to 1.

    Args:
        side: of the image, in pixels.
    """

    def __init__(self, side: int) -> None:
        self.picture = Image.new("L", (side * _FINE, side * _FINE))
        self._draw = ImageDraw.Draw(self.picture)

    def line(self, points: np.ndarray, width: float) -> None:
        """Draw a line through points [point 2]."""
        self._draw.line(_flat(points), 255, round(width * _FINE), joint="curve")

    def polygon(self, points: np.ndarray) -> None:
        """Fill a polygon of corners [point 2]."""
        self._draw.polygon(_flat(points), 255)

    def disc(self, centre: np.ndarray, radius: float) -> None:
        """Fill a disc."""
        self._draw.ellipse(_box(centre, radius), 255)

    def notched_disc(self, centre: np.ndarray, radius: float, angle: float, width: float) -> None:
        """Fill a disc but for a notch.

        Args:
            centre: of the disc.
            radius: of the disc, in pixels.
            angle: of the middle of the notch, in radians from the columns' axis to the rows'.
            width: of the notch, in radians.
        """
        first, last = np.rad2deg([angle + width / 2, angle - width / 2 + 2 * np.pi])
        self._draw.pieslice(_box(centre, radius), float(first), float(last), 255)


def coverage(side: int, draw: Callable[[Pen], None]) -> np.ndarray:
    """Share of each pixel that a drawing covers: float64 [side side].

    >>> float(coverage(4, lambda pen: pen.disc(np.array([2, 2]), 1.0)).sum().round(1))
    3.2
    """
    pen = Pen(side)
    draw(pen)
    fine = np.asarray(pen.picture, np.float64) / 255
    return fine.reshape(side, _FINE, side, _FINE).mean(axis=(1, 3))


def dots(pen: Pen, centres: Iterable[np.ndarray], radius: float) -> None:
    """Draw discs of one radius."""
    for each in centres:
        pen.disc(each, radius)


def _flat(points: np.ndarray) -> list[tuple[float, float]]:
    return [(float(column) * _FINE, float(row) * _FINE) for row, column in points]


def _box(centre: np.ndarray, radius: float) -> tuple[float, float, float, float]:
    row, column = (float(each) for each in centre)
    low, high = (column - radius, row - radius), (column + radius, row + radius)
    # Pillow counts both ends of the box among the pixels of the disc.
    return (low[0] * _FINE, low[1] * _FINE, high[0] * _FINE - 1, high[1] * _FINE - 1)
