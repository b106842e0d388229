"""Registries: a part is added beside its definition and found by its name ever after.

    READERS: Registry[Reader] = Registry(
        "reader", "register_reader", ("episodes.readers",), "fewshot.readers"
    )
    register_reader = READERS.register

A name on the command line, a tag in a saved file and a default in a recipe are all the same name.
Names are listed without importing what they stand for, so that the command's help needs no torch.
"""

import importlib
import os
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Generic, TypeVar

from episodes.errors import FewshotError, shorten

Part = TypeVar("Part")
Definition = TypeVar("Definition")

_NAME = re.compile(r"[\w.-]+( [\w.-]+)*")
"""No sign that commands give a meaning of its own, such as + and :."""


class UnknownPartError(FewshotError):
    """No part has this name."""


@dataclass(frozen=True)
class _Entry(Generic[Part]):
    part: Part
    module: str
    definition: str


class Registry(Generic[Part]):
    """The parts of one kind by their names.

    Args:
        kind: what a part is, for messages: "head".
        decorator: name of the function that registers one, or several joined by "|". Their calls
            at the left margin of a module, with the part's name as first argument, are how names
            are listed.
        modules: packages and modules of this project that define parts.
        group: of the entry points by which other packages add parts. An entry is named like the
            part, and importing it registers the part.
    """

    def __init__(self, kind: str, decorator: str, modules: tuple[str, ...], group: str) -> None:
        self.kind, self.group = kind, group
        self._decorator, self._modules = decorator, modules
        self._entries: dict[str, _Entry[Part]] = {}
        _REGISTRIES.append(self)

    def register(self, name: str) -> Callable[[Definition], Definition]:
        """Return a decorator that adds what it decorates under a name."""

        def add(definition: Definition) -> Definition:
            self.add(name, definition, definition)  # type: ignore[arg-type]
            return definition

        return add

    def add(self, name: str, part: Part, definition: Any) -> None:
        """Add a part; a definition that is run again, as in a notebook, replaces itself.

        Args:
            name: of the part.
            part: what the name stands for.
            definition: the class or function that was decorated.

        Raises:
            FewshotError: the name is taken or cannot be typed.
        """
        if not _NAME.fullmatch(name):
            raise FewshotError(
                f"a {self.kind} is named {name!r}; expected letters, digits, '-', '_' and '.'"
            )
        entry = _Entry(part, definition.__module__, definition.__qualname__)
        there = self._entries.get(name)
        taken = there.module if there else self._declared.get(name, entry.module)
        if taken != entry.module or (there and there.definition != entry.definition):
            raise FewshotError(
                f"two parts are named {self.kind} {name!r}: one in {taken}, one in "
                f"{entry.module}; rename one"
            )
        self._entries[name] = entry

    def __getitem__(self, name: str) -> Part:
        """Return a part; what defines it is imported at its first use.

        Raises:
            UnknownPartError: there is none of this name.
            FewshotError: the package that adds it cannot be imported.
        """
        if name not in self._entries:
            if name in self._declared:
                importlib.import_module(self._declared[name])
            else:
                self._import_entry_point(name)
        return self._entries[name].part

    def __contains__(self, name: str) -> bool:
        known = name in self._entries or name in self._declared
        return known or name in self._entry_points()  # which take 40 ms

    def names(self) -> tuple[str, ...]:
        """List the names in the order of the alphabet, without importing any part."""
        return tuple(sorted({*self._declared, *self._entries, *self._entry_points()}))

    def names_in(self, package: str) -> tuple[str, ...]:
        """List the names that the modules of a package define, without importing any part."""
        modules = {name: entry.module for name, entry in self._entries.items()} | self._declared
        return tuple(sorted(n for n, m in modules.items() if m.startswith(f"{package}.")))

    def parts(self) -> dict[str, Part]:
        """Import all parts and return them by their names."""
        return {name: self[name] for name in self.names()}

    def registered(self) -> dict[str, Part]:
        """Return the parts whose modules were imported, in the order of their definition."""
        return {name: entry.part for name, entry in self._entries.items()}

    def load(self) -> None:
        """Import all parts that come with this project."""
        for module in sorted({*self._declared.values()}):
            importlib.import_module(module)

    def module_of(self, name: str) -> str:
        """Return the full name of the module in which a part is defined."""
        self[name]
        return self._entries[name].module

    def forget(self, module: str) -> tuple[str, ...]:
        """Remove the parts that a module defined and return their names."""
        names = tuple(name for name, entry in self._entries.items() if entry.module == module)
        for name in names:
            del self._entries[name]
        return names

    @cached_property
    def _declared(self) -> dict[str, str]:
        """The module that defines each name, of those that come with this project."""
        call = re.compile(rf'^@?(?:{self._decorator})\(\s*"([^"]+)"', re.MULTILINE)
        found: dict[str, str] = {}
        for place in self._modules:
            for module, path in _sources(place):
                names = call.findall(path.read_text(encoding="utf-8"))
                found |= dict.fromkeys(names, module)
        return found

    def _entry_points(self) -> dict[str, Any]:
        return {entry.name: entry for entry in installed_entry_points(self.group)}

    def _import_entry_point(self, name: str) -> None:
        entries = self._entry_points()
        if name not in entries:
            raise UnknownPartError(
                f"there is no {self.kind} {name!r}; expected one of {shorten(self.names(), 40)}, "
                "or one of a plugin (--plugin FILE)"
            )
        value = entries[name].value
        try:
            entries[name].load()
        except Exception as error:  # whatever another package does wrong
            raise FewshotError(
                f"the {self.kind} {name!r} of an installed package ({value}) cannot be loaded: "
                f"{error!r}; repair or remove that package"
            ) from error
        if name not in self._entries:
            raise FewshotError(
                f"an installed package promises the {self.kind} {name!r} and {value} registers "
                "none of this name; repair or remove that package"
            )


