"""Plugins: a user's own files of Python that add heads, losses, readers, metrics and baselines.

A file is run once, as the module `episodes.plugins.STEM`. What it registers is used by its name
like the parts of this project. Processes that are started from this one load the same files when
they first meet something of theirs (see `VARIABLE`).
"""

import hashlib
import os
import sys
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from episodes.errors import DataError, FewshotError, cause
from episodes.registry import forget, registered_by

VARIABLE = "FEWSHOT_PLUGINS"
"""The environment variable that hands the files' paths on to other processes."""


@dataclass(frozen=True)
class Plugin:
    """A file that was loaded.

    Attributes:
        path: absolute.
        sha256: of its content, in hexadecimal.
        parts: what it registered, such as "head my-head".
    """

    path: Path
    sha256: str
    parts: tuple[str, ...]

    def content(self) -> dict[str, str]:
        """Return what is remembered beside results: the file's name and its hash."""
        return {"file": self.path.name, "sha256": self.sha256}


_LOADED: dict[str, Plugin] = {}


def load_plugins(paths: Iterable[Path | str]) -> tuple[Plugin, ...]:
    """Load several files; see `load_plugin`."""
    return tuple(load_plugin(path) for path in paths)


def load_plugin(path: Path | str) -> Plugin:
    """Run a file of Python and keep what it registers.

    A file that is loaded already and has not changed is not run again; one that has changed is,
    and its parts replace the earlier ones.

    Raises:
        DataError: there is no such file, or it is no Python.
        FewshotError: it raises something, registers nothing or a name that is taken, or another
            plugin has its file name.
    """
    path = Path(path).absolute()
    source = _read(path)
    name, digest = f"{__name__}.{path.stem}", hashlib.sha256(source).hexdigest()
    there = _LOADED.get(name)
    if there is not None and there.path.resolve() != path.resolve():
        raise FewshotError(
            f"plugins {there.path} and {path} have the same name; rename one of the files"
        )
    if there is not None and there.sha256 == digest:
        return there
    _unload(name)
    _run(name, path, source)
    parts = registered_by(name)
    if not parts:
        _unload(name)
        raise FewshotError(
            f"plugin {path} registers nothing; decorate its parts, e.g. with "
            '@register_head("my-head", MySettings()), see docs/plugins.md'
        )
    _LOADED[name] = Plugin(path, digest, parts)
    os.environ[VARIABLE] = os.pathsep.join(str(plugin.path) for plugin in _LOADED.values())
    return _LOADED[name]


def loaded_plugins() -> tuple[Plugin, ...]:
    """Return the plugins of this process, in the order in which they were loaded."""
    return tuple(_LOADED.values())


def plugin_of(module: str) -> Plugin | None:
    """Return the plugin whose file is a module; None for any other module."""
    return _LOADED.get(module)


def unload_plugins() -> None:
    """Forget all plugins and their parts."""
    for name in tuple(_LOADED):
        _unload(name)


def _unload(name: str) -> None:
    forget(name)
    _LOADED.pop(name, None)
    sys.modules.pop(name, None)
    os.environ[VARIABLE] = os.pathsep.join(str(plugin.path) for plugin in _LOADED.values())


def _read(path: Path) -> bytes:
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise DataError(f"plugin {path} {what}; expected a file of Python")
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"plugin {path} cannot be read: {cause(error)}") from error


def _run(name: str, path: Path, source: bytes) -> None:
    try:
        code = compile(source, str(path), "exec")
    except (SyntaxError, ValueError) as error:  # ValueError: it holds a byte 0
        lineno = getattr(error, "lineno", None)
        line, what = f" in line {lineno}" if lineno else "", getattr(error, "msg", error)
        raise DataError(f"plugin {path} is no Python{line}: {what}") from error
    module = ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module  # before it runs: dataclasses look up their module
    try:
        exec(code, module.__dict__)
    except BaseException as error:
        _unload(name)
        if isinstance(error, KeyboardInterrupt):
            raise
        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if _same(f, path)]
        where = f" in line {lines[-1]}" if lines else ""
        kind = "" if isinstance(error, FewshotError) else f"{type(error).__name__}: "
        raise FewshotError(f"plugin {path} fails{where}: {kind}{error}") from error


def _same(frame: traceback.FrameSummary, path: Path) -> bool:
    return frame.filename == str(path)


if os.environ.get(VARIABLE):  # in a process that was started from one with plugins
    load_plugins(os.environ[VARIABLE].split(os.pathsep))
