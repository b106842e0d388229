"""Steps and their parameters in plain words, for the list of steps and for reports."""

import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fewshot.pipeline.step import Step, label_of
from fewshot.pipeline.values import Range
from fewshot.pipeline.yaml_file import step_values

_KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
_KINDS |= {Path: "a path", Any: "a path", type(None): "null"}


def allowed(hint: Any) -> str:
    """Describe which values a parameter may have.

    >>> allowed(typing.Annotated[int, Range(1, 9)])
    'a whole number from 1 to 9'
    """
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        marks = " ".join(str(mark) for mark in parts[1:] if isinstance(mark, Range))
        return f"{allowed(parts[0])} {marks}".strip()
    if origin is typing.Literal:
        return ", ".join(map(str, parts))
    if origin in (typing.Union, types.UnionType):
        return " or ".join(allowed(part) for part in parts if part is not type(None))
    if origin is tuple:
        if len(parts) == 2 and parts[1] is Ellipsis:
            return f"{allowed(parts[0])}, or a list"
        return f"{len(parts)} of {allowed(parts[0])}"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return "names with values"
    return _KINDS.get(hint, str(hint))


def first_sentence(kind: type) -> str:
    """What a step does, as its docstring begins."""
    return " ".join((kind.__doc__ or "").strip().split("\n\n")[0].split())


def parameters(step: Step) -> list[tuple[str, str]]:
    """List the parameters of a step that have a value, as text."""
    return [
        (name, text_of(value))
        for name, value in step_values(step).items()
        if value not in (None, (), {}) and value is not False
    ]


def title(step: Step) -> str:
    """Name a step as a person would: least-size is "Least size"."""
    return label_of(type(step)).replace("-", " ").capitalize()


def text_of(value: Any) -> str:
    """Write a value as a person would; of a path the name of the file alone."""
    if isinstance(value, Path):
        return value.name
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, tuple | list):
        return ", ".join(map(text_of, value))
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {text_of(each)}" for key, each in value.items())
    if hasattr(value, "shape"):
        return f"an array of {' x '.join(map(str, value.shape))}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
