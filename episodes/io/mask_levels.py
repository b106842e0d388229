"""The flat levels that a mask was drawn with, under blurred edges and the noise of JPEG.

A mask is drawn in few flat levels, grey or coloured. Smoothing and enlarging put shades between
two levels along their common edge; JPEG adds noise in blocks of 8 pixels around edges. Where the
levels are beyond doubt, every shade becomes the nearest of the levels that lie beside it: between
two levels that is a cut at one half. Where they are not, nothing is changed: shades that are
regions of their own are classes, and a mask without flat regions may be anything.
"""

from dataclasses import dataclass

import numpy as np

from episodes.io.mask_colours import code_colours, colour_codes

LOWEST = 64
"""Masks whose largest value is smaller hold class numbers, not shades."""

_MAX_LEVELS = 16
_NOISE = 48  # how far JPEG moves a colour channel beside an edge, except on the edge itself
_EXACT = 3  # how far JPEG moves the inside of a flat region
_MINOR = 0.15  # a shade has fewer pixels than this share of the most frequent foreground level
_MANY = 24  # more values than this in a lossless file may be JPEG noise that was saved again


@dataclass(frozen=True)
class Snapped:
    """A mask of flat levels alone.

    Attributes:
        codes: as they came, each shade replaced by a level.
        between: how many pixels were shades that a person would call neither level.
    """

    codes: np.ndarray
    between: int


@dataclass(frozen=True)
class _Image:
    """Pixels as indices into their distinct values."""

    index: np.ndarray  # [depth height width]
    values: np.ndarray  # [value]
    colours: np.ndarray  # [value 3]
    counts: np.ndarray  # [value]

    def count(self, chosen: np.ndarray) -> int:
        return int(self.counts[chosen].sum())

    def distance(self, value: int | np.integer) -> np.ndarray:
        """How far every colour is from one of them: the largest difference of a channel."""
        return np.abs(self.colours - self.colours[value]).max(axis=1)


def flat_levels(codes: np.ndarray, lossy: bool) -> Snapped | None:
    """Find the flat levels of a mask, and give every shade between them to one of them.

    Args:
        codes: grey levels 0..255 or numbers of `mask_colours.colour_codes` [depth height width].
        lossy: whether the file was compressed with loss.

    Returns:
        The mask of levels; None where it holds no shades, or where levels are in doubt.
    """
    least = 2 if lossy else 4
    if codes.dtype == np.uint8 and np.count_nonzero(_histogram(codes)) < least:
        return None
    image = _image(codes)
    if len(image.values) < least:
        return None
    levels = None if lossy else _levels_with_edges(image)
    if levels is not None:
        return levels
    return _levels_with_noise(image) if lossy or len(image.values) > _MANY else None


def edge_values(codes: np.ndarray) -> int:
    """How many of the values hardly ever lie among their like, as shades along edges do."""
    return int((_flat_shares(_image(codes)) < 0.05).sum())


def is_graded(codes: np.ndarray) -> bool:
    """Whether most neighbours differ, as in a picture or a map of probabilities."""
    first, second = codes[..., :-1], codes[..., 1:]
    both = (first != 0) & (second != 0)
    return int(((first != second) & both).sum()) > 0.25 * max(1, int(both.sum()))


def _image(codes: np.ndarray) -> _Image:
    if codes.dtype == np.uint8:
        table = _histogram(codes)
        values = np.flatnonzero(table)
        place = np.zeros(256, np.intp)
        place[values] = np.arange(len(values))
        index, counts = place[codes], table[values]
    else:
        values, flat, counts = np.unique(codes, return_inverse=True, return_counts=True)
        index = flat.reshape(codes.shape)
    return _Image(index, values, code_colours(values.astype(np.int64)), counts)


def _histogram(codes: np.ndarray) -> np.ndarray:
    return np.bincount(codes.ravel(), minlength=256)


def _flat_shares(image: _Image) -> np.ndarray:
    """Which share of each value's pixels lies in flat regions [value]."""
    inside = np.bincount(image.index[_flat(image.index)], minlength=len(image.values))
    return inside / image.counts


def _ground(image: _Image) -> int:
    """The place of the background among the values: 0 where it occurs, else the most frequent."""
    return 0 if image.values[0] == 0 else int(image.counts.argmax())


def _levels_with_edges(image: _Image) -> Snapped | None:
    """Read a lossless mask whose shades all lie along edges."""
    ground = _ground(image)
    others = np.delete(image.counts, ground)
    is_level = (image.counts >= _MINOR * others.max()) | (_flat_shares(image) >= 0.3)
    is_level[ground] = True
    levels = np.flatnonzero(is_level)
    if len(image.values) - len(levels) < 3 or not 2 <= len(levels) <= _MAX_LEVELS:
        return None
    if max(image.distance(ground)[levels]) < LOWEST:
        return None
    shades = ~is_level[image.index]
    if (_flat(image.index) & shades).sum() > 0.1 * shades.sum():
        return None  # shades that are regions are classes
    if len(levels) == 2 and not _halves(image, levels):
        return None
    if len(levels) > 2 and shades.sum() > 0.3 * image.counts[levels[levels != ground]].sum():
        return None
    return _give(image, levels, shades, reach=12 if len(levels) == 2 else 2)


