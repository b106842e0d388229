"""A cache of the counts of mask files, so that a data set is scanned once.

One file a data set (the folder that all its masks share) in the user's cache folder. A mask file
whose size and time of change are as remembered counts as unchanged. Where they differ, its content
is hashed (SHA-256): equal content is not measured again, other content is. An edit that keeps both
size and time of change to the nanosecond goes unnoticed; `--no-cache` measures in any case. A file
changed within two seconds of being measured is hashed the next time, as clocks of file systems are
that coarse. Masks that are no file of their own (members of archives, series of files) are not
remembered. A damaged cache gives a warning, and the masks are counted again.
"""

import hashlib
import json
import math
import os
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from episodes.errors import DataError
from episodes.io.pixels import PixelRef
from episodes.io.write import atomic_write

FORMAT = "fewshot mask counts, version 2"
MAX_BYTES = 2**30
FEW = 3
"""Up to so many values are counted separately even where all are objects of one class."""

_COARSE_NS = 2 * 10**9


@dataclass(frozen=True)
class MaskCounts:
    """How often each value occurs on each plane of a mask file.

    Attributes:
        shape: (depth, height, width).
        planes: {value: pixels} of each plane.
        objects: whether every non-zero value was counted as 1.
        note: what was done to the file's own values, and
        doubt: why they may be no class or object numbers; see `episodes.io.mask_pixels`.
        frame: how many pixels at the four borders of the planes are not 0.
    """

    shape: tuple[int, int, int]
    planes: tuple[Mapping[int, int], ...]
    objects: bool = False
    note: str = ""
    doubt: str = ""
    frame: int = 0

    @property
    def values(self) -> set[int]:
        """The values that occur, without 0."""
        return {value for plane in self.planes for value in plane} - {0}

    @property
    def framed(self) -> float:
        """Share of the pixels at the borders that are not 0."""
        depth, height, width = self.shape
        return self.frame / max(1, depth * 2 * (height + width))

    @property
    def covered(self) -> float:
        """Share of all pixels that are not 0."""
        zeros = sum(plane.get(0, 0) for plane in self.planes)
        return 1 - zeros / max(1, math.prod(self.shape))

    def of_objects(self) -> "MaskCounts":
        """Count every non-zero value as 1, unless they may be classes, or are in doubt."""
        if self.doubt or len(self.values) <= FEW:
            return self
        planes = []
        for plane in self.planes:
            inside = sum(n for value, n in plane.items() if value)
            numbers = {0: plane.get(0, 0), 1: inside}
            planes.append({value: n for value, n in numbers.items() if n})
        return replace(self, planes=tuple(planes), objects=True)


@dataclass(frozen=True)
class Entry:
    """What is remembered of a file; `changed_ns` is 0 where its content has to be hashed."""

    size: int
    modified_ns: int
    sha256: str
    counts: MaskCounts


