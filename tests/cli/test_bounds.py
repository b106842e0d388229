"""Absurd numbers and missing paths are refused before anything is imported."""

import dataclasses
import typing
from pathlib import Path

import pytest

from fewshot.cli.bounds import BOUNDS, INPUTS
from fewshot.cli.dispatch import COMMANDS
from fewshot.cli.main import main

OUTPUTS = {"out", "result", "json", "pictures", "csv", "folders"}


def options(kind):
    """Name and type of every option, of nested settings and sub-commands, too."""
    for name, hint in typing.get_type_hints(kind).items():
        parts = [hint, *typing.get_args(hint)]
        parts += [inner for part in parts[1:] for inner in typing.get_args(part)]
        nested = [part for part in parts if dataclasses.is_dataclass(part)]
        for part in nested:
            yield from options(part)
        if not nested:
            yield name, set(parts)


def test_every_number_has_bounds_and_every_path_is_read_or_written():
    for kind in COMMANDS.values():
        for name, parts in options(kind):
            if parts & {int, float}:
                low, high = BOUNDS[name]
                assert low < high, name
            if Path in parts:
                assert name in INPUTS | OUTPUTS, name


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--size", "0"), "--size is 0; expected a number from 32 to 65,536; leave it out"),
        (("--size=-64",), "--size is -64; expected"),
        (("--size", "1000000000"), "--size is 1,000,000,000; expected"),
        (("--zoom", "nan"), "--zoom is nan; expected"),
        (("--adapt", "inf"), "--adapt is inf; expected"),
        (("--walker-length", "1e30"), "--walker-length is 1e+30; expected"),
    ],
)
def test_absurd_numbers(more, said, tmp_path, capsys):
    paths = ["--support", "a.png", "--mask", "a.png", "--query", "a.png", "--out", str(tmp_path)]
    assert main(["segment", *more, *paths]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train", ".", "--minutes", "nan"], "--minutes is nan"),
        (["train", ".", "--validate", "0"], "--validate is 0; expected a number from 1 to"),
        (["train", ".", "--average", "1"], "--average is 1.0; expected a number from 0 to 0.9999"),
        (["protocol", ".", "--episodes", "0"], "--episodes is 0; expected a number from 1 to"),
        (["match", "score", ".", "--min-gap", "0"], "--min-gap is 0; expected"),
        (["match", "train", ".", "--dim", "0"], "--dim is 0; expected a number from 1 to"),
        (["train", ".", "--shot", "1000000000"], "--shot is 1,000,000,000"),
        (["train", ".", "--batch", "9999"], "--batch is 9,999"),
        (["evaluate", ".", "--episodes", "1000000000"], "--episodes is 1,000,000,000"),
        (["evaluate", "./nothing"], "there is no file or folder nothing"),
        (["match", "train", "nothing"], "there is no file or folder nothing"),
        (["benchmark", ".", "--seeds", "0", "-1"], "--seeds is -1"),
    ],
)
def test_other_commands(arguments, said, capsys):
    assert main(arguments) == 2
    assert said in capsys.readouterr().err
