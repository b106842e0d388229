"""Colours as numbers: how a mask that was painted in colours is counted and named like any other.

A grey pixel of a colour picture has its grey level as its number, black 0 and white 255. Any other
colour has the number `COLOUR` + 0xRRGGBB, beyond all class and object numbers.
"""

import re

import numpy as np

COLOUR = 1 << 40
"""Added to 0xRRGGBB in the number of a colour."""

_NAMES = {
    "black": 0x000000,
    "white": 0xFFFFFF,
    "red": 0xFF0000,
    "green": 0x00FF00,
    "blue": 0x0000FF,
    "yellow": 0xFFFF00,
    "magenta": 0xFF00FF,
    "cyan": 0x00FFFF,
}


def colour_value(text: str) -> int | None:
    """The number of a colour that is given as a name or as #rrggbb; None where it is neither.

    >>> colour_value("red") - COLOUR == 0xFF0000, colour_value("#808080"), colour_value("ruddy")
    (True, 128, None)
    """
    rgb = _NAMES.get(text)
    if rgb is None and re.fullmatch(r"#[0-9a-f]{6}", text):
        rgb = int(text[1:], 16)
    if rgb is None:
        return None
    red, green, blue = rgb >> 16, rgb >> 8 & 255, rgb & 255
    return red if red == green == blue else COLOUR | rgb


def value_name(value: int) -> str:
    """A value as a person writes it in a label map: a number, or a colour.

    >>> value_name(3), value_name(COLOUR | 0xFF0000), value_name(COLOUR | 0x0A0B0C)
    ('3', 'red', '#0a0b0c')
    """
    if value < COLOUR:
        return str(value)
    rgb = value - COLOUR
    return next((name for name, known in _NAMES.items() if known == rgb), f"#{rgb:06x}")


def colour_codes(pixels: np.ndarray) -> np.ndarray:
    """The number of every pixel: uint8 [... 3] to int64 [...]."""
    red, green, blue = (pixels[..., i].astype(np.int64) for i in range(3))
    grey = (red == green) & (green == blue)
    return np.where(grey, red, COLOUR | red << 16 | green << 8 | blue)


def code_colours(values: np.ndarray) -> np.ndarray:
    """The colours of numbers of `colour_codes`: int64 [value] to int64 [value 3]."""
    rgb = np.where(values < COLOUR, values * 0x010101, values - COLOUR)
    return np.stack([rgb >> 16, rgb >> 8 & 255, rgb & 255], axis=-1)
