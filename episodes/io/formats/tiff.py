"""TIFF files, all of them, through tifffile: what it reads is what is read here, bit for bit.

Axes come from the file's own metadata (OME-XML, ImageJ, tifffile), else from its pages; see
`episodes.io.axes`. On the way to a picture palettes become colours, ink becomes light, transparency
is shown on white, and the orientation is applied; MinIsWhite changes no number, so that masks and
pictures agree. Masks keep the numbers of the file, those of a palette being its indices.
"""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from episodes.errors import DataError
from episodes.io.array_axes import chosen_axes, structure_of_array
from episodes.io.axes import Alpha, Reading, Structure, arrange, in_planes
from episodes.io.formats.pillow import palette_numbers
from episodes.io.formats.tiff_checks import LOSSY, check_pages, check_segments, main_series, opened
from episodes.io.limits import check_voxels, guarded

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""How TIFF and BigTIFF files begin."""

_PALETTE, _CMYK, _YCBCR = 3, 5, 6
_READ = (0, 1, 2, 3, 4, 5, 6, None)  # photometric interpretations; others need a conversion


@dataclass(frozen=True)
class _Content:
    """The pages that make up a picture or stack, and what they hold."""

    pages: list[Any]
    series: Any
    found: Structure
    photometric: int | None


def structure(path: Path, reading: Reading | None = None, *, mask: bool = False) -> Structure:
    """Read the axes of a TIFF, without its pixels.

    Raises:
        DataError: the file is damaged, or declares more than the limits or the file allow.
    """
    with opened(path) as file:
        return _content(path, file, reading, mask).found


def read(path: Path, reading: Reading | None = None) -> np.ndarray:
    """Read a picture or stack as [depth height width] or [depth height width 3].

    Raises:
        DataError: see `structure`; or there are too many channels, or a requested one is missing.
    """
    with opened(path) as file:
        content = _content(path, file, reading, mask=False)
        values, found = _coloured(path, content, _values(path, file, content))
    return arrange(values, found, str(path), reading)


def read_mask(path: Path, reading: Reading | None = None) -> tuple[np.ndarray, bool]:
    """Read a mask's samples [depth height width channel], and whether they were packed with loss.

    Raises:
        DataError: see `structure`; or it has channels that are no colours.
    """
    with opened(path) as file:
        content = _content(path, file, reading, mask=True)
        found = content.found
        if found.channels > 1 and not found.rgb and not found.alpha:
            raise DataError(
                f"mask {path} has {found.channels} channels (axes {found.axes}); expected one "
                "number a pixel"
            )
        values = _values(path, file, content)
        if content.photometric == _CMYK:
            values, found = _coloured(path, content, values)
        lossy = int(content.series.keyframe.compression) in LOSSY
        samples = in_planes(values, found)
        if content.photometric == _PALETTE and found.channels == 1:
            samples = palette_numbers(samples[..., 0], _shown_palette(path, content))
            samples = samples[..., None] if samples.ndim == 3 else samples
    return samples, lossy


def _content(path: Path, file: Any, reading: Reading | None, mask: bool) -> _Content:
    """Find the main picture, and what its axes are."""
    parts = main_series(path, file)
    series, page = parts[0], parts[0].keyframe
    pages = list(series) if series.kind != "generic" else [p for part in parts for p in part]
    shape, axes = tuple(map(int, series.shape)), str(series.axes)
    if series.kind == "generic":
        pages.sort(key=lambda p: p.index if isinstance(p.index, tuple) else (p.index,))
        shape = tuple(map(int, page.shape))
        axes = str(page.axes)
        if len(pages) > 1:
            shape, axes = (len(pages), *shape), "I" + axes
    shape, axes = _squeezed(shape, axes)
    check_pages(path, pages, shape, np.dtype(series.dtype))
    check_voxels(path, shape)
    photometric = getattr(page, "photometric", None)
    photometric = None if photometric is None else int(photometric)
    if photometric not in _READ or (photometric == _YCBCR and page.compression != 7):
        raise DataError(
            f"{path} has colours of the kind {getattr(page.photometric, 'name', photometric)}; "
            "expected grey, RGB, a palette or CMYK. Save it as RGB"
        )
    found = Structure(
        axes,
        shape,
        rgb=photometric in (2, _CMYK, _YCBCR),
        alpha=_alpha(page),
        orientation=_orientation(path, pages),
        certain=not set(axes) & set("QI"),
    )
    return _Content(pages, series, _named(path, found, reading, mask), photometric)


def _squeezed(shape: tuple[int, ...], axes: str) -> tuple[tuple[int, ...], str]:
    """Drop samples of one element."""
    kept = [a for a, (n, x) in enumerate(zip(shape, axes, strict=True)) if n > 1 or x != "S"]
    return tuple(shape[a] for a in kept), "".join(axes[a] for a in kept)


def _named(path: Path, found: Structure, reading: Reading | None, mask: bool) -> Structure:
    """Let the user's axes stand before the file's; doubt a shape whose axes have no names."""
    if "S" in found.axes or len(found.shape) < 3:
        return found
    asked = (reading.axes if reading is not None else None) or ""
    # Names in the file stay, but planes may be called channels and channels planes.
    places = [(axes.find("Y"), axes.find("X")) for axes in (asked, found.axes)]
    fits = len(asked) == len(found.shape) and places[0] == places[1]
    certain = found.certain and not fits
    chosen = None if certain else chosen_axes(found.shape, str(path), reading, mask)
    if chosen is not None:
        return replace(found, axes=chosen, certain=True)
    if not found.certain:  # an array of so many axes, without a word on them
        structure_of_array(found.shape, str(path), reading, mask=mask, pages=True)
    return found


def _alpha(page: Any) -> Alpha:
    """What the last sample of a pixel is, where it is no colour and no channel."""
    extra = [int(value) for value in getattr(page, "extrasamples", ()) or ()]
    samples = int(page.samplesperpixel)
    if len(extra) == 1 and extra[0] in (1, 2) and samples in (2, 4):
        return "premultiplied" if extra[0] == 1 else "straight"
    return "unknown" if samples == 4 and int(page.photometric or 0) in (2, _YCBCR) else None


def _orientation(path: Path, pages: list[Any]) -> int:
    """Return how all pages are stored; frames without tags of their own are like the first."""
    found = {int(p.tags.valueof(274, 1)) if hasattr(p, "tags") else None for p in pages}
    values = sorted(value if value in range(1, 9) else 1 for value in found if value is not None)
    if len(set(values)) > 1:
        raise DataError(
            f"{path} holds pages of different orientations ({', '.join(map(str, values))}); "
            "expected one. Save them apart"
        )
    return values[0] if values else 1


def _values(path: Path, file: Any, content: _Content) -> np.ndarray:
    """Unpack the pages into one array in the file's own order; booleans become 0 and 1."""
    check_segments(path, file, content.pages)
    if content.series.kind == "generic":
        values = np.stack([page.asarray(maxworkers=1) for page in content.pages])
    else:
        values = content.series.asarray(maxworkers=1)
    if values.size != math.prod(content.found.shape):
        raise DataError(
            f"{path} holds {values.shape} values; its header says {content.found.shape}"
        )
    values = values.view(np.uint8) if values.dtype == bool else values
    return values.reshape(content.found.shape)