@dataclass
class AreaCache:
    """Counts of mask files; without a path it remembers nothing.

    Attributes:
        path: the cache file, or None.
        root: the folder that all mask files share.
        entries: by path below the root.
        fresh: whether anything is new since it was read.
    """

    path: Path | None
    root: Path
    entries: dict[str, Entry] = field(default_factory=dict)
    fresh: bool = False

    @classmethod
    def open(cls, folder: Path | None, files: Sequence[Path]) -> "AreaCache":
        """Read the cache of the data set that these files belong to."""
        if folder is None or not files:
            return cls(None, Path())
        root = Path(os.path.commonpath([os.path.abspath(path.parent) for path in files]))
        name = hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:32]
        path = folder / f"{name}.jsonl"
        return cls(path, root, read_entries(path))

    def find(self, source: PixelRef, objects: bool) -> MaskCounts | None:
        """Return the counts of a mask whose file has not changed, else None."""
        path = source.path
        if self.path is None or source != PixelRef(path):
            return None
        name = self._name(path)
        entry = self.entries.get(name)
        if entry is None or (entry.counts.objects and not objects):
            return None
        try:
            now = path.stat()
            if now.st_size != entry.size:
                return None
            if now.st_mtime_ns != entry.modified_ns:
                if hash_file(path) != entry.sha256:
                    return None
                changed = _settled(now.st_mtime_ns)
                self.entries[name] = Entry(entry.size, changed, entry.sha256, entry.counts)
                self.fresh = True
        except OSError:
            return None  # reading it raises the error
        return entry.counts.of_objects() if objects else entry.counts

    def remember(self, source: PixelRef, counts: MaskCounts) -> None:
        """Note the counts of a mask that is a file."""
        path = source.path
        if self.path is None or source != PixelRef(path):
            return
        now = path.stat()
        entry = Entry(now.st_size, _settled(now.st_mtime_ns), hash_file(path), counts)
        self.entries[self._name(path)] = entry
        self.fresh = True

    def save(self) -> None:
        """Write the cache whole; a folder that cannot be written gives a warning only."""
        if self.path is None or not self.fresh:
            return
        kept = {name: e for name, e in sorted(self.entries.items()) if (self.root / name).exists()}
        body = json.dumps({name: _row(entry) for name, entry in kept.items()}, allow_nan=False)
        head = {"format": FORMAT, "sha256": hashlib.sha256(body.encode()).hexdigest()}
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(self.path, guarded=False) as partial:
                partial.write_text(f"{json.dumps(head)}\n{body}\n", encoding="utf-8")
        except (OSError, DataError) as error:
            warnings.warn(
                f"areas of classes are not remembered for the next time: {error}", stacklevel=2
            )
        self.fresh = False

    def _name(self, path: Path) -> str:
        return os.path.relpath(os.path.abspath(path), self.root)


def cache_folder() -> Path:
    """The folder for caches of this package: $XDG_CACHE_HOME/fewshot, else ~/.cache/fewshot."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "fewshot"


def read_entries(path: Path) -> dict[str, Entry]:
    """Read a cache file; a damaged one is empty, with a warning."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataError(f"it has more than {MAX_BYTES:,} bytes")
        head, _, body = path.read_text(encoding="utf-8").partition("\n")
        about, body = json.loads(head), body.removesuffix("\n")
        if not isinstance(about, dict) or about.get("format") != FORMAT:
            raise DataError("it is of another version")
        if about.get("sha256") != hashlib.sha256(body.encode()).hexdigest():
            raise DataError("its checksum is wrong")
        return {str(name): _entry(row) for name, row in json.loads(body).items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        warnings.warn(
            f"the cache {path} is not used, and the masks are measured again: {error!s:.200}",
            stacklevel=2,
        )
        return {}


def hash_file(path: Path) -> str:
    """SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _settled(changed_ns: int) -> int:
    return changed_ns if time.time_ns() - changed_ns > _COARSE_NS else 0


def _row(entry: Entry) -> list[Any]:
    counts = entry.counts
    planes = [list(plane.items()) for plane in counts.planes]
    told = [counts.objects, counts.note, counts.doubt, counts.frame]
    return [entry.size, entry.modified_ns, entry.sha256, counts.shape, told, planes]


def _entry(row: Sequence[Any]) -> Entry:
    size, changed_ns, sha256, shape, (objects, note, doubt, frame), planes = row
    depth, height, width = (int(n) for n in shape)
    read = tuple({int(value): int(n) for value, n in plane} for plane in planes)
    whole = all(sum(plane.values()) == height * width for plane in read)
    if len(read) != depth or not whole or any(min(plane, default=0) < 0 for plane in read):
        raise DataError(f"the planes of a mask of {depth} x {height} x {width} do not add up")
    told = bool(objects), str(note), str(doubt), int(frame)
    counts = MaskCounts((depth, height, width), read, *told)
    return Entry(int(size), int(changed_ns), str(sha256), counts)
