"""Pipelines as YAML: a list of steps, read without executing anything, and written with defaults.

name: nuclei
steps:
  - denoise: {method: median, size: 3}
  - segment: {support: a.png, mask: a_mask.png, predictor: threshold}
  - least-size: {least: 20 px}
  - objects
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import yaml

from episodes.errors import DataError, cause
from episodes.io.write import atomic_write
from fewshot.pipeline.pipeline import Pipeline
from fewshot.pipeline.step import Step, hints_of, label_of, make_step
from fewshot.pipeline.values import checked, nearest

MAX_BYTES = 2**18
_KEYS = ("name", "axes", "channels", "steps")
_DEPTH = 20  # of lists and mappings within each other


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader without aliases, repeated keys and deep nesting."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise DataError(f"{_place(self.peek_event())} is an alias (*name); write the value out")
        self.depth = getattr(self, "depth", 0) + 1
        if self.depth > _DEPTH:
            raise DataError(f"{_place(self.peek_event())} is nested deeper than {_DEPTH} levels")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for (key, _), name in zip(node.value, keys, strict=True):
            if not isinstance(name, str | int):
                raise DataError(f"{_place(key)} is {name!r}; expected a name before the colon")
            if keys.count(name) > 1:
                raise DataError(f"{_place(key)}: {name} stands there twice; expected it once")
        return super().construct_mapping(node, deep)


def load_pipeline(path: Path | str) -> Pipeline:
    """Read a pipeline; paths in the file are relative to it.

    Raises:
        DataError: the file cannot be read, is too large, or describes no pipeline.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise DataError(f"it has more than {MAX_BYTES:,} bytes; expected a short list of steps")
        text = content.decode("utf-8-sig")
        return parse_pipeline(text, path.parent)
    except (OSError, UnicodeDecodeError, DataError) as error:
        raise DataError(f"{path}: {cause(error)}") from error


def parse_pipeline(text: str, folder: Path | None = None) -> Pipeline:
    """Make a pipeline of YAML.

    Args:
        text: see the module.
        folder: paths are relative to it; by default they stay as they are.

    Raises:
        DataError: it is no YAML, has a tag that would execute code, or an unknown step or
            parameter, whose nearest is named.
    """
    if len(text) > MAX_BYTES:
        raise DataError(f"the text has more than {MAX_BYTES:,} characters; expected a short list")
    try:
        content = yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        raise DataError(_told(error)) from error
    except (RecursionError, ValueError) as error:
        raise DataError(cause(error) if isinstance(error, DataError) else str(error)) from error
    if not isinstance(content, dict):
        raise DataError("there is no mapping with the key steps; expected steps: and a list")
    if unknown := [key for key in content if key not in _KEYS]:
        raise DataError(f"there is no key {unknown[0]!r}; {nearest(unknown[0], _KEYS)}")
    listed = content.get("steps")
    if not isinstance(listed, list) or not listed:
        raise DataError(f"steps is {listed!r}; expected a list, one step a line after a dash")
    steps = tuple(_step(item, number, folder) for number, item in enumerate(listed, 1))
    hints = hints_of(Pipeline)
    more = {
        key: checked(hints[key], content[key], key)
        for key in ("name", "axes", "channels")
        if content.get(key) is not None
    }
    return Pipeline(steps, **more)


def dump_pipeline(pipeline: Pipeline, folder: Path | None = None) -> str:
    """Write a pipeline with every default, so that `parse_pipeline` makes an equal one of it.

    Args:
        pipeline: whose images are files.
        folder: paths are written relative to it; by default as they are.

    Raises:
        DataError: an annotated image is an array.
    """
    content: dict[str, Any] = {"name": pipeline.name}
    if pipeline.axes is not None:
        content["axes"] = pipeline.axes
    if pipeline.channels:
        content["channels"] = list(pipeline.channels)
    content["steps"] = [_plain_step(step, folder) for step in pipeline.steps]
    text: str = yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    return text


def save_pipeline(pipeline: Pipeline, path: Path | str) -> Path:
    """Write a pipeline into a file, which `load_pipeline` reads; paths become relative to it."""
    path = Path(path)
    text = dump_pipeline(pipeline, path.parent)
    with atomic_write(path) as partial:
        partial.write_bytes(text.encode("utf-8", "surrogateescape"))
    return path


def step_values(step: Step) -> dict[str, Any]:
    """List the parameters of a step by their names."""
    return {each.name: getattr(step, each.name) for each in fields(step)}


def _step(item: object, number: int, folder: Path | None) -> Step:
    where = f"step {number}"
    if isinstance(item, str):
        return make_step(item, {}, where)
    if not isinstance(item, dict) or len(item) != 1:
        raise DataError(
            f"{where} is {_short(item)}; expected the name of a step, or its name, a colon and its "
            "parameters, such as - denoise: {size: 3}"
        )
    name, values = next(iter(item.items()))
    values = {} if values is None else values
    if not isinstance(values, dict):
        raise DataError(
            f"{where}: the parameters of {name} are {_short(values)}; expected names and values, "
            f"such as {name}: {{size: 3}}"
        )
    step = make_step(name, {str(key): value for key, value in values.items()}, where)
    return step if folder is None else _moved(step, lambda path: folder / path)


def _moved(step: Step, move: Callable[[Path], Path]) -> Step:
    """Change the paths of a step."""
    changed: dict[str, Any] = {}
    for name, value in step_values(step).items():
        if isinstance(value, Path):
            changed[name] = move(value)
        elif isinstance(value, tuple) and any(isinstance(each, Path) for each in value):
            changed[name] = tuple(move(p) if isinstance(p, Path) else p for p in value)
    return replace(step, **changed) if changed else step


def _plain_step(step: Step, folder: Path | None) -> Any:
    if folder is not None:
        step = _moved(step, lambda path: Path(_relative(path, folder)))
    values = {name: _plain(value, step) for name, value in step_values(step).items()}
    return {label_of(type(step)): values} if values else label_of(type(step))


def _plain(value: Any, step: Step) -> Any:
    if isinstance(value, Path):
        return value.as_posix()
    if isinstance(value, tuple | list):
        return [_plain(each, step) for each in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(each, step) for key, each in value.items()}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise DataError(
        f"{label_of(type(step))} holds {type(value).__name__}, which is no value of a file; save "
        "arrays as images, and name their paths"
    )


def _relative(path: Path, folder: Path) -> str:
    try:
        return os.path.relpath(path, folder)
    except ValueError:  # another drive
        return str(path.absolute())


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_str(self, data: str) -> yaml.ScalarNode:
        # Without quotes a line break of Unicode (U+0085, U+2028) would be read as a space.
        odd = not data.isprintable()
        return self.represent_scalar("tag:yaml.org,2002:str", data, style='"' if odd else None)


_Dumper.add_representer(str, _Dumper.represent_str)


def _told(error: yaml.YAMLError) -> str:
    """Explain in one line what is no YAML; a tag is refused by its name."""
    mark = getattr(error, "problem_mark", None)
    where = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    problem = str(getattr(error, "problem", "") or "it cannot be understood")
    if "could not determine a constructor" in problem:
        return (
            f"there is a tag (!){where}, and tags are not allowed: no file may execute code; write "
            "plain values"
        )
    return f"it is no YAML: {problem}{where}"


def _place(event: Any) -> str:
    return f"line {event.start_mark.line + 1}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) < 60 else text[:56] + " ..."
