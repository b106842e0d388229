"""Arrays whose axes have names: from the order in a file to planes of height, width and colour.

Y X                   height and width
C or S                channels: one is dropped, two are shown as red and green, three are
colour, a fourth sample of RGB is transparency and is dropped; more
need a choice
T, Z and all others   planes, one after the other in the order of the file (TZ: all planes of
the first time point, then those of the second)
"""

import math
from dataclasses import dataclass

import numpy as np

from episodes.errors import DataError


@dataclass(frozen=True)
class Structure:
    """What a file says of its axes.

    Attributes:
        axes: one letter an axis, e.g. "CZYX".
        shape: the axes' lengths.
        rgb: whether the samples of a pixel are colours.
        compressed: whether the pixels have to be unpacked.
    """

    axes: str
    shape: tuple[int, ...]
    rgb: bool = False
    compressed: bool = False

    def __post_init__(self) -> None:
        letters = set(self.axes)
        if any(self.axes.count(letter) > 1 for letter in "CSXYZ"):
            raise DataError(f"the axes {self.axes} name an axis twice; expected each once")
        if not letters >= {"Y", "X"} or letters >= {"C", "S"}:
            raise DataError(f"the axes are {self.axes}; expected Y and X, and C or S for channels")
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
        """Height and width."""
        return self._lengths("Y")[0], self._lengths("X")[0]

    def _lengths(self, letters: str) -> list[int]:
        return [n for letter, n in zip(self.axes, self.shape, strict=True) if letter in letters]


def arrange(
    values: np.ndarray, found: Structure, name: str, channel: int | None = None
) -> np.ndarray:
    """Bring values in file order to [depth height width] or [depth height width 3].

    Raises:
        DataError: there are too many channels to show at once, or the one asked for is missing.

    >>> found = Structure("CZYX", (3, 5, 4, 6))
    >>> arrange(np.zeros(found.shape), found, "a.tif").shape
    (5, 4, 6, 3)
    >>> arrange(np.zeros(found.shape), found, "a.tif", channel=1).shape
    (5, 4, 6)
    """
    last = [a for a, letter in enumerate(found.axes) if letter in "CS"]
    middle = [found.axes.index("Y"), found.axes.index("X")]
    first = [a for a in range(values.ndim) if a not in (*last, *middle)]
    planes = values.transpose(*first, *middle, *last)
    planes = planes.reshape(found.planes, *found.size, found.channels)
    check_channels(found, name, channel)
    if channel is not None:
        return planes[..., channel]
    if found.rgb and found.channels == 4:
        planes = planes[..., :3]
    if planes.shape[3] == 1:
        return planes[..., 0]
    if planes.shape[3] == 2:
        return np.concatenate([planes, np.zeros_like(planes[..., :1])], axis=3)
    return planes


def check_channels(found: Structure, name: str, channel: int | None = None) -> None:
    """Raise unless the channels can be shown at once, or the one asked for is there.

    Raises:
        DataError: they cannot, or it is not.
    """
    if channel is not None:
        if not 0 <= channel < found.channels:
            raise DataError(f"{name} has {found.channels} channels; channel {channel} is not there")
    elif found.channels > 3 and not (found.rgb and "S" in found.axes and found.channels == 4):
        raise DataError(
            f"{name} has {found.channels} channels (axes {found.axes}); expected 1, 2 or 3. Read "
            "one of them: episodes.readers.tiff.read(folder, channel=0), or the same of omezarr"
        )
