"""Members of zip archives, read without unpacking the archive."""

import os
import zipfile
from functools import lru_cache
from pathlib import Path, PurePosixPath

import numpy as np

from episodes.errors import DataError
from episodes.io.formats.pillow import image_page, open_image
from episodes.io.limits import guarded

MAX_MEMBER = 2**28
"""Largest picture in an archive, in bytes."""


def members(path: Path) -> list[str]:
    """List the files in an archive, sorted.

    Raises:
        DataError: it is missing or no archive.
    """
    with guarded(path, "zip archive"):
        return sorted(name for name in archive(path).namelist() if not name.endswith("/"))


def read_bytes(path: Path, member: str, limit: int | None = None) -> bytes:
    """Read one member, of at most `MAX_MEMBER` or so many bytes once unpacked.

    Raises:
        DataError: it is missing, damaged, encrypted or too large.
    """
    limit = MAX_MEMBER if limit is None else limit
    with guarded(f"{path}:{member}", "zip archive"):
        size = archive(path).getinfo(member).file_size
        if size > limit:
            raise DataError(
                f"{path}:{member} unpacks to {size:,} bytes; at most {limit:,} are read"
            )
        return archive(path).read(member)


def read_zipped_image(path: Path, member: str) -> np.ndarray:
    """Read a member as a picture [height width] or [height width 3]."""
    name = path / PurePosixPath(member)
    with open_image(name, read_bytes(path, member)) as image:
        return image_page(name, image)


def archive(path: Path) -> zipfile.ZipFile:
    """Open an archive once a process: its list of members may be long."""
    # A forked worker must not share the position in the file with its parent.
    return _opened(path, path.stat().st_mtime_ns, os.getpid())


@lru_cache(maxsize=4)
def _opened(path: Path, changed: int, process: int) -> zipfile.ZipFile:
    return zipfile.ZipFile(path)
