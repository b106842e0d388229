"""What a folder of results holds: one line a result, written before and after its files.

The ledger is appended to and flushed, so a run that is killed at any moment leaves a list of all
files that it wrote; `summary.json` is made from it. Files that are in no ledger are not ours.
"""

import hashlib
import json
import os
import stat
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

from episodes.errors import DataError
from episodes.io.write import atomic_write
from fewshot import __version__
from fewshot.provenance import CALIBRATION, SEGMENTER, WEIGHTS

LEDGER = ".fewshot-results.jsonl"
_HEAD = {"fewshot": "results", "format": 1}
_MAX_BYTES = 2**28


class Ledger:
    """The rows of a folder of results, by the query that each is of.

    Args:
        folder: of the results; it exists.

    Raises:
        DataError: a file of the ledger's name is none.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / LEDGER
        self.folder = folder
        self.rows: dict[str, dict[str, Any]] = {}
        self.begun: set[str] = set()
        rows, whole = _read(self.path)
        self._exists = rows is not None
        for row in rows or ():
            self._note(row)
        self._whole = whole

    def mend(self) -> None:
        """Cut off a line that a killed run wrote half; a whole ledger stays as it is."""
        if not self._whole:
            self._rewrite()

    def begin(self, query: str, files: list[str]) -> None:
        """Note which files are about to be written."""
        self._append({"begin": query, "files": files})

    def end(self, query: str, row: Mapping[str, Any]) -> None:
        """Note what was written."""
        self._append({"query": query, **row})

    def owns(self, path: Path) -> bool:
        """Whether an earlier run wrote a file that is unchanged since."""
        try:
            name = path.relative_to(self.folder).as_posix()
        except ValueError:
            return False
        for row in self.rows.values():
            if name in row["files"]:
                written = row["files"][name]  # None of files that every run writes anew
                return written is None or digest(path) == written
        return name in self.begun

    def done(self, query: str, settings: str, content: str) -> dict[str, Any] | None:
        """Return the row of a query that was segmented with these settings and did not change."""
        row = self.rows.get(query)
        if row is None or (row["settings"], row["content"]) != (settings, content):
            return None
        return row if all((self.folder / name).is_file() for name in row["files"]) else None

    def changed_files(self, query: str) -> list[str]:
        """Names of a query's results that somebody changed after they were written."""
        files = self.rows[query]["files"]
        return [name for name, hash_ in files.items() if digest(self.folder / name) != hash_]

    def compact(self) -> None:
        """Write the ledger anew, one line a query; nothing is being written any more."""
        self.begun.clear()
        self._rewrite()

    def _rewrite(self) -> None:
        lines = [_HEAD, *({"query": query, **row} for query, row in self.rows.items())]
        if self.begun:
            lines.append({"begin": "", "files": sorted(self.begun)})
        with atomic_write(self.path) as partial:
            partial.write_bytes(b"".join(map(_line, lines)))
        self._exists = self._whole = True

    def _append(self, row: dict[str, Any]) -> None:
        head = b"" if self._exists else _line(_HEAD)
        flags = os.O_WRONLY | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)
        try:
            if not self._exists:
                flags |= os.O_CREAT | os.O_EXCL
            handle = os.open(self.path, flags, 0o666)
            with open(handle, "ab") as file:
                file.write(head + _line(row))
        except OSError as error:
            raise DataError(
                f"{self.path} cannot be written: {error.strerror or error}; is the disk full?"
            ) from error
        self._exists = True
        self._note(row)

    def _note(self, row: dict[str, Any]) -> None:
        if "begin" in row:
            self.begun |= set(row["files"])
        else:
            self.rows[row["query"]] = {k: v for k, v in row.items() if k != "query"}


def recorded(folder: Path) -> frozenset[str]:
    """Names of the results that earlier runs left in a folder.

    Raises:
        DataError: a file of the ledger's name is none.
    """
    for above in (folder.absolute(), *folder.absolute().parents):
        if (above / LEDGER).is_file():
            found = (above / LEDGER).stat()
            files = _files(above, found.st_mtime_ns, found.st_size)
            return files.get(Path(os.path.relpath(folder, above)).as_posix(), frozenset())
    return frozenset()


@lru_cache(8)
def _files(folder: Path, *_: int) -> dict[str, frozenset[str]]:
    """The names of a ledger's files by their folder; read again when the ledger has changed."""
    ledger, found = Ledger(folder), defaultdict[str, set[str]](set)
    for name in chain(ledger.begun, *(row["files"] for row in ledger.rows.values())):
        found[Path(name).parent.as_posix()].add(Path(name).name)
    return {where: frozenset(names) for where, names in found.items()}


def digest(path: Path) -> str:
    """Hash the content of a file.

    Raises:
        DataError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:32]
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error


def settings_hash(settings: Mapping[str, Any], files: Iterable[Path]) -> str:
    """Hash what results depend on: settings, the contents of files, and this version."""
    parts = {"version": __version__, "files": [digest(path) for path in files], **settings}
    return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()[:32]


def model_files(folder: Path | None) -> list[Path]:
    """The files of a model that are there; none of the installed one."""
    named = (SEGMENTER, WEIGHTS, CALIBRATION) if folder is not None else ()
    return [path for name in named if (path := Path(folder or "") / name).is_file()]


def _line(row: Mapping[str, Any]) -> bytes:
    return (json.dumps(row, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")


def _read(path: Path) -> tuple[list[dict[str, Any]] | None, bool]:
    """Read the rows, None if there is no ledger; and whether the last line is whole."""
    try:
        found = os.lstat(path)
        if not stat.S_ISREG(found.st_mode) or not 0 < found.st_size <= _MAX_BYTES:
            raise ValueError(f"a link, or {found.st_size:,} bytes")
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return None, True
    except (OSError, ValueError) as error:
        raise _foreign(path, str(error)) from error
    rows = []
    for number, line in enumerate(lines[:-1]):  # whole lines end with a newline
        try:
            row = json.loads(line)
            if number == 0:
                if row != _HEAD:
                    raise ValueError("it begins with other words")
                continue
            kinds = (dict, list) if "begin" in row else (dict,)
            if not isinstance(row["files"], kinds) or not isinstance(
                row.get("begin", row.get("query")), str
            ):
                raise ValueError(f"line {number + 1} is of another kind")
            rows.append(row)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise _foreign(path, str(error)) from error
    if len(lines) == 1:  # not even the first line is whole
        raise _foreign(path, "its first line has no end")
    return rows, not lines[-1]


def _foreign(path: Path, why: str) -> DataError:
    return DataError(f"{path} is no list of results ({why}); remove it, or choose another --out")
