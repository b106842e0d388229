"""Pictures for people: overlays, outlines and contact sheets."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

# Okabe and Ito's colours, which are distinguishable with any colour vision.
COLOURS = np.array(
    [
        *((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66)),
        *((0, 114, 178), (213, 94, 0), (204, 121, 167)),
    ],
    np.uint8,
)
TRUE_POSITIVE, FALSE_NEGATIVE, FALSE_POSITIVE = (0, 158, 115), (230, 159, 0), (204, 60, 140)
"""Colours of an error picture: found, missed (false negative), wrongly found (false positive)."""


def to_rgb(pixels: np.ndarray, limits: Sequence[float]) -> np.ndarray:
    """Scale any image to uint8 [height width 3] so that `limits` become black and white."""
    low, high = limits
    scaled = np.clip((pixels.astype(np.float32) - low) / max(high - low, 1e-12), 0, 1)
    grey = np.round(scaled * 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2) if grey.ndim == 2 else grey


def overlay(
    pixels: np.ndarray, labels: np.ndarray, limits: Sequence[float], opacity: float = 0.45
) -> np.ndarray:
    """Draw colours and outlines of the labels over an image: uint8 [height width 3].

    Args:
        pixels: [height width] or [height width 3].
        labels: [height width]; 0 and 255 stay clear.
        limits: the intensities shown black and white.
        opacity: of the areas, 0 to 1; outlines are always opaque.
    """
    colours = COLOURS[(labels.astype(np.int64) - 1) % len(COLOURS)]
    drawn = (labels > 0) & (labels < 255)
    return blend(to_rgb(pixels, limits), colours, drawn, outline(labels) & drawn, opacity)


def overlay_objects(
    pixels: np.ndarray, labels: np.ndarray, limits: Sequence[float], opacity: float = 0.3
) -> np.ndarray:
    """Draw numbered objects with contours, neighbours by number in different colours.

    Args:
        pixels: [height width] or [height width 3].
        labels: [height width]; 0 stays clear, and every other number is an object.
        limits: the intensities shown black and white.
        opacity: of the areas, 0 to 1; contours are always opaque.

    Returns:
        uint8 [height width 3].
    """
    # A step prime to the number of colours: objects numbered row by row lie beside n +- 1.
    colours = COLOURS[(labels.astype(np.int64) * 3) % len(COLOURS)]
    drawn = labels > 0
    return blend(to_rgb(pixels, limits), colours, drawn, outline(labels) & drawn, opacity)


def errors(
    pixels: np.ndarray, predicted: np.ndarray, truth: np.ndarray, limits: Sequence[float]
) -> np.ndarray:
    """Show true positives, false negatives and false positives over a dimmed image."""
    colours = np.zeros((*truth.shape, 3), np.uint8)
    known = truth != 255
    right = known & (truth > 0) & (predicted == truth)
    missed = known & (truth > 0) & (predicted != truth)
    false = known & (truth == 0) & (predicted > 0)
    for where, colour in (
        (right, TRUE_POSITIVE),
        (missed, FALSE_NEGATIVE),
        (false, FALSE_POSITIVE),
    ):
        colours[where] = colour
    base = to_rgb(pixels, limits) // 2
    return blend(base, colours, right | missed | false, np.zeros_like(known), 0.75)


def blend(
    base: np.ndarray, colours: np.ndarray, mask: np.ndarray, opaque: np.ndarray, opacity: float
) -> np.ndarray:
    """Mix colours into a picture."""
    share = np.where(opaque, 1.0, opacity * mask)[..., None].astype(np.float32)
    return np.round(base * (1 - share) + colours * share).astype(np.uint8)


def outline(labels: np.ndarray) -> np.ndarray:
    """Mark the pixels whose right or lower neighbour has another label, and those neighbours."""
    edge = np.zeros(labels.shape, bool)
    across, down = labels[:, 1:] != labels[:, :-1], labels[1:] != labels[:-1]
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    edge[1:] |= down
    edge[:-1] |= down
    return edge


def channels_last(image: np.ndarray) -> np.ndarray:
    """Turn [channel height width] into [height width] or, in colour, [height width 3]."""
    return image[0] if len(image) == 1 else np.moveaxis(image, 0, 2)


def known_box(labels: np.ndarray) -> tuple[slice, slice]:
    """Find the rows and columns that hold any known pixel: padding is unknown."""
    known = labels != 255
    rows, columns = np.flatnonzero(known.any(axis=1)), np.flatnonzero(known.any(axis=0))
    if not rows.size:
        return slice(None), slice(None)
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


@dataclass(frozen=True)
class Row:
    """One row of a contact sheet: its caption, and pictures uint8 [height width 3]."""

    caption: str
    images: Sequence[np.ndarray]


def contact_sheet(
    title: str, columns: Sequence[str], rows: Sequence[Row], cell: int = 200, legend: bool = True
) -> np.ndarray:
    """Arrange pictures in a table with a title, column heads and captions.

    Args:
        title: one line above everything.
        columns: a head for each column.
        rows: one picture a column; each is scaled to fit its cell.
        cell: side of a cell, in pixels.
        legend: whether to explain the colours of error pictures below.

    Returns:
        uint8 [height width 3].
    """
    gap, top, caption, foot = 8, 74, 22, 34 if legend else 0
    wide = gap + len(columns) * (cell + gap)
    high = top + len(rows) * (cell + caption + gap) + foot
    sheet = Image.new("RGB", (wide, high), "white")
    draw = ImageDraw.Draw(sheet)
    draw.text((gap, 10), title, "black", _font(_fitting(title, wide - 2 * gap, 20)))
    for number, head in enumerate(columns):
        draw.text((gap + number * (cell + gap), top - 26), head, (60, 60, 60), _font(15))
    for index, row in enumerate(rows):
        y = top + index * (cell + caption + gap)
        for number, pixels in enumerate(row.images):
            picture = Image.fromarray(pixels)
            scale = cell / max(picture.size)
            size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
            how = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS
            x = gap + number * (cell + gap)
            place = (x + (cell - size[0]) // 2, y + (cell - size[1]) // 2)
            sheet.paste(picture.resize(size, how), place)
        size_ = _fitting(row.caption, wide - 2 * gap, 14)
        draw.text((gap, y + cell + 3), row.caption, (60, 60, 60), _font(size_))
    if legend:
        _legend(draw, gap, high - foot + 8)
    return np.asarray(sheet)


def _legend(draw: ImageDraw.ImageDraw, x: int, y: int) -> None:
    for colour, text in (
        (TRUE_POSITIVE, "found"),
        (FALSE_NEGATIVE, "missed"),
        (FALSE_POSITIVE, "wrongly found"),
    ):
        draw.rectangle((x, y, x + 14, y + 14), fill=colour)
        draw.text((x + 20, y - 1), text, "black", _font(14))
        x += 36 + round(draw.textlength(text, _font(14)))


def _fitting(text: str, width: int, largest: int) -> int:
    """Find the largest font size, down to 9, in which the text fits."""
    size = largest
    while size > 9 and _font(size).getlength(text) > width:
        size -= 1
    return size


def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise RuntimeError("Pillow was built without FreeType, which the pictures need")
    return font
