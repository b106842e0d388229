"""The command `fewshot`: parse what was typed, import what it needs, run it.

Only tyro and the standard library are imported before a command is known, so `fewshot --help`
answers at once; each command imports what it needs.
"""

import functools
import importlib
import operator
import os
import sys
import warnings
from typing import Annotated, Any

import tyro

from fewshot.commands.bounds import check_command
from fewshot.commands.match_options import Match
from fewshot.commands.options import (
    Benchmark,
    Calibrate,
    Demo,
    Evaluate,
    Inspect,
    ProtocolRun,
    Recipes,
    Runs,
    Segment,
    Share,
)
from fewshot.commands.train_options import Train

COMMANDS: dict[str, type] = {
    "demo": Demo,
    "train": Train,
    "evaluate": Evaluate,
    "protocol": ProtocolRun,
    "benchmark": Benchmark,
    "segment": Segment,
    "calibrate": Calibrate,
    "match": Match,
    "inspect": Inspect,
    "recipes": Recipes,
    "runs": Runs,
    "share": Share,
}
"""Each one is done by the function of its name in the module `fewshot.commands.NAME`."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code (0 fine, 2 bad input, 130 Ctrl-C, 141 pipe)."""
    from episodes.errors import FewshotError

    warnings.showwarning = _show_warning
    try:
        return _run(_parse(sys.argv[1:] if arguments is None else arguments))
    except FewshotError as error:
        print(f"fewshot: error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of a pipe, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        print("fewshot: stopped by Ctrl-C", file=sys.stderr)
        return 130


def _parse(arguments: list[str]) -> Any:
    """Make a command of what was typed; a recipe's settings stand in for the defaults."""
    defaults: dict[str, Any] = {}
    words = [part for word in arguments for part in word.split("=", 1)]
    trains = next((n for n in ("train", "match train") if " ".join(words).startswith(f"{n} ")), "")
    if trains and "--recipe" in words[:-1]:
        from fewshot import recipes

        filled = recipes.command(words[words.index("--recipe") + 1], tyro.MISSING, trains)
        defaults = {"match": Match(filled)} if trains == "match train" else {"train": filled}
    kinds: Any = functools.reduce(
        operator.or_,
        (
            Annotated[
                kind,
                tyro.conf.subcommand(
                    name, **({"default": defaults[name]} if name in defaults else {})
                ),
            ]
            for name, kind in COMMANDS.items()
        ),
    )
    return tyro.cli(
        kinds,
        prog="fewshot",
        description="Few-shot segmentation: annotate one picture, segment the rest.",
        args=arguments,
    )


def _run(command: Any) -> int:
    """Import what the command needs, and nothing else, and run it."""
    check_command(command)
    name = next(name for name, kind in COMMANDS.items() if type(command) is kind)
    return getattr(importlib.import_module(f"fewshot.commands.{name}"), name)(command)


def _show_warning(message: object, *_: object, **__: object) -> None:
    """Print a warning as one line: the place in our code says nothing to a user."""
    print(f"fewshot: warning: {message}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
