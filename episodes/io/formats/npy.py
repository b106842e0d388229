"""NumPy files of strangers: headers are checked before a value is read; no Python objects."""

import math
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from episodes.errors import DataError, shorten
from episodes.io.array_axes import structure_of_array
from episodes.io.axes import Reading, Structure
from episodes.io.limits import check_voxels, guarded

MAGIC = b"\x93NUMPY"


def structure(path: Path, reading: Reading | None = None, *, mask: bool = False) -> Structure:
    """Read the axes of a .npy file, or of the one array of a .npz file, from its header.

    Raises:
        DataError: see `read_shape`; or the archive holds several arrays, or the axes may be others.
    """
    with guarded(path, "NumPy array"):
        shape = read_shape(path, _single(path))
        check_voxels(path, shape)
    return structure_of_array(shape, str(path), reading, mask=mask)


def read(
    path: Path, reading: Reading | None = None, *, mask: bool = False
) -> tuple[np.ndarray, Structure]:
    """Read all values of an array, in the machine's own byte order, and its axes.

    Raises:
        DataError: see `structure`.
    """
    found = structure(path, reading, mask=mask)
    with guarded(path, "NumPy array"):
        values = read_npy(path, _single(path), path.stat().st_mtime_ns)
        kind = np.dtype(np.uint8) if values.dtype == bool else values.dtype.newbyteorder("=")
        return np.array(values, kind, order="C"), found


def _single(path: Path) -> str:
    """Name the one array of an archive; empty for a .npy file."""
    with path.open("rb") as file:
        start = file.read(6)
    if start == MAGIC:
        return ""
    if not start.startswith(b"PK"):
        raise DataError(
            f"{path} is no NumPy array: its first bytes are {start!r}; save it with numpy.save"
        )
    names = names_of(path)
    if len(names) != 1:
        raise DataError(
            f"{path} holds {len(names)} arrays ({shorten(names)}); expected one. Save it alone, "
            "with numpy.save"
        )
    return names[0]


@lru_cache(maxsize=2)
def read_npy(path: Path, name: str, modified_ns: int) -> np.ndarray:
    """Read an array once for all items: a compressed archive cannot be entered in the middle.

    Args:
        path: a .npy or .npz file.
        name: the array in the archive; empty for .npy files, which are mapped into memory.
        modified_ns: the file's time of change, so that a new file is read anew.

    Raises:
        DataError: see `read_shape`.
    """
    read_shape(path, name)
    if not name:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    with _open(path, name) as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def read_shape(path: Path, name: str) -> tuple[int, ...]:
    """Read an array's shape, sure that its values fit into memory and are there.

    Raises:
        DataError: it holds no numbers, or declares more than the limits or the file allow.
    """
    with _open(path, name) as file:
        if np.lib.format.read_magic(file) == (1, 0):
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        else:
            shape, _, dtype = np.lib.format.read_array_header_2_0(file)
    label = f"{path} {name}" if name else str(path)
    if dtype.kind not in "buif" or dtype.itemsize > 8:
        raise DataError(f"{label} holds {dtype}; expected numbers of at most 64 bits")
    if not shape:
        raise DataError(f"{label} holds a single number; expected an array of pixels")
    # A file that is mapped into memory may be of any length, its items may not.
    check_voxels(path, shape if name or len(shape) < 3 else shape[1:])
    needed, there = math.prod(shape) * dtype.itemsize, _bytes(path, name)
    if needed > there:
        raise DataError(f"{label} declares {needed:,} bytes; it has at most {there:,}")
    return shape


def _bytes(path: Path, name: str) -> int:
    if not name:
        return path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        member = archive.getinfo(f"{name}.npy")
    # Deflate packs at most 1032 bytes into one: the directory's sizes may be wrong.
    return min(member.file_size, member.compress_size * 1032)


def _open(path: Path, name: str) -> Any:
    if not name:
        return path.open("rb")
    with zipfile.ZipFile(path) as archive:
        return archive.open(f"{name}.npy")


def names_of(path: Path) -> list[str]:
    """List the arrays of an archive."""
    with guarded(path, "NumPy archive"), zipfile.ZipFile(path) as archive:
        return [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
