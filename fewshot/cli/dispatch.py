"""Which commands there are; what was typed, made into one of them; and the module that does it.

Only tyro, settings and the standard library are imported here, so `fewshot --help` answers at once.
"""

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import tyro

from episodes.io.outputs import Outputs, guarded
from episodes.plugins import loaded_plugins
from fewshot.cli.bounds import check_command
from fewshot.cli.help import command_help, commands_help
from fewshot.cli.parse import find_command, help_wanted, parse_typed, with_auto, with_none
from fewshot.cli.plugin_option import HELP, without_plugins
from fewshot.cli.startup import without_collector

_OPTIONS = "fewshot.cli.options"
_PLACES = {
    "demo": (_OPTIONS, "Demo"),
    "train": ("fewshot.experiments.options", "Train"),
    "evaluate": (_OPTIONS, "Evaluate"),
    "score": ("fewshot.cli.score_options", "Score"),
    "protocol": (_OPTIONS, "ProtocolRun"),
    "benchmark": ("fewshot.benchmark.settings", "Benchmark"),
    "suite": ("fewshot.benchmark.suite.settings", "Suite"),
    "segment": (_OPTIONS, "Segment"),
    "run": (_OPTIONS, "Run"),
    "count": (_OPTIONS, "CountObjects"),
    "calibrate": (_OPTIONS, "Calibrate"),
    "match": ("fewshot.cli.match_options", "Match"),
    "inspect": (_OPTIONS, "Inspect"),
    "recipes": (_OPTIONS, "Recipes"),
    "runs": ("fewshot.experiments.runs_settings", "Runs"),
    "share": (_OPTIONS, "Share"),
}


class _Imported(Mapping[str, Any]):
    """What modules hold, each imported when it is asked for: a command needs its own alone."""

    def __init__(self, places: Mapping[str, tuple[str, str]]) -> None:
        self._places = places

    def __getitem__(self, name: str) -> Any:
        module, thing = self._places[name]
        return getattr(importlib.import_module(module), thing)

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


COMMANDS: Mapping[str, type] = _Imported(_PLACES)
"""Each one is done by the function of its name, in its module of `fewshot.cli` or `WHERE`."""
_TREE = _Imported(_PLACES | {"match": (_PLACES["match"][0], "MATCH_COMMANDS")})
WHERE = {"runs": "fewshot.experiments.runs", "train": "fewshot.experiments.train"}
_WRITTEN = {"out", "result", "json", "csv", "pictures"}
"""Options of any command that name what it writes."""


def parse(arguments: list[str]) -> Any:
    """Make a command of what was typed; a recipe's settings stand in for the defaults.

    Raises:
        FewshotError: there is no such command or option, or a value does not fit.
        SystemExit: help was printed.
    """
    arguments = without_plugins(arguments)
    name, kind, rest = find_command(arguments, _TREE)
    if kind is None:  # help on several commands
        print(commands_help(name, _TREE["match"] if name.endswith("match") else _TREE, HELP))
        raise SystemExit(0)
    if wanted := help_wanted(rest):
        print(command_help(name, kind, everything=wanted == "all", footer=HELP))
        raise SystemExit(0)
    defaults: dict[str, Any] = {}
    words = [part for word in rest for part in word.split("=", 1)]
    if "recipe" in kind.__dataclass_fields__ and "--recipe" in words[:-1]:
        from fewshot import recipes

        trains = name.removeprefix("fewshot ")
        recipe = words[words.index("--recipe") + 1]
        defaults["default"] = recipes.command(recipe, tyro.MISSING, trains)
    typed = with_none(kind, with_auto(kind, rest))
    # The chosen command alone: making the options of all of them takes a third of a second.
    made = parse_typed(lambda: tyro.cli(kind, prog=name, args=typed, **defaults), name, kind, rest)
    return COMMANDS["match"](made) if name.startswith("fewshot match ") else made


def run(command: Any) -> int:
    """Refuse what cannot be done; else import what the command needs, and nothing else, and run it.

    Returns:
        The exit code.
    """
    check_command(command)
    kind = type(command)
    place = kind.__module__, kind.__name__
    name = next(name for name, each in _PLACES.items() if each == place)
    with without_collector():
        module = importlib.import_module(WHERE.get(name, f"fewshot.cli.{name}"))
    with guarded(Outputs(_kept(command), _overwrite(command))):
        return getattr(module, name)(command)


def _kept(command: Any) -> Iterator[Path]:
    """What a command must not write over: all that it reads."""
    yield from _inputs(command)
    yield from (plugin.path for plugin in loaded_plugins())


def _inputs(command: Any) -> Iterator[Path]:
    """All paths of a command, but those that say where it writes."""
    for each in fields(command):
        value = getattr(command, each.name)
        if is_dataclass(value):
            yield from _inputs(value)
        elif each.name not in _WRITTEN:
            values = value if isinstance(value, tuple) else (value,)
            yield from (path for path in values if isinstance(path, Path))


def _overwrite(command: Any) -> bool:
    output = getattr(getattr(command, "action", command), "output", None)
    return output is not None and output.overwrite  # commands that replace nothing have none
