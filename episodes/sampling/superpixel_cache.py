"""A cache of superpixels and supervoxels: in memory up to a limit, and optionally on disk."""

import hashlib
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from episodes.errors import DataError
from episodes.io.limits import BROKEN
from episodes.io.write import atomic_write, make_folder


class RegionCache:
    """Keeps label maps of regions.

    Args:
        cache_bytes: memory for label maps, two bytes a pixel; the least recently used go first.
        folder: where they are kept between runs, compressed; None keeps none.
    """

    def __init__(self, cache_bytes: int = 2**29, folder: Path | None = None) -> None:
        self.cache_bytes = cache_bytes
        self.folder = None if folder is None else make_folder(folder)
        self._maps: OrderedDict[str, np.ndarray] = OrderedDict()
        self._bytes = 0

    def get(
        self,
        name: str,
        settings: object,
        read: Callable[[], np.ndarray],
        segment_regions: Callable[[np.ndarray], np.ndarray],
    ) -> np.ndarray:
        """Return regions, from memory, from disk or computed, in this order.

        Args:
            name: of the image, unique among those that share this cache.
            settings: of the region function; their repr is part of the file's name.
            read: reads the pixels.
            segment_regions: makes uint16 regions of them, of the same height and width.

        Raises:
            DataError: a file of the folder is damaged, or cannot be written.
        """

        def make() -> np.ndarray:
            pixels = read()
            if self.folder is None:
                return segment_regions(pixels)
            path = self.folder / f"{fingerprint(pixels, settings)}.npz"
            if path.exists():
                return load_regions(path, pixels.shape)
            regions = segment_regions(pixels)
            save_regions(path, regions)
            return regions

        return self.remember(name, make)

    def remember(self, name: str, make: Callable[[], np.ndarray]) -> np.ndarray:
        """Return the regions of this name, made when they are not in memory."""
        if name not in self._maps:
            self._maps[name] = regions = make()
            self._bytes += regions.nbytes
            while self._bytes > self.cache_bytes and len(self._maps) > 1:
                _, dropped = self._maps.popitem(last=False)
                self._bytes -= dropped.nbytes
        self._maps.move_to_end(name)
        return self._maps[name]


def fingerprint(pixels: np.ndarray, settings: object) -> str:
    """Hash an image and the settings that its regions depend on.

    Example:
        >>> fingerprint(np.zeros(3), "a") == fingerprint(np.zeros(3), "b")
        False
    """
    digest = hashlib.sha256(f"{pixels.shape} {pixels.dtype.str} {settings!r}".encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()[:32]


def save_regions(path: Path, regions: np.ndarray) -> None:
    """Write uint16 regions, compressed, the whole file or none."""
    with atomic_write(path, guarded=False) as partial, partial.open("wb") as file:
        np.savez_compressed(file, regions=regions)


def load_regions(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """Read regions of an image of a shape.

    Args:
        path: a file that `save_regions` wrote.
        shape: of the image; the last axes are those of the regions.

    Raises:
        DataError: the file is damaged or holds something else; nothing large is allocated.
    """
    try:
        with zipfile.ZipFile(path) as archive, archive.open("regions.npy") as member:
            version = npy.read_magic(member)
            if version != (1, 0):
                raise ValueError(f"array format {version}")
            found, fortran, dtype = npy.read_array_header_1_0(member)
            if dtype != np.uint16 or fortran or found != shape[len(shape) - len(found) :]:
                raise ValueError(f"{dtype} of {found}")
            content = member.read(2 * int(np.prod(found)))
            return np.frombuffer(content, "<u2").reshape(found).astype(np.uint16, copy=False)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, *BROKEN) as error:
        raise DataError(
            f"{path} holds no regions of an image of {shape}: {error}. Delete it; it will be "
            "computed again"
        ) from error
