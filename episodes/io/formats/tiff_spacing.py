"""The size of a pixel, where a TIFF holds it: OME-TIFF and ImageJ."""

import math
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

from episodes.io.formats.tiff_checks import opened

UNITS = {
    **dict.fromkeys(("µm", "μm", "um", "micron", "microns", "micrometer", "\\u00B5m"), "um"),
    **dict.fromkeys(("nm", "nanometer"), "nm"),
    **dict.fromkeys(("mm", "millimeter"), "mm"),
    **dict.fromkeys(("cm", "centimeter"), "cm"),
    "m": "m",
}
"""How files spell units of length."""

Spacing = tuple[float | None, float, float, str]
"""Distances of planes (None where it is not known), rows and columns, and their unit."""


def tiff_spacing(path: Path) -> Spacing | None:
    """Read the size of a pixel, where OME-XML or ImageJ's metadata tell it with a unit.

    The resolution tags of other TIFF files are for printing, and are not used.

    Raises:
        DataError: the file is damaged.
    """
    with opened(path) as file:
        if file.ome_metadata:
            return _of_ome(file.ome_metadata)
        if file.imagej_metadata:
            return _of_imagej(file.imagej_metadata, file.pages[0].tags)
    return None


def _of_ome(text: str) -> Spacing | None:
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError:
        return None
    pixels = next((node for node in root.iter() if node.tag.rpartition("}")[2] == "Pixels"), None)
    if pixels is None:
        return None
    lengths = [_length(pixels.get(f"PhysicalSize{axis}")) for axis in "ZYX"]
    units = [UNITS.get(pixels.get(f"PhysicalSize{axis}Unit", "µm")) for axis in "ZYX"]
    return _spacing(lengths, units)


def _of_imagej(metadata: dict[str, Any], tags: Any) -> Spacing | None:
    unit = UNITS.get(str(metadata.get("unit", "")).strip())
    row, column = (_pitch(tags, f"{axis}Resolution") for axis in "YX")
    return _spacing([_length(metadata.get("spacing")), row, column], [unit] * 3)


def _spacing(lengths: list[float | None], units: list[str | None]) -> Spacing | None:
    """Keep what is known in one unit; rows and columns have to be."""
    plane, row, column = lengths
    if row is None or column is None or units[1] is None or units[1] != units[2]:
        return None
    return (plane if units[0] == units[1] else None), row, column, units[1]


def _length(value: object) -> float | None:
    try:
        found = float(str(value))
    except ValueError:
        return None
    return found if math.isfinite(found) and found > 0 else None


def _pitch(tags: Any, name: str) -> float | None:
    """Turn pixels a unit, a fraction, into units a pixel."""
    try:
        pixels, units = tags[name].value
        return _length(units / pixels)
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
