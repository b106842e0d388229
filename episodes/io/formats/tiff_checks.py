"""What is checked in a stranger's TIFF before its pixels are unpacked.

tifffile lists pages and allocates what headers declare; the image codecs behind it allocate what
the packed data declare. Both are compared with the limits first.
"""

import contextlib
import logging
import math
import re
import struct
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from episodes.errors import DataError
from episodes.io.limits import MAX_PIXELS, MAX_VOXELS, check_planes, guarded, too_large

# Codecs that unpack into as many bytes as they are given room for.
_BOUNDED = frozenset((1, 2, 3, 4, 5, 8, 32773, 32946, 34925, 50000))
_JPEG, _JPEG2000, _PNG, _WEBP = (7,), (33003, 33004, 33005, 34712), (34933,), (50001,)
_KNOWN = _BOUNDED.union(_JPEG, _JPEG2000, _PNG, _WEBP)
LOSSY = frozenset((*_JPEG, *_JPEG2000, *_WEBP))
"""Codecs that may change values."""
_NAMES = "none, LZW, Deflate, PackBits, LZMA, Zstandard, CCITT, JPEG, JPEG 2000, PNG and WebP"
_HELPERS = ("svs", "scn", "ndpi", "bif", "philips", "qpi", "avs", "lsm")
"""Slide and microscope formats whose first series is the image, others being label and overview."""


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Open a TIFF; damage that tifffile only logs becomes an error or a warning.

    Raises:
        DataError: it cannot be read, or its parts contradict each other.
    """
    import tifffile

    found = _Remarks()
    log = logging.getLogger("tifffile")
    propagate, log.propagate = log.propagate, False
    log.addHandler(found)
    try:
        # A file that names others as its parts must not make us open them.
        with guarded(path, "TIFF"), tifffile.TiffFile(path, _multifile=False) as file:
            # Pages are compared one by one: a guess from some of them may miss an odd one.
            file.is_uniform = False
            check_declared(path, file.ome_metadata or "")
            yield file
    finally:
        log.removeHandler(found)
        log.propagate = propagate
    found.judge(path)


class _Remarks(logging.Handler):
    """Keeps what tifffile remarks about a file."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.errors = self.warnings = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Count a remark; a tag that cannot be read may be one that is not needed."""
        if record.levelno >= logging.ERROR and "TiffTag" not in record.getMessage():
            self.errors += 1
        else:
            self.warnings += 1

    def judge(self, path: Path) -> None:
        """Refuse, or warn of, a file about which there were remarks."""
        if self.errors:
            raise DataError(
                f"{path} is damaged: its metadata and its pixels contradict each other; copy it "
                "again, or save it anew as a plain TIFF"
            )
        if self.warnings:
            warnings.warn(
                f"{path} has TIFF metadata that are damaged or unusual; check that its size, "
                "planes and channels are read as you expect",
                stacklevel=4,
            )


def check_declared(path: Path, xml: str) -> None:
    """Check what OME-XML declares, because tifffile lists all planes before any is there."""
    for pixels in re.findall(r"<(?:\w+:)?Pixels\b[^>]*>", xml):
        counts = re.findall(r"\bSize[ZCT]\s*=\s*[\"'](\d{1,18})", pixels)
        check_planes(path, math.prod(map(int, counts)))


def main_series(path: Path, file: Any) -> list[Any]:
    """Return the pages of the picture or stack: one series, or all pages of one shape.

    Thumbnails, transparency masks, pyramid levels, and the label and overview of a slide are no
    part of it.

    Raises:
        DataError: there are several pictures, or pages that the file lacks.
    """
    series = [s for s in file.series if math.prod(s.shape)]
    if not series:
        raise DataError(f"{path} holds no picture; expected an image file")
    _check_page(path, series[0].keyframe)
    if series[0].kind in _HELPERS:
        return series[:1]
    pictures = [s for s in series if not (s.keyframe.is_reduced or s.keyframe.is_mask)] or series
    for one in pictures:
        _check_page(path, one.keyframe)
    kinds = {
        (s.keyframe.shape, s.keyframe.axes, str(s.dtype), s.keyframe.photometric) for s in pictures
    }
    if len(kinds) > 1 or (len(pictures) > 1 and pictures[0].kind != "generic"):
        shapes = ", ".join(dict.fromkeys(str(s.keyframe.shape) for s in pictures))
        raise DataError(
            f"{path} holds {len(pictures)} pictures, or pages that make no stack, of the shapes "
            f"{shapes}; expected one shape. Save them apart"
        )
    return pictures