def _coloured(path: Path, content: _Content, values: np.ndarray) -> tuple[np.ndarray, Structure]:
    """Make colours of palettes and inks."""
    found = content.found
    if content.photometric == _PALETTE and found.channels == 1:
        with guarded(path, "TIFF"):
            colours = _palette(path, content)[values]
        return colours, replace(
            found, axes=found.axes.replace("C", "Q") + "S", shape=colours.shape, rgb=True
        )
    if content.photometric == _CMYK and found.axes.count("S") and found.channels == 4:
        axis = found.axes.index("S")
        inks = np.moveaxis(values, axis, -1).astype(np.float64)
        top = np.iinfo(values.dtype).max if values.dtype.kind in "ui" else 1.0
        light = (top - inks[..., :3]) * (top - inks[..., 3:]) / top
        light = np.moveaxis(np.rint(light) if values.dtype.kind in "ui" else light, -1, axis)
        return light.astype(values.dtype), replace(found, shape=light.shape)
    return values, found


def _palette(path: Path, content: _Content) -> np.ndarray:
    """Return the palette [index 3], in 8 bits where it has no more.

    Raises:
        DataError: there is none, or the pages have several.
    """
    maps = [p.colormap for p in content.pages if getattr(p, "colormap", None) is not None]
    if not maps or any(not np.array_equal(maps[0], other) for other in maps):
        raise DataError(
            f"{path} has {'several palettes' if maps else 'no palette'}; expected one. Save it as "
            "RGB"
        )
    colours = np.asarray(maps[0])
    low, high = colours & 255, colours >> 8
    small = (low == high).all() or not low.any()
    return np.ascontiguousarray((high.astype(np.uint8) if small else colours).T)


def _shown_palette(path: Path, content: _Content) -> np.ndarray:
    """Return the palette in 8 bits, as colours of masks are compared."""
    palette = _palette(path, content)
    return palette if palette.dtype == np.uint8 else (palette >> 8).astype(np.uint8)
