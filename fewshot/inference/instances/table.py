"""One row an object: number, class, score, area, place, shape and intensities.

| column | what it is |
|---|---|
| image, number, class, score | which object, and the mean probability of its class inside |
| pixels, area, unit | size in pixels, and in the unit of the file: px, um2, mm2, mm3 |
| plane, row, column | centroid, in pixels from 0 |
| first_ and end_ plane, row, column | the box: first, and one behind the last |
| touches_border | 1 where a part may lie outside of the image |
| equivalent_diameter | of the disc or ball of the same size, in px or the unit of length |
| eccentricity, solidity, perimeter | of the ellipse with the same moments, 0 a disc; area over \
that of the convex hull; in px or the unit of length, None where pixels are not square; of images \
alone |
| mean_, std_, min_, max_intensity | and for each channel of colour, _0, _1 and _2 behind it |

Paper:
    van der Walt et al., scikit-image: image processing in Python, PeerJ 2014 (`regionprops`).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fewshot.inference.pixel_size import PixelSize
from fewshot.lazily import lazily

measure = lazily("skimage.measure")

INTENSITIES = ("mean", "std", "min", "max")
SHAPES = ("eccentricity", "solidity", "perimeter")
"""Of images alone: they have no counterpart in volumes, or one that fails for flat objects."""
BOX = tuple(f"{edge}_{axis}" for axis in ("plane", "row", "column") for edge in ("first", "end"))


def columns_of(pixels: np.ndarray) -> list[str]:
    """List the columns of the table of an image [depth height width] or [... 3], in order."""
    ends = [f"_{number}" for number in range(pixels.shape[3])] if pixels.ndim == 4 else [""]
    return [
        *("image", "number", "class", "score", "pixels", "area", "unit"),
        *("plane", "row", "column", *BOX, "touches_border", "equivalent_diameter"),
        *(SHAPES if len(pixels) == 1 else ()),
        *(f"{name}_intensity{end}" for name in INTENSITIES for end in ends),
    ]


def object_rows(
    labels: np.ndarray,
    pixels: np.ndarray,
    known: Mapping[str, Sequence[Any] | np.ndarray],
    pixel: PixelSize,
) -> list[dict[str, Any]]:
    """Measure every object; see the module for the columns.

    Args:
        labels: numbers without gaps [depth height width], 0 background.
        pixels: [depth height width] or [depth height width 3].
        known: the columns that are no measurement of the pixels, each with a value an object.
        pixel: the size of one.
    """
    if not labels.any():
        return []
    flat = len(labels) == 1
    measured = _measure(*(each[0] if flat else each for each in (labels, pixels)))
    centroids = [measured.pop(f"centroid-{axis}") for axis in range(3 - flat)]
    if flat:
        measured |= _shapes(labels[0], measured["perimeter"], pixel)
        centroids.insert(0, np.zeros_like(centroids[0]))
    areas = np.asarray(known["area"])
    diameter = 2 * np.sqrt(areas / np.pi) if flat else (6 * areas / np.pi) ** (1 / 3)
    found = {
        **known,
        **measured,
        **dict(zip(("plane", "row", "column"), centroids, strict=True)),
        "equivalent_diameter": diameter,
    }
    columns = columns_of(pixels)
    listed = [np.asarray(found[name]).tolist() for name in columns]
    return [dict(zip(columns, row, strict=True)) for row in zip(*listed, strict=True)]


def _measure(labels: np.ndarray, pixels: np.ndarray) -> dict[str, Any]:
    shapes = SHAPES if labels.ndim == 2 else ()
    names = ("centroid", *shapes, *(f"intensity_{name}" for name in INTENSITIES))
    found = measure.regionprops_table(labels, pixels.astype(np.float64), properties=names)
    return {_column(name): values for name, values in found.items()}


def _shapes(labels: np.ndarray, perimeter: np.ndarray, pixel: PixelSize) -> dict[str, Any]:
    """Shapes that depend on the size of a pixel, with all lengths in its unit."""
    if abs(pixel.row / pixel.column - 1) < 1e-3:
        return {"perimeter": perimeter * pixel.row}
    spacing = (pixel.row, pixel.column)
    found = measure.regionprops_table(labels, properties=["eccentricity"], spacing=spacing)
    return {**found, "perimeter": [None] * len(perimeter)}


def _column(name: str) -> str:
    """Turn scikit-image's `intensity_mean-0` into `mean_intensity_0`; others stay."""
    if not name.startswith("intensity_"):
        return name
    kind, _, channel = name.removeprefix("intensity_").partition("-")
    return f"{kind}_intensity" + (f"_{channel}" if channel else "")
