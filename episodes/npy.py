"""NumPy files of strangers: headers are checked before a value is read; no Python objects."""

import math
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from episodes.errors import DataError
from episodes.limits import check_voxels, guarded


@lru_cache(maxsize=2)
def read_whole(path: Path, name: str, changed: int) -> np.ndarray:
    """Read an array once for all items: a compressed archive cannot be entered in the middle.

    Args:
        path: a .npy or .npz file.
        name: the array in the archive; empty for .npy files, which are mapped into memory.
        changed: the file's time of change, so that a new file is read anew.

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
    if dtype.kind not in "buif":
        raise DataError(f"{path} {name} holds {dtype}; expected numbers")
    # A file that is mapped into memory may be of any length, its items may not.
    check_voxels(path, shape if name or len(shape) < 3 else shape[1:])
    needed, there = math.prod(shape) * dtype.itemsize, _bytes(path, name)
    if needed > there:
        raise DataError(f"{path} {name} declares {needed:,} bytes; it has at most {there:,}")
    return shape


def _bytes(path: Path, name: str) -> int:
    if not name:
        return path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        member = archive.getinfo(f"{name}.npy")
    # Deflate packs at most 1032 bytes into one: what the directory says may be a lie.
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