_REGISTRIES: list[Registry[Any]] = []


def installed_entry_points(group: str) -> tuple[Any, ...]:
    """Return the entry points of a group that the installed packages declare.

    All packages are read once (10 ms and more), and again after a folder of packages has changed:
    the options of one command ask for names more than a hundred times.
    """
    folders = tuple((place, _time_of_change(place)) for place in sys.path)
    return _entry_points_of(group, folders)


@lru_cache
def _entry_points_of(group: str, folders: tuple[tuple[str, int], ...]) -> tuple[Any, ...]:
    return tuple(_all_entry_points(folders).select(group=group))


@lru_cache(maxsize=1)
def _all_entry_points(folders: tuple[tuple[str, int], ...]) -> Any:
    # Imported here: it takes 40 ms, and most commands do not need it.
    from importlib.metadata import entry_points

    return entry_points()


def _time_of_change(folder: str) -> int:
    try:
        return os.stat(folder or ".").st_mtime_ns
    except OSError:  # many an entry of the path does not exist
        return 0


def registered_by(module: str) -> tuple[str, ...]:
    """List the parts that a module registered, such as "head my-head"."""
    return tuple(
        f"{registry.kind} {name}"
        for registry in _REGISTRIES
        for name, entry in registry._entries.items()
        if entry.module == module
    )


def forget(module: str) -> None:
    """Remove every part that a module registered."""
    for registry in _REGISTRIES:
        registry.forget(module)


def _sources(place: str) -> Iterator[tuple[str, Path]]:
    """Find the modules of a package, or a module, and their files; imports their parents alone."""
    spec = find_spec(place)
    if spec is None or spec.origin is None:
        raise ImportError(f"there is no {place}")
    yield place, Path(spec.origin)
    for folder in spec.submodule_search_locations or ():
        for path in sorted(Path(folder).glob("*.py")):
            if path.stem != "__init__":
                yield f"{place}.{path.stem}", path
