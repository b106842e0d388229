"""The text of `fewshot --help`, `fewshot COMMAND --help` and `--help-all`.

`--help` explains the options that a command lists in `FIRST`, and names the others; `--help-all`
explains them all, by groups. A command without `FIRST` has few options, and explains them all.
"""

import shutil
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING
from typing import Any

from fewshot.cli.bounds import BOUNDS
from fewshot.cli.descriptions import Option, first_sentence, groups_of, options_of

HELP, HELP_ALL = ("-h", "--help"), "--help-all"
_COLUMN = 26
"""Where descriptions begin."""
_LARGE = 10_000
"""Bounds from here on only refuse what is absurd, and are not worth telling."""


def command_help(name: str, kind: type, *, everything: bool, footer: str = "") -> str:
    """Explain a command.

    Args:
        name: as it is typed.
        kind: its dataclass.
        everything: explain all options; else those that people use most, naming the others.
        footer: what every command has in common.
    """
    own, groups = options_of(kind), list(groups_of(kind))
    listed = {option.name: option for option in own}
    listed |= {option.name: option for _, options in groups for option in options}
    chosen = getattr(kind, "FIRST", tuple(listed))
    first = [listed[each] for each in chosen]
    rest = [("Further options", [option for option in own if option.name not in chosen])]
    rest += [(title, [o for o in options if o.name not in chosen]) for title, options in groups]
    rest = [(title, options) for title, options in rest if options]
    lines = [
        f"usage: {name} {_usage(list(listed.values()))}",
        "",
        *_wrapped(first_sentence(kind), 0),
    ]
    lines += ["", *_explained(first)]
    if everything:
        for title, options in rest:
            lines += ["", f"{title}:", *_explained(options)]
    elif rest:
        lines += ["", f"More options, explained by `{name} {HELP_ALL}`:"]
        for title, options in rest:
            flags = " ".join(option.flag or option.values for option in options)
            lines += _wrapped(f"{title}: {flags}", 2)
    if footer:
        lines += ["", *_wrapped(footer, 0)]
    return "\n".join(lines)


def commands_help(name: str, tree: Mapping[str, Any], footer: str = "") -> str:
    """List the commands below a name, each with what it does; see `command_help`."""
    about = {
        "fewshot": "Few-shot segmentation: annotate one picture, segment the rest.",
        "fewshot match": "Find images that look alike, tell subjects apart, segment by matches.",
    }
    lines = [f"usage: {name} COMMAND [OPTIONS]", "", about[name], ""]
    for word, kind in tree.items():
        text = about[f"{name} {word}"] if isinstance(kind, Mapping) else first_sentence(kind)
        lines += _row(word, text)
    lines += ["", *_wrapped(f"`{name} COMMAND --help` explains a command. {footer}", 0)]
    return "\n".join(lines)


def _usage(options: Sequence[Option]) -> str:
    """What has to be typed, and that there is more."""
    needed = [option for option in options if option.default is MISSING]
    words = [f"{option.flag} {option.values}".strip() for option in needed]
    optional = [f"[{o.values}]" for o in options if not o.flag and o.default is not MISSING]
    return " ".join([*words, *optional, "[OPTIONS]"])


def _explained(options: Sequence[Option]) -> Iterator[str]:
    for option in options:
        yield from _row(f"{option.flag} {option.values}".strip(), _text(option))


def _text(option: Option) -> str:
    notes = [*_range(option), *_default(option)]
    return option.description + (f" ({'; '.join(notes)})" if notes else "")


def _range(option: Option) -> Iterator[str]:
    if not option.numeric or option.name not in BOUNDS:
        return
    low, high = (_number(bound) for bound in BOUNDS[option.name])
    if BOUNDS[option.name][1] >= _LARGE:
        yield f"at least {low}"
    else:
        yield f"{low} to {high}"


def _default(option: Option) -> Iterator[str]:
    value = option.default
    if value is MISSING:
        yield "required"
    elif value is True:
        yield "on by default; this turns it off"
    elif value not in (None, ()) and not isinstance(value, bool):
        values = value if isinstance(value, tuple) else (value,)
        yield f"default {' '.join(_number(each) for each in values)}"


def _number(value: Any) -> str:
    if isinstance(value, float) and value == int(value):
        value = int(value)
    return f"{value:,}" if isinstance(value, int) else str(value)


def _row(head: str, text: str) -> Iterator[str]:
    """Put a description beside its option, or below it where the option is long."""
    lines = _wrapped(text, _COLUMN)
    if len(head) > _COLUMN - 4:
        yield from _wrapped(head, 2, deeper=4)
    else:
        lines[0] = f"  {head}".ljust(_COLUMN) + lines[0].lstrip()
    yield from lines


def _wrapped(text: str, indent: int, deeper: int = 0) -> list[str]:
    width = min(max(shutil.get_terminal_size((100, 24)).columns, 60), 100)
    after = " " * (indent + (deeper or (2 if indent == 2 else 0)))
    return textwrap.wrap(
        text,
        width,
        initial_indent=" " * indent,
        subsequent_indent=after,
        break_on_hyphens=False,
        break_long_words=False,
    )
