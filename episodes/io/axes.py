"""Arrays whose axes have names: from the order in a file to planes of height, width and colour.

Y X                   height and width
C or S                channels: one is dropped, two are shown as red and green, three are
colour, a fourth sample of RGB is transparency, shown on white; of more, up to three are chosen
T, Z and all others   planes, one after the other in the order of the file (TZ: all planes of
the first time point, then those of the second)
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from episodes.errors import DataError, shorten

Alpha = str | None
"""What the last channel is: "straight" or "premultiplied" transparency, "unknown", or colour."""


@dataclass(frozen=True)
class Reading:
    """Options for reading arrays and stacks whose metadata are incomplete.

    Attributes:
        axes: one letter an axis, e.g. "YXC"; None for those of the metadata or the shape.
        channels: numbers of the channels to use, from 0, at most three; empty for all.

    >>> Reading("yxc").axes
    'YXC'
    """

    axes: str | None = None
    channels: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.axes is not None:
            object.__setattr__(self, "axes", self.axes.upper())
            _check_letters(self.axes.upper())
        object.__setattr__(self, "channels", tuple(int(number) for number in self.channels))
        chosen = self.channels
        if len(chosen) > 3 or len(set(chosen)) < len(chosen) or min(chosen, default=0) < 0:
            raise DataError(
                f"the channels are {shorten(chosen)}; expected one to three different numbers "
                "from 0, e.g. --channels 0 2"
            )


@dataclass(frozen=True)
class Structure:
    """What is known of a file's axes.

    Attributes:
        axes: one letter an axis, e.g. "CZYX".
        shape: the axes' lengths.
        rgb: whether the samples of a pixel are colours.
        alpha: what the last channel is, where it is not colour.
        orientation: the EXIF number of how height and width are stored; 1 is upright.
        certain: whether the axes are known, not guessed from the shape.
    """

    axes: str
    shape: tuple[int, ...]
    rgb: bool = False
    alpha: Alpha = None
    orientation: int = 1
    certain: bool = True

    def __post_init__(self) -> None:
        _check_letters(self.axes)
        if len(self.axes) != len(self.shape):
            raise DataError(f"the axes {self.axes} do not fit the shape {self.shape}")

    @property
    def channels(self) -> int:
        """How many channels a pixel has."""
        return math.prod(self._lengths("CS"))

    @property
    def planes(self) -> int:
        """How many planes of height and width there are, channels not counted."""
        return math.prod(self.shape) // (math.prod(self.size) * self.channels)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the picture as it is shown."""
        height, width = self._lengths("Y")[0], self._lengths("X")[0]
        return (width, height) if self.orientation >= 5 else (height, width)

    def from_planes(self, planes: np.ndarray) -> np.ndarray:
        """Bring one number a pixel [depth height width] into the file's own order of axes.

        >>> Structure("YXZC", (4, 5, 2, 3)).from_planes(np.zeros((2, 4, 5))).shape
        (4, 5, 2)
        """
        kept = [a for a, letter in enumerate(self.axes) if letter not in "CS"]
        order = [a for a in kept if self.axes[a] not in "YX"]
        order += [self.axes.index("Y"), self.axes.index("X")]
        values = planes.reshape([self.shape[a] for a in order])
        return np.ascontiguousarray(values.transpose([order.index(a) for a in kept]))

    def __str__(self) -> str:
        shape = " x ".join(map(str, self.shape))
        found = [f"{self.planes} planes"] if self.planes > 1 else []
        found += [f"{self.size[0]} x {self.size[1]} pixels"]
        found += [f"{self.channels} channels"] if self.channels > 1 else []
        return f"{shape} read as {self.axes} ({', '.join(found)})"

    def _lengths(self, letters: str) -> list[int]:
        return [n for letter, n in zip(self.axes, self.shape, strict=True) if letter in letters]


def _check_letters(axes: str) -> None:
    letters = set(axes)
    if any(axes.count(letter) > 1 for letter in "CSXYZ"):
        raise DataError(f"the axes {axes} name an axis twice; expected each once, e.g. ZYX")
    if not letters >= {"Y", "X"} or letters >= {"C", "S"} or not axes.isalpha():
        raise DataError(
            f"the axes are {axes!r}; expected a letter an axis: Y and X, C or S for channels, and "
            "Z, T or others for planes, e.g. YXC or ZYX"
        )


