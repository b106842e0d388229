"""What the options of a command are, read out of its dataclass: flags, groups and descriptions."""

import ast
import functools
import inspect
import re
import textwrap
import types
import typing
from collections.abc import Iterable, Iterator
from dataclasses import MISSING, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

from tyro.conf import Positional

from fewshot.experiments.choices import Choice

_METAVARS = {Path: "PATH", int: "N", float: "X", str: "TEXT"}
_LONG = 40  # characters
_POSITIONAL = typing.get_args(Positional[str])[1]


@dataclass(frozen=True)
class Option:
    """One option of a command.

    Attributes:
        name: of its field.
        flag: as it is typed, such as --test-share; "" for what is typed without a flag.
        values: what is typed after the flag, such as "N ..."; "" for a switch.
        description: one sentence.
        default: value where it is left out; MISSING where it is required.
        numeric: whether its values are numbers.
    """

    name: str
    flag: str
    values: str
    description: str
    default: Any
    numeric: bool


def options_of(kind: type) -> list[Option]:
    """List the options that a dataclass has itself; `groups_of` has those of nested settings."""
    return [option for option, _ in _listed(kind) if isinstance(option, Option)]


def groups_of(kind: type) -> Iterator[tuple[str, list[Option]]]:
    """List the settings nested in a command: what they are, and their options."""
    for nested, default in _listed(kind):
        if not isinstance(nested, Option):
            listed = [_with_default(each, default) for each in options_of(nested)]
            yield first_sentence(nested).rstrip("."), listed
            yield from groups_of(nested)


def first_sentence(kind: type) -> str:
    """What a dataclass is, as its docstring begins."""
    text = (kind.__doc__ or "").strip().split("\n\n")[0]
    return " ".join(text.split())


def _listed(kind: type) -> Iterator[tuple[Option | type, Any]]:
    """Every field as an option, or as the settings that it nests with the command's default."""
    hints = typing.get_type_hints(kind, include_extras=True)
    known = _descriptions(kind)
    for field in fields(kind):
        default = field.default
        if field.default_factory is not MISSING:
            default = field.default_factory()
        hint, marks = _bare(hints[field.name])
        if is_dataclass(hint):
            yield typing.cast(type, hint), default
        elif not _is_suppressed(marks):
            yield _option(field.name, hint, marks, known.get(field.name, ""), default), None


def _option(name: str, hint: Any, marks: tuple[Any, ...], text: str, default: Any) -> Option:
    positional = _POSITIONAL in marks
    flag = "" if positional else f"--{'no-' if default is True else ''}{name.replace('_', '-')}"
    values = "" if hint is bool else _choices(marks) or _values(hint)
    if len(values) > _LONG:
        values = values.replace(",", ", ")  # so that lines can be broken
    if positional:
        values = f"{name.upper()} ..." if values.endswith("...") else name.upper()
    numeric = bool({int, float} & set(_leaves(hint)))
    return Option(name, flag, values, text, default, numeric)


def _choices(marks: Iterable[Any]) -> str:
    return next((each.metavar for each in marks if isinstance(each, Choice)), "")


def _with_default(option: Option, settings: Any) -> Option:
    value = getattr(settings, option.name)
    return Option(**{**vars(option), "default": value})


def _bare(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """Part a type from what it is annotated with."""
    if typing.get_origin(hint) is typing.Annotated:
        inner, *marks = typing.get_args(hint)
        return inner, tuple(marks)
    return hint, ()


def _is_suppressed(marks: tuple[Any, ...]) -> bool:
    return any("Suppress" in repr(mark) for mark in marks)


def _leaves(hint: Any) -> Iterator[Any]:
    parts = () if typing.get_origin(hint) is typing.Literal else typing.get_args(hint)
    if not parts:
        yield hint
    for part in parts:
        yield from _leaves(part)


def _values(hint: Any) -> str:
    """What is typed for a type: N, {a,b}, PATH ..."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return "{" + ",".join(map(str, parts)) + "}"
    if origin in (typing.Union, types.UnionType):
        return "|".join(_values(part) for part in parts if part is not type(None))
    if origin is typing.Annotated:
        return _choices(parts[1:]) or _values(parts[0])
    if origin is tuple:
        several = len(parts) == 2 and parts[1] is Ellipsis
        return f"{_values(parts[0])} ..." if several else " ".join(map(_values, parts))
    return _METAVARS.get(hint, str(getattr(hint, "__name__", hint)).upper())


@functools.cache
def _descriptions(kind: type) -> dict[str, str]:
    """Describe the fields of a dataclass: by the strings below them, or its section Attributes."""
    found: dict[str, str] = {}
    for each in reversed(kind.__mro__):
        if is_dataclass(each):
            found |= _attributes(each.__doc__ or "")
            found |= _below(each)
    return {name: _sentence(text) for name, text in found.items()}


def _below(kind: type) -> dict[str, str]:
    """Read the string below each field in the source of a class."""
    (node,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(node, ast.ClassDef)
    found = {}
    for field, text in zip(node.body, node.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            value = text.value if isinstance(text, ast.Expr) else None
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                found[field.target.id] = value.value
    return found


def _attributes(docstring: str) -> dict[str, str]:
    """Read the section Attributes of a docstring."""
    section = inspect.cleandoc(docstring).partition("Attributes:\n")[2].partition("\n\n")[0]
    named = re.findall(r"^ {4}([\w, ]+): (.*(?:\n {8,}.*)*)", section, re.M)
    return {name.strip(): text for names, text in named for name in names.split(",")}


def _sentence(text: str) -> str:
    flat = " ".join(text.split())
    return flat[:1].upper() + flat[1:]