def check_pages(path: Path, pages: list[Any], shape: tuple[int, ...], dtype: np.dtype) -> None:
    """Check pages before they are unpacked into an array.

    Raises:
        DataError: the type, the codec or a size is none that can be read.
    """
    if dtype.kind not in "buif" or dtype.itemsize > 8:
        raise DataError(f"{path} holds {dtype}; expected one real number a pixel and channel")
    if math.prod(shape) > MAX_VOXELS and len(pages) > 1:
        height, width = pages[0].keyframe.imagelength, pages[0].keyframe.imagewidth
        raise DataError(
            f"{path} declares {len(pages)} pages of {width} x {height}; at most "
            f"{MAX_VOXELS:,} voxels are read at once. Split the stack first"
        )
    if any(page is None for page in pages):
        raise DataError(
            f"{path} lacks {sum(page is None for page in pages)} of {len(pages)} planes that its "
            "metadata declare; are they in other files? Save them as one"
        )
    page = pages[0].keyframe
    bits = page.bitspersample if isinstance(page.bitspersample, int) else 8 * dtype.itemsize
    needed, there = math.prod(shape) * bits // 8, path.stat().st_size
    if page.compression == 1 and needed > there:
        raise DataError(
            f"{path} declares {' x '.join(map(str, shape))} values ({needed:,} bytes) but "
            f"the file has {there:,} bytes; is it complete?"
        )


def _check_page(path: Path, page: Any) -> None:
    width, height = page.imagewidth, page.imagelength
    if width * height > MAX_PIXELS:
        raise too_large(path, f"{width} x {height} pixels")
    tile = page.tilewidth * page.tilelength * max(1, page.tiledepth) if page.is_tiled else 0
    if tile > MAX_PIXELS:
        raise DataError(
            f"{path} has tiles of {page.tilewidth} x {page.tilelength} pixels; at most "
            f"{MAX_PIXELS:,} pixels are read at once. Is the header damaged?"
        )
    if page.compression not in _KNOWN:
        name = getattr(page.compression, "name", page.compression)
        raise DataError(
            f"{path} is compressed as {name}; expected {_NAMES}. Save it with another compression"
        )


def check_segments(path: Path, file: Any, pages: list[Any]) -> None:
    """Check the sizes that packed strips and tiles declare, and note empty ones.

    Raises:
        DataError: one would unpack to more than the limit.
    """
    compression = pages[0].keyframe.compression
    segments = [pair for p in pages for pair in zip(p.dataoffsets, p.databytecounts, strict=False)]
    empty = sum(not count for _, count in segments)
    if empty:
        warnings.warn(
            f"{path} has no pixels for {empty:,} of {len(segments):,} strips or tiles; they are "
            "read as 0",
            stacklevel=3,
        )
    if compression in _BOUNDED:
        return
    for offset, count in segments:
        file.filehandle.seek(offset)
        height, width = (
            _declared_size(compression, file.filehandle.read(count)) if count else (1, 1)
        )
        if not 0 < height * width <= MAX_PIXELS:
            raise DataError(
                f"{path} has a strip or tile of {width} x {height} pixels; at most "
                f"{MAX_PIXELS:,} pixels are read at once. Is it damaged?"
            )


def _declared_size(compression: int, packed: bytes) -> tuple[int, int]:
    """Read height and width from the header of a packed image."""
    from tifffile.tifffile import jpeg_shape

    if compression in _JPEG:
        _, height, width, _ = jpeg_shape(packed)
        return int(height), int(width)
    if compression in _PNG:
        width, height = struct.unpack_from(">II", packed, 16)
        return height, width
    if compression in _WEBP:
        return 2**13, 2**13  # it cannot be larger than four times this
    place = packed.index(b"\xff\x4f\xff\x51") + 8  # JPEG 2000: start, size of the reference grid
    width, height = struct.unpack_from(">II", packed, place)
    return height, width
