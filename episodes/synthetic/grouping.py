"""Images in which one principle of perceptual grouping alone defines what belongs together.

Each function draws an image and the area that people see as one thing. Place and outline of that
area are drawn anew for every image, so that they tell nothing; what else could tell is kept equal.

Papers: Wertheimer, Untersuchungen zur Lehre von der Gestalt II, 1923; Wagemans et al., A century of
Gestalt psychology in visual perception, Psychological Bulletin 2012.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from scipy import ndimage
from skimage import measure

from episodes.errors import EpisodeError, shorten
from episodes.synthetic.elements import (
    blob_area,
    margin,
    scattered_arcs,
    spaced_points,
    stripes,
    wavy_blob,
)
from episodes.synthetic.ink import Pen, coverage, dots

PAPER, INK = 0.75, 0.25
"""Intensities of the ground and of what is drawn on it, 0 to 1."""

_NOISE = 0.015  # standard deviation, so that no method meets areas of one single intensity


class Scene(NamedTuple):
    """An image, and what people see in it.

    Attributes:
        image: uint8 [height width], or [height width 3] in colour or of two frames.
        mask: uint8 [height width], 1 in the area that is seen as one thing.
    """

    image: np.ndarray
    mask: np.ndarray


def draw_scene(principle: str, seed: int, side: int = 128) -> Scene:
    """Draw an image of a principle, always the same for one seed.

    Args:
        principle: one of `PRINCIPLES`.
        seed: another one gives another image.
        side: of the image, in pixels.

    Raises:
        EpisodeError: there is no such principle, or the side is below 96 pixels.

    Example:
        >>> draw_scene("proximity", seed=0).mask.shape
        (128, 128)
    """
    if principle not in PRINCIPLES:
        raise EpisodeError(
            f"there is no principle {shorten(principle)}; expected one of {', '.join(PRINCIPLES)}"
        )
    if side < 96:
        raise EpisodeError(f"side is {side}; expected at least 96 pixels, or dots run together")
    generator = np.random.Generator(np.random.Philox(key=[seed, 0]))
    values, mask = PRINCIPLES[principle](generator, side)
    return Scene(np.round(values.clip(0, 1) * 255).astype(np.uint8), mask.astype(np.uint8))


def similarity_of_colour(generator: np.random.Generator, side: int) -> Scene:
    """Draw an area of another hue; luma has the same mean and spread inside and outside."""
    mask = blob_area(generator, side)
    luma = ndimage.gaussian_filter(generator.standard_normal((side, side)), side / 40)
    luma = luma / luma.std() + 0.5 * generator.standard_normal((side, side))
    for region in (mask, ~mask):
        luma[region] = (luma[region] - luma[region].mean()) / luma[region].std()
    # Orthogonal to luma (0.299, 0.587, 0.114), and told apart with any colour vision.
    hue = np.where(mask, 1, -1)[..., None] * np.array([0.061, 0.0, -0.16])
    return Scene(0.5 + 0.1 * luma.clip(-2.5, 2.5)[..., None] + hue, mask)


def similarity_of_texture(generator: np.random.Generator, side: int) -> Scene:
    """Draw an area of stripes at 45 degrees among stripes at 135, of one histogram.

    Paper: Beck, Effect of orientation and of shape similarity on perceptual grouping, 1966.
    """
    mask = blob_area(generator, side)
    values = np.empty((side, side))
    for region, degrees in ((mask, 45), (~mask, 135)):
        found = stripes(generator, side, np.deg2rad(degrees))[region]
        ranks = found.argsort().argsort()
        values[region] = 0.2 + 0.6 * (ranks + 0.5) / len(ranks)
    return Scene(values, mask)


def proximity(generator: np.random.Generator, side: int) -> Scene:
    """Draw equal dots, some of them closer to each other; the area is that around these."""
    area = blob_area(generator, side)
    near = spaced_points(generator, area, side / 20)
    far = spaced_points(generator, ndimage.distance_transform_edt(~area) > side / 16, side / 8)
    radius, reach = side / 64, side / 14
    around = ndimage.distance_transform_edt(
        coverage(side, lambda pen: dots(pen, near, radius)) == 0
    )
    # A closing by discs that span the gaps between the near dots, with a rim of one pixel.
    mask = ndimage.distance_transform_edt(around < reach) > reach - 1
    return Scene(_on_paper(generator, side, lambda pen: dots(pen, [*near, *far], radius)), mask)


def common_region(generator: np.random.Generator, side: int) -> Scene:
    """Draw equal dots, evenly spaced, some of them within a frame; arcs of such a frame elsewhere.

    Paper: Palmer, Common region: a new principle of perceptual grouping, 1992.
    """
    mask = blob_area(generator, side)
    frame = measure.find_contours(ndimage.gaussian_filter(mask.astype(float), 1), 0.5)[0] + 0.5
    lines = [frame, *scattered_arcs(generator, frame, mask)]
    drawn = np.zeros(mask.shape, bool)
    for line in lines:
        drawn[tuple(line.astype(int).T)] = True
    free = ndimage.distance_transform_edt(~drawn) > side / 26
    centres = spaced_points(generator, free, side / 12)

    def draw(pen: Pen) -> None:
        dots(pen, centres, side / 64)
        for line in lines:
            pen.line(line, 1.5)

    return Scene(_on_paper(generator, side, draw), mask)


def continuity(generator: np.random.Generator, side: int) -> Scene:
    """Draw two curves that cross; seen as one is what goes on smoothly from the disc at its end.

    Paper: Field, Hayes and Hess, Contour integration by the human visual system, 1993; tracing from
    a mark by Jolicoeur, Ullman and Mackay, Curve tracing, 1986.
    """
    along = np.linspace(-0.4, 0.4, 60)
    curves = []
    turn = generator.uniform(0, 2 * np.pi)
    for sense in (-1, 1):
        wave = 0.05 * np.sin(np.pi * along / 0.4 + generator.uniform(0, 2 * np.pi))
        across = sense * generator.uniform(0.5, 0.8) * along + wave
        rows = along * np.sin(turn) + across * np.cos(turn)
        columns = along * np.cos(turn) - across * np.sin(turn)
        curves.append((np.stack([rows, columns], axis=1) * 0.9 + 0.5) * side)
    target, other = curves

    def traced(pen: Pen) -> None:
        pen.line(target, side / 40)
        pen.disc(target[0], side / 24)

    def both(pen: Pen) -> None:
        traced(pen)
        pen.line(other, side / 40)

    mask = coverage(side, traced) > 0.5
    return Scene(_on_paper(generator, side, both), mask)


def symmetry(generator: np.random.Generator, side: int) -> Scene:
    """Draw four blobs of equal area and waviness, one of them its own mirror image.

    Paper: Bertamini, Silvanto, Norcia, Makin and Wagemans, The neural basis of visual symmetry,
    2018.
    """
    chosen = int(generator.integers(4))
    covered = np.zeros((side, side), bool)
    mask = covered
    for number in range(4):
        place = (np.array([number % 2, number // 2]) - 0.5) * 0.47 + generator.uniform(
            -1, 1, 2
        ) / 50
        blob = wavy_blob(generator, (float(place[0]), float(place[1])), number == chosen, side)
        covered = covered | blob
        mask = blob if number == chosen else mask
    values = np.where(covered, INK, PAPER)
    return Scene(values + _NOISE * generator.standard_normal((side, side)), mask)


def common_fate(generator: np.random.Generator, side: int) -> Scene:
    """Draw two frames of a random texture that moves within the area; the ground rests.

    The frames are the red and the green channel; blue is the first once more, so that what rests is
    grey. Either frame alone shows nothing.

    Paper: Braddick, A short-range process in apparent motion, 1974.
    """
    return _moved(generator, side, ground=0)


def common_fate_moving_ground(generator: np.random.Generator, side: int) -> Scene:
    """Draw `common_fate` with a ground that moves as far the other way: all pixels change."""
    return _moved(generator, side, ground=-1)


def illusory_contours(generator: np.random.Generator, side: int) -> Scene:
    """Draw discs with notches that face each other: corners of a figure without edges between.

    As many discs elsewhere have notches that face away.

    Paper: Kanizsa, Subjective contours, Scientific American 1976; the share of the border that is
    seen (0.46 here) by Shipley and Kellman, 1992.
    """
    corners = int(generator.integers(3, 5))
    angles = generator.uniform(0, 2 * np.pi) + 2 * np.pi * np.arange(corners) / corners
    directions = np.stack([np.sin(angles), np.cos(angles)], axis=1)
    centre = (0.5 + generator.uniform(-0.18, 0.18, 2)) * side
    outline = centre + 0.22 * side * directions
    radius = 0.23 * float(np.linalg.norm(outline[0] - outline[1]))
    mask = coverage(side, lambda pen: pen.polygon(outline)) > 0.5
    notch = np.pi * (1 - 2 / corners)
    discs = [(each, angle + np.pi) for each, angle in zip(outline, angles, strict=True)]
    taken = coverage(side, lambda pen: dots(pen, outline, radius))
    free = ndimage.distance_transform_edt((taken == 0) & ~mask) > radius + 4
    free &= margin(side, radius)
    for spot in spaced_points(generator, free, 2 * radius + 3)[:corners]:
        outward = np.arctan2(*(spot - centre)) + generator.uniform(-0.5, 0.5)
        discs.append((spot, float(outward)))

    def draw(pen: Pen) -> None:
        for spot, middle in discs:
            pen.notched_disc(spot, radius, middle, notch)

    return Scene(_on_paper(generator, side, draw), mask)


def _on_paper(generator: np.random.Generator, side: int, draw: Callable[[Pen], None]) -> np.ndarray:
    """Draw with ink on paper, with a little noise: 0 to 1 [side side]."""
    values = PAPER + (INK - PAPER) * coverage(side, draw)
    return values + _NOISE * generator.standard_normal((side, side))


def _moved(generator: np.random.Generator, side: int, ground: int) -> Scene:
    """Draw two frames: the texture in the area moves, that of the ground by `ground` times that."""
    mask = blob_area(generator, side)
    step = round(side / 43)
    frames = []
    for moves in (1, ground):
        noise = ndimage.gaussian_filter(generator.standard_normal((side, side)), 1, mode="wrap")
        frames.append((noise, np.roll(noise, moves * step, axis=1)))
    values = [np.where(mask, *pair) for pair in zip(*frames, strict=True)]
    first, second = (0.5 + 0.18 * each / frames[0][0].std() for each in values)
    return Scene(np.stack([first, second, first], axis=2), mask)


PRINCIPLES: Mapping[str, Callable[[np.random.Generator, int], Scene]] = {
    each.__name__: each
    for each in (
        *(similarity_of_colour, similarity_of_texture, proximity, common_region, continuity),
        *(symmetry, common_fate, common_fate_moving_ground, illusory_contours),
    )
}
"""The functions by their names; their images hold values from 0 to 1, their masks are bool."""
