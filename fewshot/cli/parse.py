"""What was typed, as a command; and what is wrong with it, in one line with a way out.

tyro makes the commands. Its own messages are boxes of several lines that name types of Python, so
they are caught and said anew.
"""

import contextlib
import difflib
import io
import itertools
import re
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, Literal, TypeVar

from episodes.errors import FewshotError, shorten
from fewshot.cli.help import HELP, HELP_ALL

Command = TypeVar("Command")
_HELP = {*HELP, HELP_ALL}
RENAMED = {
    "--under": "--protocols",
    "--fuse": "--ensemble",
    "--exclude": "--training-exclusion",
    "--apart": "--min-gap",
    "--aside": "--validation-names",
    "--classes-a-batch": "--classes-per-batch",
    "--images-a-class": "--images-per-class",
    "--turns": "--rotation-classes",
}
"""Options of earlier versions, and what they are called now."""
_TYPES = {"INT": "a whole number", "FLOAT": "a number", "PATH": "a file or folder", "STR": "a word"}


def parse_typed(
    make: Callable[[], Command], name: str, kind: type, options: Sequence[str]
) -> Command:
    """Make a command of the options that were typed.

    Args:
        make: calls tyro.
        name: of the command, as it is typed.
        kind: its dataclass.
        options: what was typed after the name.

    Raises:
        FewshotError: there is no such option, or a value does not fit.
    """
    _check_options(name, kind, options)
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return make()
    except SystemExit:
        raise FewshotError(f"{_told(said.getvalue())}; see `{name} --help`") from None


def find_command(
    arguments: Sequence[str], tree: Mapping[str, Any]
) -> tuple[str, Any, Sequence[str]]:
    """Find the command by its one or two words.

    Args:
        arguments: what was typed.
        tree: dataclass of each command by its name, or such a mapping for commands of two words.

    Returns:
        The command as it is typed, its dataclass (None where help on several is asked for), and
        what was typed after it.

    Raises:
        FewshotError: there is no such command.
    """
    words: list[str] = ["fewshot"]
    level: Any = tree
    for word in arguments:
        if not isinstance(level, Mapping) or word in _HELP:
            break
        if word not in level:
            near = difflib.get_close_matches(word, level, n=1)
            hint = f"did you mean `{' '.join([*words, *near])}`? " if near else ""
            raise FewshotError(
                f"there is no command `{' '.join([*words, word])}`; {hint}There are "
                f"{shorten(level, 20)}"
            )
        words, level = [*words, word], level[word]
    name, rest = " ".join(words), arguments[len(words) - 1 :]
    if not isinstance(level, Mapping):
        return name, level, rest
    if not _HELP & set(arguments):
        raise FewshotError(
            f"no command after `{name}`; expected one of {shorten(level, 20)}. "
            f"`{name} --help` tells what they do"
        )
    return name, None, rest


def help_wanted(arguments: Sequence[str]) -> Literal["first", "all"] | None:
    """Which help is asked for, if any."""
    if HELP_ALL in arguments:
        return "all"
    return "first" if _HELP & set(arguments) else None


def _check_options(name: str, kind: type, arguments: Sequence[str]) -> None:
    known = list(_flags(kind))
    for word in arguments:
        flag = word.partition("=")[0].replace("_", "-")
        if not flag.startswith("--") or flag in (*known, "--help"):
            continue
        if RENAMED.get(flag) in known:
            raise FewshotError(f"{flag} is called {RENAMED[flag]} now; see `{name} --help`")
        near = difflib.get_close_matches(flag, known, n=1)
        hint = f"did you mean {near[0]}?" if near else "it has " + shorten(known, 40)
        raise FewshotError(f"`{name}` has no option {flag}; {hint} See `{name} --help`")


def with_auto(kind: type, arguments: Sequence[str]) -> list[str]:
    """Write auto after an option that may stand alone and has it among its values."""
    alone = {flag for flag, hint in _hints(kind) if "auto" in _words(hint)}
    words = []
    for word, following in itertools.zip_longest(arguments, arguments[1:], fillvalue="--"):
        words.append(word)
        if word in alone and following.startswith("--"):
            words.append("auto")
    return words


def _words(hint: Any) -> set[Any]:
    """The words that a choice, or one that may be left out, allows."""
    parts = typing.get_args(hint)
    if typing.get_origin(hint) is typing.Literal:
        return set(parts)
    return set().union(
        *(typing.get_args(p) for p in parts if typing.get_origin(p) is typing.Literal)
    )


def with_none(kind: type, arguments: Sequence[str]) -> list[str]:
    """Write None, as tyro reads it, for `none` after an option whose number may be left out."""
    numbers = {flag for flag, hint in _hints(kind) if {int, float} & set(typing.get_args(hint))}
    words = list(arguments)
    for place, (flag, value) in enumerate(itertools.pairwise(words)):
        if flag.replace("_", "-") in numbers and value == "none":
            words[place + 1] = "None"
    return [
        f"{flag}=None" if value == "none" and flag.replace("_", "-") in numbers else word
        for word in words
        for flag, _, value in [word.partition("=")]
    ]


def _flags(kind: Any) -> Iterator[str]:
    """List the options of a command, those of nested settings included."""
    for flag, hint in _hints(kind):
        yield flag
        if hint is bool:
            yield f"--no-{flag.removeprefix('--')}"


def _hints(kind: Any) -> Iterator[tuple[str, Any]]:
    """List the options of a command with their types."""
    hints = typing.get_type_hints(kind)
    for field in fields(kind):
        hint = hints[field.name]
        if is_dataclass(hint):
            yield from _hints(hint)
        else:
            yield f"--{field.name.replace('_', '-')}", hint


def _told(text: str) -> str:
    """Reduce a message of tyro, which is drawn in a box, to one line."""
    text = re.sub("[│╭╮╰╯]", " ", text).replace("─", "-")
    missing = re.findall(r"^ {6}(--\S+|[A-Z\[]\S*)", text.partition("Unrecognized")[0], re.M)
    flat = re.sub(r"-{9,}.*", "", re.sub(r"\s+", " ", text.partition("----")[2].lstrip("- \n")))
    flat = re.sub(r"\[/?bold\]", "", flat).strip()
    if "Missing from" in text and missing:
        return f"{shorten(missing)} {'is' if len(missing) == 1 else 'are'} missing"
    choice = r"invalid choice (.+?) for argument '(.+?)'\. Expected one of \((.+?)\)"
    if found := re.match(choice, flat):
        return f"{found[2]} is {found[1]}; expected one of {found[3].rstrip(',')}"
    wrong_type = r"Error parsing (\S+): no type matching (.+) could be .+? from \[(.*?)\]"
    if found := re.match(wrong_type, flat):
        return f"{found[1]} is {found[3] or 'empty'}; expected {_expected(found[2])}"
    if found := re.match(r"Error parsing (\S+): (.+)", flat):
        subject = f"{found[1]}: " if found[1].startswith("--") else ""
        return subject + re.sub(r"invalid literal for \w+\(\) with base 10: ", "", found[2])
    if found := re.match(r"Missing value for argument '(.+?)'\.", flat):
        return f"{found[1]} has no value after it"
    if found := re.match(r"Unrecognized options: (.+)", flat):
        return f"{found[1]!r} belongs to no option"
    return flat.rstrip(".") or "it cannot be understood"


def _expected(types: str) -> str:
    """Name tyro's types: `{None}|INT` is a whole number."""
    kinds = [part.strip("{}") for part in types.split("|") if part != "{None}"]
    return " or ".join(
        " and ".join(_TYPES.get(word, word) for word in kind.split()) for kind in kinds
    )
