"""How much is read from a file at once, and how decoders fail on malformed ones."""

import gzip
import struct
import zlib

MAX_PIXELS = 80_000_000
"""Largest image, in pixels; Pillow's own alarm is a little above."""

MAX_VOXELS = 2**29
"""Largest volume or stack, in voxels (2 GiB as float32)."""

BROKEN = (
    *(OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, OverflowError),
    *(zlib.error, struct.error, gzip.BadGzipFile, MemoryError),
)
"""What Pillow, nibabel and their plugins raise on damaged files."""
