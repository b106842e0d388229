"""What a command may write: no input, and no file that was there before and is not its own.

A command says once what it reads (`guarded`); every file that is written or removed while it runs
is checked against that, because all of them go through `episodes.io.write`. Outside a command, in a
script of the user's, nothing is guarded: `result.save(path)` replaces what it is told to replace.
"""

import contextlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from episodes.errors import DataError

_MARKERS: tuple[tuple[str, set[str]], ...] = (
    ("split.json", {"hold_out"}),
    ("split.json", {"held"}),  # of earlier versions
    ("split.json", {"train_fingerprint", "baseline"}),
    ("baseline.json", {"format"}),
    ("segmenter.json", {"format", "head"}),
    ("embedding.json", {"format"}),
    ("manifest.json", {"format", "commits"}),
    ("benchmark-settings.json", {"format", "sections"}),
    ("scores.json", {"split", "settings"}),
    ("scores.json", {"emoji"}),
    ("scores.json", {"summary", "cases"}),
)
"""Files by which a folder is known as one that a command made, and keys that they hold."""
_OF_FOLDERS = re.compile(
    r"(split|settings|segmenter|embedding|baseline|calibration|scores|done|manifest|benchmark-settings)\.json|"
    r"(model|loss|support)\.safetensors|segment\.onnx|state\.pt|log\.(csv|jsonl)|"
    r"measured\.jsonl|scores\.md|cases\.csv|curves\.png|episodes\.png|contact_sheet\.png|step_\d{6}\.png|"
    r"(none|any|all)_.*_fold\d+.*\.json|benchmark\.(csv|md|png|json)"
)
"""Names of the files that commands leave in such folders."""
_OF_FILES: tuple[set[str], ...] = (
    {"headline", "machine"},
    {"headline", "parts"},
    {"format", "threshold"},
    {"images", "classes", "warnings"},
)
"""Keys by which a single result file is known."""
_MAX_BYTES = 2**28  # of a JSON file that is read

NameRule = Callable[[Path], bool]


class Outputs:
    """The guard of one command.

    Args:
        inputs: files and folders that the command reads; what does not exist is left out.
        overwrite: whether files may be replaced that were there before; inputs never are.
    """

    def __init__(self, inputs: Iterable[Path] = (), overwrite: bool = False) -> None:
        self.overwrite = overwrite
        self._files: dict[tuple[int, int], Path] = {}
        self._folders: list[Path] = []
        self._inside: set[tuple[int, int]] = set()  # files in them, wherever links lead
        self._own: list[NameRule] = []
        self._written: set[tuple[int, int]] = set()
        for path in inputs:
            self.reads(path)

    def reads(self, path: Path) -> None:
        """Add an input: a file, or a folder with all files that are in it before they are written.

        Links are followed, so that an input is known by any of its names.
        """
        with contextlib.suppress(OSError, ValueError):  # without its status it cannot be read
            if not path.is_dir():
                self._files[_identity(path.stat())] = path
                return
            self._folders.append(path.resolve())
            if self.overwrite:  # else no file is replaced, whatever links lead to it
                for name, _, files in os.walk(path):
                    for file in files:
                        with contextlib.suppress(OSError):  # a link that leads nowhere
                            self._inside.add(_identity(Path(name, file).stat()))

    def owns(self, names: NameRule) -> None:
        """Add a rule that recognises files of earlier runs of this command."""
        self._own.append(names)

    def check(self, path: Path) -> None:
        """Raise unless a file may be written or removed.

        Raises:
            DataError: it is an input, by whatever name; or it was there before, is no result of
                an earlier run, and `overwrite` is not set.
        """
        try:
            found = os.lstat(path)
        except OSError:
            return  # nothing is there that could be lost
        if _identity(found) in self._written:
            return
        among = any(path.resolve().is_relative_to(folder) for folder in self._folders)
        with contextlib.suppress(OSError):  # a link that leads nowhere is no input
            identity = _identity(path.stat())
            source, among = self._files.get(identity), among or identity in self._inside
            if source is not None:
                raise DataError(
                    f"{path} is an input{'' if source == path else f' ({source})'}, which is not "
                    "replaced; choose another --out"
                )
        if path.is_dir() and not path.is_symlink():
            raise DataError(f"{path} is a folder, where a file is to be written; choose another")
        if not path.is_symlink() and (any(own(path) for own in self._own) or recognised(path)):
            return
        if among:
            raise DataError(
                f"{path} is among the inputs and was not written by an earlier run; it is not "
                "replaced. Choose another --out"
            )
        if not self.overwrite:
            raise DataError(
                f"{path} exists, and no earlier run is known to have written it; choose another "
                "name or folder, or replace it with --overwrite"
            )

    def wrote(self, path: Path) -> None:
        """Remember a file as written by this command, which may write it again."""
        self._written.add(_identity(os.lstat(path)))


_guard: ContextVar[Outputs | None] = ContextVar("guard", default=None)


@contextlib.contextmanager
def guarded(outputs: Outputs) -> Iterator[Outputs]:
    """Guard everything that is written in a block."""
    token = _guard.set(outputs)
    try:
        yield outputs
    finally:
        _guard.reset(token)


def current() -> Outputs:
    """Return the guard of the running command; outside of one, a guard that forbids nothing."""
    return _guard.get() or Outputs(overwrite=True)


def may_write(path: Path) -> None:
    """Raise unless the running command may write or remove a file; see `Outputs.check`."""
    if guard := _guard.get():
        guard.check(path)


def wrote(path: Path) -> None:
    """Register a written file with the guard of the running command."""
    if guard := _guard.get():
        guard.wrote(path)


def recognised(path: Path) -> bool:
    """Whether a file that exists is a result of this package, by its content or its folder."""
    if path.suffix == ".json" and any(_read(path, keys) for keys in _OF_FILES):
        return True
    if path.suffix in (".md", ".csv", ".png") and _is_table(path):
        return True
    if path.name == "README.md":
        return _starts(path, b"library_name: fewshot-segmentation")
    if not _OF_FOLDERS.fullmatch(path.name):
        return False
    folders = path.parents[:4]  # a benchmark keeps files that deep
    return any(_read(each / name, keys) is not None for each in folders for name, keys in _MARKERS)


def _is_table(path: Path) -> bool:
    """Whether a table or picture was made from the result file that lies beside it."""
    content = _read(path.with_suffix(".json"), {"headline"})
    if content is not None and path.suffix == ".md":
        names = [str(each.get("name")) for each in content["headline"] if isinstance(each, dict)]
        return any(_starts(path, name.encode(), 2**20) for name in names)
    if content is not None:
        return "results" in content  # a benchmark writes all of them
    for result in path.parent.glob("*.json"):  # of one part of a result file, NAME_PART.csv
        if path.stem.startswith(f"{result.stem}_"):
            parts = (_read(result, {"headline", "parts"}) or {}).get("parts", {})
            if path.stem.removeprefix(f"{result.stem}_") in parts:
                return True
    return False


def _starts(path: Path, words: bytes, length: int = 4096) -> bool:
    with path.open("rb") as file:
        return words in file.read(length)


def _read(path: Path, keys: set[str]) -> dict[str, Any] | None:
    """Read a JSON object that has these keys; None if it is none."""
    try:
        if not path.is_file() or path.stat().st_size > _MAX_BYTES:
            return None
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None  # whatever it is, no command wrote it
    return content if isinstance(content, dict) and keys <= set(content) else None


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino
