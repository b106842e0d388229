"""Find the files that a list names, however it writes their paths, below one folder."""

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from episodes.errors import DataError, shorten

_DRIVE = re.compile(r"[A-Za-z]:(?=/)")


def normalise_name(name: str) -> str:
    """Normalise a name for comparison: Unicode NFC, case folded.

    >>> normalise_name("U\u0308BER.png") == normalise_name("\u00fcber.PNG")
    True
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


class Finder:
    """Finds files below a folder, and nothing outside of it.

    A name may hold backslashes, be an address on the web, or a path of another machine: the file
    below the folder whose path ends with the most of the name's parts is meant, in any case and
    any form of Unicode. Two that fit equally well are none.

    Args:
        root: the folder that nothing leads out of.
        folders: where relative names are searched first, the likeliest first.
        list_files: lists all candidate files; called once, when a name is not in the folders.
    """

    def __init__(
        self, root: Path, folders: Sequence[Path], list_files: Callable[[], Iterable[Path]]
    ) -> None:
        self.root, self.folders, self._listed = root, folders, list_files
        self._inside = root.resolve()
        self._by_name: dict[str, list[tuple[tuple[str, ...], Path]]] | None = None

    def find(self, name: str) -> Path:
        """Return the file of a name.

        Raises:
            DataError: there is none, or there are several.
        """
        text, local = _path_of(name)
        parts = [part for part in text.split("/") if part not in ("", ".")]
        for folder in self.folders if local else ():
            if self._holds(folder / text):  # an absolute path stands alone
                return self._below(folder / text)
        if not parts or ".." in parts:
            raise DataError(f"{name[:80]!r} leads out of {self.root} or to nothing in it")
        found = self._search(tuple(map(normalise_name, parts)))
        if len(found) != 1:
            several = f"could be {shorten(map(str, found), 3)}" if found else "is not there"
            raise DataError(f"{name[:80]!r} {several}")
        return found[0]

    def _holds(self, path: Path) -> bool:
        """Whether a file is there, and inside of the folder."""
        try:
            return path.is_file() and path.resolve().is_relative_to(self._inside)
        except (OSError, ValueError, RuntimeError):  # a zero byte, a name too long, a loop of links
            return False

    def _below(self, path: Path) -> Path:
        """Write the path of a file as one below the folder, without detours."""
        straight = Path(os.path.normpath(path))
        if straight.is_relative_to(self.root):
            return straight
        return self.root / path.resolve().relative_to(self._inside)

    def _search(self, parts: tuple[str, ...]) -> list[Path]:
        """List the files whose paths end with the most of these parts."""
        if self._by_name is None:
            self._by_name = defaultdict(list)
            for path in self._listed():
                ending = tuple(normalise_name(part) for part in path.relative_to(self.root).parts)
                self._by_name[ending[-1]].append((ending, path))
        there = self._by_name.get(parts[-1], [])
        best = max((_common(parts, ending) for ending, _ in there), default=0)
        chosen = [path for ending, path in there if _common(parts, ending) == best]
        return [path for path in chosen if self._holds(path)]


def _path_of(name: str) -> tuple[str, bool]:
    r"""Return a name as a path with slashes, and whether it may be a path of this machine.

    >>> _path_of("images\\a.png"), _path_of("C:\\b\\a.png"), _path_of("https://b.org/a%20b.png?x=1")
    (('images/a.png', True), ('/b/a.png', False), ('/a b.png', False))
    """
    text = name.replace("\\", "/")
    if "://" in text:
        return unquote(urlsplit(text).path), False
    if drive := _DRIVE.match(text):
        return text[drive.end() :], False
    return text, True


def _common(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    """Count the parts that two paths have in common at their ends."""
    count = 0
    for a, b in zip(reversed(one), reversed(other), strict=False):
        if a != b:
            break
        count += 1
    return count
