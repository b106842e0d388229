"""The axes of an array, inferred from its shape, and when the user has to name them.

[height width], [height width 3 or 4] and [depth height width] with fewer planes than rows are taken
as such. A shape that fits several orders is refused, with the orders that are possible.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from episodes.errors import DataError
from episodes.io.axes import Reading, Structure

_MEANINGS = {
    "YXC": "channels last",
    "CYX": "channels first",
    "ZYX": "planes first",
    "YXZ": "planes last",
}


def chosen_axes(
    shape: tuple[int, ...], name: str, reading: Reading | None, mask: bool = False
) -> str | None:
    """Return the axes that the user named, those of a mask being without channels.

    Raises:
        DataError: more or fewer axes were named than there are.
    """
    if reading is None or reading.axes is None:
        return None
    without = "".join(letter for letter in reading.axes if letter not in "CS")
    for axes in (reading.axes, *([without] if mask else []), "YX"):
        if len(axes) == len(shape):
            return axes
    raise DataError(
        f"{name} has {len(shape)} axes ({_text(shape)}), but {reading.axes} names "
        f"{len(reading.axes)}; expected one letter an axis in --axes (axes= in Python)"
    )


def structure_of_array(
    shape: tuple[int, ...],
    name: str,
    reading: Reading | None = None,
    *,
    mask: bool = False,
    pages: bool = False,
) -> Structure:
    """Name the axes of an array that has no metadata: as the user gives them, or by its shape.

    Args:
        shape: of the array.
        name: for messages.
        reading: options of the user.
        mask: whether it holds one label a pixel, and so has no channels.
        pages: whether the file holds it as pages, so that the first of three axes are planes.

    Raises:
        DataError: the shape fits several orders; the message names them.
    """
    axes = chosen_axes(shape, name, reading, mask)
    certain = axes is not None
    if axes is None:
        axes, certain = _guess(shape, _Doubt(shape, name, reading, mask, mask or pages))
    found = Structure(axes, shape, certain=certain)
    colours = axes.endswith("C") and found.channels in (3, 4)
    return Structure(
        axes, shape, colours, "unknown" if found.channels == 4 and colours else None, 1, certain
    )


@dataclass(frozen=True)
class _Doubt:
    """Raises where a shape fits several orders of axes."""

    shape: tuple[int, ...]
    name: str
    reading: Reading | None
    mask: bool
    planes_first: bool

    def error(self, options: Sequence[str]) -> DataError:
        """Name the orders that are possible; axes of one element at the ends keep their place."""
        text = "".join("1" if length == 1 else "n" for length in self.shape)
        before, after = len(text) - len(text.lstrip("1")), len(text) - len(text.rstrip("1"))
        options = ["Q" * before + option + "Q" * after for option in options]
        options = list(filter(self._likely, options)) or options
        way_out = (
            "save it as OME-TIFF, or as arrays [item height width] of a data set, whose axes have "
            "names"
            if self.reading is None
            else f"choose with --axes {' or '.join(options)} (axes= in Python)"
        )
        return DataError(
            f"{self.name} has the shape {_text(self.shape)}, whose axes are not certain: "
            f"{', '.join(map(_meaning, options))}; {way_out}"
        )

    def _likely(self, axes: str) -> bool:
        """Whether height and width are the longest axes."""
        lengths = dict(zip(axes, self.shape, strict=True))
        return sorted(self.shape)[-2:] == sorted((lengths["Y"], lengths["X"]))


def _guess(shape: tuple[int, ...], doubt: _Doubt) -> tuple[str, bool]:
    """Find axes by their lengths, and whether they can be no others."""
    if len(shape) < 2:
        raise DataError(
            f"{doubt.name} has {len(shape)} axes; expected height and width at least: "
            "(height, width), (height, width, 3) or a volume (depth, height, width)"
        )
    if len(shape) == 2:
        return "YX", True
    if shape[-1] == 1:
        axes, certain = _guess(shape[:-1], doubt)
        return axes + ("Q" if "C" in axes else "C"), certain
    if shape[0] == 1:
        axes, certain = _guess(shape[1:], doubt)
        return next(
            letter for letter in "ZTQ" if letter not in axes or letter == "Q"
        ) + axes, certain
    if shape[-1] in (3, 4) and min(shape[-3:-1]) > 4 and len(shape) <= 4:
        return "ZYXC"[-len(shape) :], True
    if len(shape) > 3:
        more = "P" * (len(shape) - 4)
        if doubt.mask and max(shape[:-2]) < min(shape[-2:]):
            return more + "TZYX", True
        channels = [] if doubt.mask else ["ZCYX", "TCYX", "CZYX", "ZYXC", "YXCZ", "YXZC"]
        raise doubt.error([more + option for option in ("TZYX", *channels, "YXZT")])
    first, middle, last = shape
    least = min(first, middle)
    if last < least and (first == middle or 2 * last <= least):
        raise doubt.error(["ZYX", "YXZ"] if doubt.mask else ["YXC", "ZYX", "YXZ"])
    if 2 <= first <= 4 < min(middle, last) and not doubt.planes_first:
        raise doubt.error(["CYX", "ZYX"])
    return "ZYX", first < min(middle, last)


def _meaning(axes: str) -> str:
    known = axes.strip("Q")
    return f"{axes} ({_MEANINGS[known]})" if known in _MEANINGS else axes


def _text(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "()"
