"""How much is read from a file at once, and how decoders fail on malformed ones."""

import contextlib
import gzip
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from episodes.errors import DataError, FewshotError, cause

MAX_PIXELS = 80_000_000
"""Largest image, in pixels; Pillow's own alarm is a little above."""

MAX_VOXELS = 2**29
"""Largest volume or stack, in voxels (2 GiB as float32)."""

MAX_PLANES = 100_000
"""Most planes of one volume or stack; each becomes a sample before a pixel is read."""

MAX_TEXT = 2**29
"""Largest JSON or CSV file, in bytes; the annotations of COCO 2017 take 0.45 GB."""

BROKEN = (
    *(OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, OverflowError),
    *(zlib.error, struct.error, gzip.BadGzipFile, MemoryError),
)
"""What Pillow, nibabel and their plugins raise on damaged files."""


@contextlib.contextmanager
def guarded(name: object, kind: str) -> Iterator[None]:
    """Turn whatever a format library raises on a damaged file into a DataError.

    Parsers of rich formats (DICOM, TIFF, Zarr) fail in ways that no list of exceptions covers.

    Args:
        name: the file, for the message.
        kind: what it should have been, e.g. "DICOM".
    """
    try:
        yield
    except FewshotError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"there is no file {error.filename or name}; check the folder") from None
    except Exception as error:
        raise DataError(f"{name} cannot be read as {kind}: {cause(error)}") from error


def too_large(name: object, size: str) -> DataError:
    """Message for a picture with too many pixels, with the way out.

    Args:
        name: the file.
        size: how large it is, e.g. "90000 x 90000 pixels".
    """
    return DataError(
        f"{name} is too large: {size}; at most {MAX_PIXELS:,} pixels are read at once. Crop or "
        "downscale it first, or cut it into tiles and segment those (ImageJ, QuPath and "
        "`vips dzsave` cut tiles)"
    )


def check_voxels(name: object, shape: tuple[int, ...]) -> None:
    """Raise unless an array of this shape may be allocated.

    Raises:
        DataError: an axis is empty, or there are more than `MAX_VOXELS` values.
    """
    count = 1
    for length in shape:
        count *= int(length)
    if min(shape, default=0) < 1 or count > MAX_VOXELS:
        raise DataError(
            f"{name} declares {' x '.join(map(str, shape))} = {count:,} values; between 1 and "
            f"{MAX_VOXELS:,} are read at once. Is the header damaged? Otherwise crop it"
        )


def check_planes(name: object, count: int) -> None:
    """Raise unless a volume has a number of planes that can be listed.

    Raises:
        DataError: it has none, or more than `MAX_PLANES`.
    """
    if not 0 < count <= MAX_PLANES:
        raise DataError(
            f"{name} declares {count:,} planes; between 1 and {MAX_PLANES:,} are read. Is the "
            "header damaged? Otherwise split the volume"
        )


def read_text(path: Path) -> str:
    """Read a text file of at most `MAX_TEXT` bytes as UTF-8.

    Raises:
        DataError: the file is missing, too large, or no UTF-8 text.
    """
    with guarded(path, "text"):
        size = path.stat().st_size
        if size > MAX_TEXT:
            raise DataError(f"{path} has {size:,} bytes; at most {MAX_TEXT:,} are read. Split it")
        return path.read_text(encoding="utf-8-sig")


def inside(root: Path, name: str) -> Path:
    """Return the path of a file that a list names, which must lie in the list's folder.

    Raises:
        DataError: the name leads out of the folder.
    """
    path = root / name
    try:
        outside = not path.resolve().is_relative_to(root.resolve())
    except (OSError, ValueError, RuntimeError):  # a zero byte, a name too long, a loop of links
        outside = True
    if outside or not name:
        raise DataError(f"{name!r} leads out of {root}; expected the name of a file in it")
    return path
