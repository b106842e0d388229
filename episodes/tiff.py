"""TIFF files whose axes need interpretation: OME-TIFF, ImageJ hyperstacks, deep colours.

A plain TIFF (pages of grey or 8-bit colour) is read by Pillow like any picture; `structure`
returns None for it. For the others the file's own metadata name the axes (see `episodes.axes`).
"""

import math
import re
from pathlib import Path

import numpy as np

from episodes.axes import Structure, arrange
from episodes.errors import DataError
from episodes.limits import check_planes, check_voxels, guarded
from episodes.picture import image_page, open_picture, pages

FAITHFUL = ("bool", "uint8", "uint16", "int16", "int32", "float32")
"""The data types that Pillow reads without loss, in one channel."""


def structure(path: Path) -> Structure | None:
    """Read the axes of a TIFF; None for one that needs no interpretation, or is no TIFF at all.

    Raises:
        DataError: the metadata are damaged, or declare more than the limits or the file allow.
    """
    import tifffile

    with guarded(path, "TIFF"):
        try:
            # A file that names others as its parts must not make us open them.
            file = tifffile.TiffFile(path, _multifile=False)
        except tifffile.TiffFileError:
            return None  # Pillow says what it is instead
        with file:
            page = file.pages[0]
            if not (file.is_ome or file.is_imagej or file.is_shaped) and _plain(page):
                return None
            _check_planes(path, file.ome_metadata or "")
            series = file.series[0]
            found = Structure(
                str(series.axes), tuple(map(int, series.shape)), _is_rgb(page), page.compression > 1
            )
            if _plain(page) and not _needs_axes(found, len(file.pages)):
                return None
            check_voxels(path, found.shape)
            _check(path, found, np.dtype(series.dtype), getattr(page, "bitspersample", 8))
    return found


def _check_planes(path: Path, xml: str) -> None:
    """Check what OME-XML declares, because tifffile lists all planes before any is there."""
    for pixels in re.findall(r"<(?:\w+:)?Pixels\b[^>]*>", xml):
        counts = re.findall(r"\bSize[ZCT]\s*=\s*[\"'](\d{1,18})", pixels)
        check_planes(path, math.prod(map(int, counts)))


def _is_rgb(page: object) -> bool:
    return getattr(page, "photometric", None) in (2, 6)


def _plain(page: object) -> bool:
    """Whether Pillow reads the page without loss."""
    dtype, samples = str(getattr(page, "dtype", None)), getattr(page, "samplesperpixel", 1)
    return dtype in FAITHFUL if samples == 1 else dtype == "uint8" and samples <= 4


def _needs_axes(found: Structure, page_count: int) -> bool:
    """Whether channels have to be told from planes, or several planes lie behind one header."""
    separate = "C" in found.axes and found.channels > 1
    return separate or page_count != found.planes


def _check(path: Path, found: Structure, dtype: np.dtype, bits: int) -> None:
    if dtype.kind not in "buif":
        raise DataError(f"{path} holds {dtype}; expected one real number a pixel and channel")
    needed, there = math.prod(found.shape) * bits // 8, path.stat().st_size
    if not found.compressed and needed > there:
        raise DataError(
            f"{path} declares {' x '.join(map(str, found.shape))} values ({needed:,} bytes) but "
            f"the file has {there:,} bytes; is it complete?"
        )


def read(path: Path, found: Structure, channel: int | None = None) -> np.ndarray:
    """Read a TIFF with its axes in order: [depth height width] or [depth height width 3].

    Args:
        path: the file.
        found: its structure.
        channel: the only channel to read, from 0; None for all.
    """
    if found.compressed:  # libtiff unpacks no more than the header says, and knows all codecs
        with open_picture(path) as image:
            flat = np.stack([image_page(path, page) for page in pages(path, image)])
        if flat.size != math.prod(found.shape):
            raise DataError(
                f"{path} is compressed and of a kind that cannot be unpacked ({found.axes}, "
                f"{found.shape}); save it without compression"
            )
        return arrange(flat.reshape(found.shape), found, str(path), channel)
    import tifffile

    with guarded(path, "TIFF"), tifffile.TiffFile(path, _multifile=False) as file:
        values = file.series[0].asarray(maxworkers=1)
    if values.shape != found.shape:
        raise DataError(f"{path} holds {values.shape} values; its header says {found.shape}")
    return arrange(values, found, str(path), channel)