def arrange(
    values: np.ndarray, structure: Structure, name: str, reading: Reading | None = None
) -> np.ndarray:
    """Rearrange values in file order to [depth height width] or [depth height width 3].

    Raises:
        DataError: there are too many channels to show at once, or a requested one is missing.

    >>> structure = Structure("CZYX", (3, 5, 4, 6))
    >>> arrange(np.zeros(structure.shape), structure, "a.tif").shape
    (5, 4, 6, 3)
    >>> arrange(np.zeros(structure.shape), structure, "a.tif", Reading(channels=(1,))).shape
    (5, 4, 6)
    """
    check_channels(structure, name, reading)
    planes = in_planes(values, structure)
    if reading is not None and reading.channels:
        planes = planes[..., list(reading.channels)]
    elif structure.alpha:
        planes = shown_on_white(planes, structure.alpha, name, reading)
    return shown(planes)


def shown(planes: np.ndarray) -> np.ndarray:
    """Drop the only channel, or show two as red and green; three planes of axes stay as they are.

    >>> shown(np.ones((1, 4, 5, 2))).shape
    (1, 4, 5, 3)
    """
    if planes.ndim == 4 and planes.shape[3] == 1:
        return planes[..., 0]
    if planes.ndim == 4 and planes.shape[3] == 2:
        return np.concatenate([planes, np.zeros_like(planes[..., :1])], axis=3)
    return planes


def in_planes(values: np.ndarray, structure: Structure) -> np.ndarray:
    """Bring values in file order to [depth height width channel], upright."""
    last = [a for a, letter in enumerate(structure.axes) if letter in "CS"]
    middle = [structure.axes.index("Y"), structure.axes.index("X")]
    first = [a for a in range(values.ndim) if a not in (*last, *middle)]
    planes = values.transpose(*first, *middle, *last)
    height, width = (structure.shape[a] for a in middle)
    planes = planes.reshape(structure.planes, height, width, structure.channels)
    return upright(planes, structure.orientation)


def upright(planes: np.ndarray, orientation: int) -> np.ndarray:
    """Turn [depth height width channel] by its EXIF orientation, 1 to 8."""
    if orientation >= 5:
        planes = planes.swapaxes(1, 2)
    rows = -1 if orientation in (3, 4, 7, 8) else 1
    columns = -1 if orientation in (2, 3, 6, 7) else 1
    return planes[:, ::rows, ::columns]


def shown_on_white(
    planes: np.ndarray, alpha: str, name: str, reading: Reading | None = None
) -> np.ndarray:
    """Show transparent pixels on white, without loss of depth: [... channel + 1] -> [... channel].

    Args:
        planes: whole numbers or floats, the last channel being the transparency.
        alpha: "straight", "premultiplied", or "unknown", which has to be opaque everywhere.
        name, reading: for messages.

    Raises:
        DataError: the fourth channel is none that is known, and is not opaque.
    """
    colours, opacity = planes[..., :-1], planes[..., -1:]
    top = np.iinfo(planes.dtype).max if planes.dtype.kind in "ui" else 1.0
    if (opacity == top).all():
        return colours
    if alpha == "unknown":
        raise DataError(
            f"{name} has a fourth channel that may be transparency or a stain; "
            + _choose(reading, "0 1 2")
        )
    wide: Any = np.float64 if planes.dtype.itemsize < 8 else np.longdouble
    share = np.divide(opacity, top, dtype=wide)
    over = colours * (1 if alpha == "premultiplied" else share) + top * (1 - share)
    if planes.dtype.kind == "f":
        return over.astype(planes.dtype)
    return np.clip(np.rint(over), 0, top).astype(planes.dtype)


def check_channels(structure: Structure, name: str, reading: Reading | None = None) -> None:
    """Raise unless the channels can be shown at once and the requested ones exist.

    Raises:
        DataError: they cannot, or one does not.
    """
    if reading is not None and reading.channels:
        missing = [number for number in reading.channels if number >= structure.channels]
        if missing:
            raise DataError(
                f"{name} has {structure.channels} channels; channel {shorten(missing)} is not "
                "there; "
                f"expected numbers from 0 to {structure.channels - 1}"
            )
    elif structure.channels - (structure.alpha is not None) > 3:
        raise DataError(
            f"{name} has {structure.channels} channels (axes {structure.axes}); expected 1, 2 "
            "or 3; " + _choose(reading, "0 2")
        )


def _choose(reading: Reading | None, example: str) -> str:
    numbers = example.replace(" ", ", ")
    if reading is None:  # a data set, whose readers take one channel
        return (
            "save those that are wanted as files of their own, or read one of them: "
            "episodes.readers.tiff.read(folder, channel=0), or the same of omezarr"
        )
    return f"choose up to three with --channels {example} (channels=({numbers}) in Python)"
