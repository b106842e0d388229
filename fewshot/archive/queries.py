"""The images that a command segments, and the names of their results."""

import os
import stat
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from episodes.errors import DataError
from episodes.io import read
from episodes.io.unsupported import no_image
from fewshot.archive.ledger import LEDGER, recorded

_LONGEST = 255  # bytes of a file name on the usual file systems
_RESERVED = {"con", "prn", "aux", "nul", *(f"{p}{n}" for p in ("com", "lpt") for n in range(1, 10))}


@dataclass(frozen=True)
class Query:
    """An image to be segmented.

    Attributes:
        path: where it lies.
        name: its path below the folder that was named, which its results have below the output.
        fault: why it cannot be segmented, if that is known; else "".
    """

    path: Path
    name: Path
    fault: str = ""


def list_queries(paths: Iterable[Path]) -> list[Query]:
    """List files, and the images in folders, in order; results of earlier runs are left out.

    Raises:
        DataError: nothing was named, or a folder holds no image.
    """
    found: dict[str, Query] = {}
    for path in paths:
        if not path.is_dir():
            found.setdefault(os.path.abspath(path), Query(path, Path(path.name), _fault(path)))
            continue
        inside = list(_inside(path))
        if not inside:
            raise DataError(no_image(path))
        for query in inside:
            found.setdefault(os.path.abspath(query.path), query)
    if not found:
        raise DataError("no query; expected images or folders of them after --query")
    return list(found.values())


def _inside(folder: Path) -> Iterator[Query]:
    """Walk through a folder, and through folders that links lead to, each once."""
    unreadable: list[OSError] = []
    seen: set[tuple[int, int]] = set()
    others: Counter[str] = Counter()
    for name, folders, files in os.walk(folder, onerror=unreadable.append, followlinks=True):
        here = Path(name)
        found = here.stat()
        if (found.st_dev, found.st_ino) in seen:
            folders.clear()  # a link that leads back
            continue
        seen.add((found.st_dev, found.st_ino))
        results = recorded(here)
        others["hidden"] += sum(f.startswith(".") and f != LEDGER for f in (*folders, *files))
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        for file in sorted(files):
            path = here / file
            if file.startswith(".") or file in results:
                continue
            if read.is_readable(path):
                yield Query(path, path.relative_to(folder), _fault(path))
            else:
                others[path.suffix or "no ending"] += 1
    for error in unreadable:
        path = Path(os.fsdecode(error.filename or folder))
        yield Query(path, path.relative_to(folder), f"cannot be opened: {error.strerror}")
    if left_out := [f"{count} {kind}" for kind, count in sorted(others.items()) if count]:
        print(f"left out in {folder}: {', '.join(left_out)}")


def _fault(path: Path) -> str:
    """Reason why a path is no file to be opened; opening a pipe would wait for ever."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return "the link leads nowhere" if path.is_symlink() else "there is no such file"
    except (OSError, ValueError) as error:
        return f"cannot be opened: {getattr(error, 'strerror', None) or error}"
    return "" if stat.S_ISREG(mode) else "no ordinary file (a pipe, socket or device)"


def result_names(
    queries: Sequence[tuple[Query, str]], earlier: Mapping[Path, Path], reserved: Iterable[str]
) -> dict[Path, Path]:
    """Name the mask of every query so that no two results share a file, on any file system.

    The mask of `a.png` is `a.png`, and `a_overlay.png` and `a.json` lie beside it. Where another
    result has one of these names, in any case or Unicode form, the ending becomes part of the
    name (`a_tif.tif`), and a number follows where that is taken, too.

    Args:
        queries: each with the ending of its mask, such as ".png".
        earlier: masks of earlier runs by the query's path, which they keep.
        reserved: names in the output folder that are no results of a query.

    Returns:
        Masks, relative to the output folder, by the query's path.
    """
    taken = _UsedNames()
    for name in reserved:
        taken.add({Path(name)})
    names: dict[Path, Path] = {}
    for query, _ in queries:
        known = earlier.get(query.path)
        if known is not None and taken.add({*results_of(known)}):
            names[query.path] = known
    for query, ending in queries:
        if query.path in names:
            continue
        masks = (query.name.with_name(_fitting(stem, ending) + ending) for stem in _stems(query))
        names[query.path] = next(mask for mask in masks if taken.add({*results_of(mask)}))
    return names


class _UsedNames:
    """Names that are taken, by files and by the folders that they lie in."""

    def __init__(self) -> None:
        self.files: set[str] = set()
        self.folders: set[str] = set()

    def add(self, paths: set[Path]) -> bool:
        """Take names, if none of them is taken; return whether they were free."""
        keys = {_key(path) for path in paths}
        above = {_key(each) for path in paths for each in path.parents}
        if keys & (self.files | self.folders) or above & self.files:
            return False
        self.files |= keys
        self.folders |= above
        return True


def results_of(mask: Path) -> tuple[Path, Path, Path]:
    """Return the files that one query gets: mask, overlay and JSON."""
    stem = read.stem(mask)
    return mask, mask.with_name(f"{stem}_overlay.png"), mask.with_name(f"{stem}.json")


def _stems(query: Query) -> Iterator[str]:
    stem = read.stem(query.name)
    yield f"{stem}_" if stem.split(".")[0].strip().lower() in _RESERVED else stem
    longer = f"{stem}_{read.suffix(query.name).lstrip('.').replace('.', '_')}"
    yield longer
    number = 2
    while True:
        yield f"{longer}_{number}"
        number += 1


def _fitting(stem: str, ending: str) -> str:
    """Shorten a stem so that the longest of its names is one that a file may have."""
    room = _LONGEST - max(len("_overlay.png"), len(ending))
    content = os.fsencode(stem)
    if len(content) <= room:
        return stem
    mark = f"~{zlib.crc32(content):08x}"
    return content[: room - len(mark)].decode("utf-8", "ignore") + mark


def _key(path: Path) -> str:
    """What names have in common that one file system or another takes for one."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path.as_posix()).casefold())
