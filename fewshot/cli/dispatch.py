"""Which commands there are; what was typed, made into one of them; and the module that does it.

Only tyro, settings and the standard library are imported here, so `fewshot --help` answers at once.
"""

import importlib
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import tyro

from episodes.io.outputs import Outputs, guarded
from episodes.plugins import loaded_plugins
from fewshot.benchmark.settings import Benchmark
from fewshot.benchmark.suite.settings import Suite
from fewshot.cli.bounds import check_command
from fewshot.cli.help import command_help, commands_help
from fewshot.cli.match_options import MATCH_COMMANDS, Match
from fewshot.cli.options import (
    Calibrate,
    CountObjects,
    Demo,
    Evaluate,
    Inspect,
    ProtocolRun,
    Recipes,
    Run,
    Segment,
    Share,
)
from fewshot.cli.parse import find_command, help_wanted, parse_typed, with_auto, with_none
from fewshot.cli.plugin_option import HELP, without_plugins
from fewshot.cli.score_options import Score
from fewshot.cli.startup import without_collector
from fewshot.experiments.options import Train
from fewshot.experiments.runs_settings import Runs

COMMANDS: dict[str, type] = {
    "demo": Demo,
    "train": Train,
    "evaluate": Evaluate,
    "score": Score,
    "protocol": ProtocolRun,
    "benchmark": Benchmark,
    "suite": Suite,
    "segment": Segment,
    "run": Run,
    "count": CountObjects,
    "calibrate": Calibrate,
    "match": Match,
    "inspect": Inspect,
    "recipes": Recipes,
    "runs": Runs,
    "share": Share,
}
"""Each one is done by the function of its name, in its module of `fewshot.cli` or `WHERE`."""
_TREE: dict[str, Any] = {**COMMANDS, "match": MATCH_COMMANDS}
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
    return Match(made) if name.startswith("fewshot match ") else made


def run(command: Any) -> int:
    """Refuse what cannot be done; else import what the command needs, and nothing else, and run it.

    Returns:
        The exit code.
    """
    check_command(command)
    name = next(name for name, kind in COMMANDS.items() if type(command) is kind)
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
