"""Sizes with their unit in the value: "20 px", "0.5 mm", "15 mm3"."""

import re
from dataclasses import dataclass
from typing import Literal

from episodes.errors import DataError
from fewshot.inference.inputs import ImageStack
from fewshot.inference.pixel_size import MILLIMETRES, pixel_size

_FORM = re.compile(r"\s*([0-9.]+(?:[eE][-+]?\d+)?)\s*(px|nm|um|µm|μm|mm|cm|m)\s*([23²³]?)\s*")
_POWERS = {"": 1, "2": 2, "²": 2, "3": 3, "³": 3}


@dataclass(frozen=True)
class Quantity:
    """A number with a unit.

    Attributes:
        value: above 0.
        unit: px, nm, um, mm, cm or m.
        power: 1 of a length, 2 of an area, 3 of a volume; of px always 1.
    """

    value: float
    unit: str
    power: int


def parse_quantity(text: str, kind: Literal["length", "size"], name: str) -> Quantity:
    """Read a length ("0.5 mm") or the size of an object ("20 px", "15 mm3").

    Raises:
        DataError: it has no unit, or one of another kind.

    >>> parse_quantity("15 mm³", "size", "least")
    Quantity(value=15.0, unit='mm', power=3)
    """
    example = "0.5 mm or 0.3 um" if kind == "length" else "20 px, 15 mm2 or 15 mm3"
    found = _FORM.fullmatch(text)
    try:
        value = float(found[1]) if found else 0.0
    except ValueError:
        value = 0.0
    if found is None or not 0 < value < 1e15:
        raise DataError(f"{name} is {text!r}; expected a number above 0 with its unit: {example}")
    unit, power = found[2].replace("µ", "u").replace("μ", "u"), _POWERS[found[3]]
    fits = power == 1 and unit != "px" if kind == "length" else (unit == "px") == (power == 1)
    if not fits:
        raise DataError(f"{name} is {text!r}; expected a {kind}: {example}")
    return Quantity(value, unit, power)


def in_pixels(quantity: Quantity, picture: ImageStack, name: str) -> float:
    """Turn the size of an object into pixels (voxels of a stack).

    Raises:
        DataError: the image's file tells no size of a pixel, or it is an area of a stack, or a
            volume of an image.
    """
    if quantity.unit == "px":
        return quantity.value
    depth = len(picture.pixels)
    size, unit = pixel_size(picture).measure(depth)
    if unit == "px":
        raise DataError(
            f"{name} is {quantity.value:g} {quantity.unit}{quantity.power}, and the file of "
            f"{picture.name} tells no size of a pixel; give it in px"
        )
    if int(unit[-1]) != quantity.power:
        kind = "a volume, whose objects have" if depth > 1 else "an image, whose objects have"
        raise DataError(
            f"{name} is {quantity.value:g} {quantity.unit}{quantity.power}, but {picture.name} is "
            f"{kind} a size in {unit}; give it in {quantity.unit}{unit[-1]}, or in px"
        )
    ratio = MILLIMETRES[quantity.unit] / MILLIMETRES[unit[:-1]]
    return quantity.value * ratio**quantity.power / size