def _halves(image: _Image, levels: np.ndarray) -> bool:
    """Whether all shades mix two levels, and cutting at a quarter changes little."""
    low, high = image.colours[levels[0]], image.colours[levels[1]]
    step = (high - low).astype(float)
    share = (image.colours - low) @ step / (step @ step)
    aside = np.abs(image.colours - low - share[:, None] * step).max(axis=1)
    area = [image.count(share >= cut) for cut in (0.25, 0.5, 0.75)]
    return bool(image.count(aside > 40) <= 0.01 * area[1] and area[0] - area[2] <= 0.35 * area[1])


def _levels_with_noise(image: _Image) -> Snapped | None:
    """Read a mask that went through JPEG: levels are frequent colours with noise around them."""
    levels, owner = _frequent(image)
    if not 2 <= len(levels) <= _MAX_LEVELS:
        return None
    exact = np.stack([image.distance(level) <= _EXACT for level in levels])
    for i in range(len(levels)):
        if image.count(exact[i]) < (0.5 if i == 0 else 0.3) * image.count(owner == i):
            return None  # no flat region: a photograph, or structures thinner than a block
    noise = ~np.logical_or.reduce(exact)[image.index]
    if (_flat(image.index) & noise).sum() > 0.2 * max(1, noise.sum()):
        return None
    shades = (owner < 0)[image.index]
    codes = np.where(shades, -1, owner[image.index])
    if len(levels) > 2:
        shades |= ~_opened(codes, len(levels))  # the rim of a level between two others
    if shades.sum() > 0.5 * image.count(owner != 0):
        return None
    index = np.where(shades, image.index, levels[codes])
    rounded = np.where(image.colours <= 12, 0, np.where(image.colours >= 243, 255, image.colours))
    return _give(
        _Image(index, colour_codes(rounded), rounded, image.counts), levels, shades, reach=4
    )


def _frequent(image: _Image) -> tuple[np.ndarray, np.ndarray]:
    """Find the frequent colours, and to which of them each colour is near; -1 for none."""
    owner = np.full(len(image.values), -1)
    levels: list[int] = []
    least = 0.0
    while (owner < 0).any() and len(levels) <= _MAX_LEVELS:
        level = int(np.where(owner < 0, image.counts, -1).argmax())
        near = (owner < 0) & (image.distance(level) <= _NOISE)
        if levels and image.count(near) < least:
            break
        owner[near] = len(levels)
        levels.append(level)
        if len(levels) == 1:
            least = 0.1 * image.count(owner < 0)
    return np.array(levels), owner


def _opened(codes: np.ndarray, count: int) -> np.ndarray:
    """Where a pixel lies in, or beside the middle of, 3 x 3 pixels of its own level."""
    kept = np.zeros(codes.shape, bool)
    for level in range(count):
        kept |= _near(~_near(codes != level, 1), 1) & (codes == level)
    return kept


def _give(image: _Image, levels: np.ndarray, shades: np.ndarray, reach: int) -> Snapped | None:
    """Give every shade to the nearest of the levels within reach; None where two are not."""
    masks = [(image.index == level) & ~shades for level in levels]
    near = np.stack([_near(mask, reach)[shades] for mask in masks])
    foreground = int((image.index != levels[0])[~shades].sum())
    if int((near.sum(axis=0) < 2).sum()) > 0.01 * max(foreground, 100):
        return None  # shades in the middle of a region
    away = np.stack([image.distance(level) for level in levels])[:, image.index[shades]]
    away = np.where(near | ~near.any(axis=0), away, 256)
    index = image.index.copy()
    index[shades] = levels[away.argmin(axis=0)]
    return Snapped(image.values[index], int(shades.sum()))


def _flat(index: np.ndarray) -> np.ndarray:
    """Where the four neighbours of a pixel hold its own value."""
    flat = np.zeros(index.shape, bool)
    middle = index[:, 1:-1, 1:-1]
    flat[:, 1:-1, 1:-1] = True
    for other in (index[:, :-2, 1:-1], index[:, 2:, 1:-1], index[:, 1:-1, :-2], index[:, 1:-1, 2:]):
        flat[:, 1:-1, 1:-1] &= middle == other
    return flat


def _near(mask: np.ndarray, reach: int) -> np.ndarray:
    """Where any pixel within a square of `reach` around is set."""
    found = mask
    for axis in (1, 2):
        wide = 0
        while wide < min(reach, found.shape[axis] - 1):
            step = min(2 * wide + 1, reach - wide, found.shape[axis] - 1)  # leaves no gap
            grown = found.copy()
            first, last = [slice(None)] * 3, [slice(None)] * 3
            first[axis], last[axis] = slice(None, -step), slice(step, None)
            grown[tuple(first)] |= found[tuple(last)]
            grown[tuple(last)] |= found[tuple(first)]
            found, wide = grown, wide + step
    return found
