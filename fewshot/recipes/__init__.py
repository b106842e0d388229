"""Recipes: named, complete training settings, one file each.

A recipe's docstring states its command, its time and memory, and the score to expect; its
`SETTINGS` are values of `fewshot train`'s options. `fewshot train DATA --recipe NAME` takes them,
and options on the command line replace single ones. `fewshot recipes` lists them. A recipe with
`COMMAND = "match train"` is one of `fewshot match train`.

Two further names are for `fewshot benchmark`. A recipe with `TRAINED_BY = "NAME"` trains nothing
itself: it puts its own head and size on the encoder that recipe NAME trains, so that one training a
fold serves several methods. `TEST` is a mapping of settings that act at test time alone; `AMONG`
names the values of some of them among which every model chooses on its own training scans.
"""

import dataclasses
import difflib
import importlib
import pkgutil
from pathlib import Path
from typing import Any

from episodes.errors import FewshotError
from fewshot.experiments.options import Train
from fewshot.experiments.pair_options import MatchTrain
from fewshot.registry import PREDICTORS

KINDS: dict[str, Any] = {"train": Train, "match train": MatchTrain}
"""Commands that take recipes."""


def names(of: str | None = None) -> list[str]:
    """List the recipes, or those of one of `KINDS`."""
    found = sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__))
    return found if of is None else [name for name in found if command_of(name) == of]


def command_of(name: str) -> str:
    """Return which of `KINDS` a recipe is of.

    Raises:
        FewshotError: there is no such recipe.
    """
    return getattr(_module(name), "COMMAND", "train")


def load(name: str) -> dict[str, Any]:
    """Return the settings of a recipe.

    Raises:
        FewshotError: there is no such recipe; the message names the nearest.
    """
    return dict(_module(name).SETTINGS)


def command(name: str, data: Any = Path(), of: str | None = None) -> Any:
    """Fill a training command with a recipe's settings.

    Args:
        name: of the recipe.
        data: the data set.
        of: which of `KINDS` it has to be of; None for its own.

    Raises:
        FewshotError: there is no such recipe, or it is of another command.
    """
    own = command_of(name)
    if of not in (None, own):
        raise FewshotError(
            f"recipe {name} is for `fewshot {own}`; recipes of `fewshot {of}` are "
            f"{', '.join(names(of))}"
        )
    kind, settings = KINDS[own], load(name)
    for part, group in _groups(kind).items():
        fields = {each.name for each in dataclasses.fields(group)}
        inner = {key: settings.pop(key) for key in list(settings) if key in fields}
        settings[part] = group(**inner)
    return kind(data=data, recipe=name, **settings)


def _groups(kind: Any) -> dict[str, Any]:
    """The options of a command that are kept in dataclasses of their own."""
    made = {field.name: field.default_factory for field in dataclasses.fields(kind)}
    return {name: part for name, part in made.items() if dataclasses.is_dataclass(part)}


def trained_by(name: str) -> str:
    """Return the recipe whose encoder a recipe uses: its own name, unless it says otherwise.

    Raises:
        FewshotError: there is no such recipe, or that one is trained by yet another.
    """
    trainer = getattr(_module(name), "TRAINED_BY", name)
    if getattr(_module(trainer), "TRAINED_BY", trainer) != trainer:
        raise FewshotError(
            f"recipe {name} is trained by {trainer}, which does not train itself; name the recipe "
            "that does"
        )
    return trainer


def settings_at_test(name: str) -> dict[str, Any]:
    """Return what a recipe sets at test time alone."""
    return dict(getattr(_module(name), "TEST", {}))


def predictor_at_test(name: str) -> tuple[str, dict[str, Any]]:
    """Return the name of a predictor and the settings in which it differs from its defaults.

    Args:
        name: of a registered predictor, or of a recipe that has one at test time.

    Raises:
        FewshotError: there is neither.
    """
    if name in PREDICTORS:
        return name, {}
    tested = [each for each in names() if settings_at_test(each)]
    if name not in tested:
        near = difflib.get_close_matches(name, [*PREDICTORS.names(), *tested], n=1, cutoff=0.3)
        raise FewshotError(
            f"there is no predictor {name!r}"
            + (f"; did you mean {near[0]!r}?" if near else ";")
            + f" Expected {', '.join(PREDICTORS.names())} or a recipe that has one: "
            f"{', '.join(tested)}"
        )
    settings = settings_at_test(name)
    return settings.pop("predictor", "slice"), settings


def choices_at_test(name: str) -> dict[str, tuple[Any, ...]]:
    """Return the values of settings at test time among which a recipe's models choose."""
    return dict(getattr(_module(name), "AMONG", {}))


def about(name: str) -> str:
    """Return the description of a recipe."""
    return (_module(name).__doc__ or "").strip()


def _module(name: str) -> Any:
    if name not in names():
        near = difflib.get_close_matches(name, names(), n=1, cutoff=0.3) or names()
        raise FewshotError(
            f"there is no recipe {name!r}; did you mean {near[0]!r}? See `fewshot recipes`"
        )
    return importlib.import_module(f"{__name__}.{name.replace('-', '_')}")
