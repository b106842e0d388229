"""Values of a file or a call, held against the annotated types of a dataclass."""

import difflib
import math
import re
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from episodes.errors import DataError, shorten

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


@dataclass(frozen=True)
class Range:
    """The least and the largest value of a number: `Annotated[int, Range(1, 99)]`."""

    low: float
    high: float

    def __str__(self) -> str:
        if math.isinf(self.high):
            return f"at least {self.low:,g}" if math.isfinite(self.low) else "finite"
        return f"from {self.low:,g} to {self.high:,g}"


POSITIVE = Range(1e-9, 1e9)


def nearest(word: object, known: Iterable[str]) -> str:
    """Tell which known word a wrong one is like, and list all.

    >>> nearest("denoize", ["denoise", "window"])
    'did you mean denoise? There are denoise, window'
    """
    known = list(known)
    near = difflib.get_close_matches(str(word), known, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"{hint}There are {shorten(known, 40)}" if known else "there is none"


def checked(hint: Any, value: Any, name: str) -> Any:
    """Return a value as its type has it: lists become tuples, words become paths.

    Args:
        hint: a type of a dataclass's field: bool, int, float, str, Path, Literal, tuple, mapping,
            any of them or None, or Annotated with a `Range`.
        value: what stands in a file, or was passed.
        name: of the value, for messages.

    Raises:
        DataError: it is of another type, or out of range.
    """
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        found = checked(parts[0], value, name)
        for mark in parts[1:]:
            if isinstance(mark, Range) and found is not None:
                _check_range(found, mark, name)
        return found
    if origin is typing.Literal:
        if value in parts and type(value) in {type(part) for part in parts}:
            return value
        raise DataError(f"{name} is {value!r}; {nearest(value, map(str, parts))}")
    if origin in (typing.Union, types.UnionType):
        return _one_of(parts, value, name)
    if origin is tuple:
        return _tuple(parts, value, name)
    if hint in (Mapping, dict) or origin in (Mapping, dict) or _is_mapping(origin):
        if not isinstance(value, Mapping):
            raise _wrong(value, name, "names with their values")
        return {str(key): _plain(each) for key, each in value.items()}
    return _scalar(hint, value, name)


def _is_mapping(origin: Any) -> bool:
    return isinstance(origin, type) and issubclass(origin, Mapping)


def _one_of(parts: Sequence[Any], value: Any, name: str) -> Any:
    if value is None and type(None) in parts:
        return None
    errors = []
    for part in parts:
        if part is not type(None):
            try:
                return checked(part, value, name)
            except DataError as error:
                errors.append(error)
    raise errors[0]


def _tuple(parts: Sequence[Any], value: Any, name: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        value = (value,)  # one item need not be a list
    if len(parts) == 2 and parts[1] is Ellipsis:
        return tuple(checked(parts[0], each, name) for each in value)
    if len(value) != len(parts):
        raise _wrong(value, name, f"{len(parts)} values")
    return tuple(checked(hint, each, name) for hint, each in zip(parts, value, strict=True))


def _scalar(hint: Any, value: Any, name: str) -> Any:
    if hint is bool and isinstance(value, bool):
        return value
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if hint is int and number and float(value).is_integer():
        return int(value)
    if hint is float:
        if isinstance(value, str) and _NUMBER.fullmatch(value):  # YAML 1.1 takes 1e-3 for a word
            value, number = float(value), True
        if number and math.isfinite(value):
            return float(value)
    if hint is str and isinstance(value, str):
        return value
    if hint is Path and isinstance(value, str | Path) and str(value):
        if "\0" in str(value):
            raise _wrong(value, name, "the path of a file")
        return Path(value)
    if hint is Any:
        return value
    kinds = {bool: "true or false", int: "a whole number", float: "a number", str: "a word"}
    kinds |= {Path: "the path of a file"}
    raise _wrong(value, name, kinds.get(hint, getattr(hint, "__name__", str(hint))))


def _check_range(value: Any, allowed: Range, name: str) -> None:
    for each in value if isinstance(value, tuple) else (value,):
        if not allowed.low <= each <= allowed.high:
            raise DataError(f"{name} is {each:,g}; expected a number {allowed}")


def _plain(value: Any) -> Any:
    return tuple(map(_plain, value)) if isinstance(value, list | tuple) else value


def _wrong(value: Any, name: str, expected: str) -> DataError:
    shown = repr(value) if len(repr(value)) < 60 else repr(value)[:56] + " ..."
    return DataError(f"{name} is {shown}; expected {expected}")
