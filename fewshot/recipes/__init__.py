"""Recipes: named, complete training settings, one file each.

A recipe's docstring states its command, its time and memory, and the score to expect; its
`SETTINGS` are values of `fewshot train`'s options. `fewshot train DATA --recipe NAME` takes them,
and options on the command line replace single ones. `fewshot recipes` lists them.

Two further names are for `fewshot benchmark`. A recipe with `TRAINED_BY = "NAME"` trains nothing
itself: it puts its own head and size on the encoder that recipe NAME trains, so that one training a
fold serves several methods. `TEST` is a mapping of settings that act at test time alone.
"""

import dataclasses
import difflib
import importlib
import pkgutil
from pathlib import Path
from typing import Any

from episodes.errors import FewshotError
from fewshot.commands.train_options import Train


def names() -> list[str]:
    """List the recipes."""
    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__))


def load(name: str) -> dict[str, Any]:
    """Return the settings of a recipe.

    Raises:
        FewshotError: there is no such recipe; the message names the nearest.
    """
    return dict(_module(name).SETTINGS)


def command(name: str, data: Any = Path()) -> Train:
    """Fill a training command with a recipe's settings."""
    settings = load(name)
    for part, kind in _groups().items():
        fields = {each.name for each in dataclasses.fields(kind)}
        inner = {key: settings.pop(key) for key in list(settings) if key in fields}
        settings[part] = kind(**inner)
    return Train(data=data, recipe=name, **settings)


def _groups() -> dict[str, Any]:
    """The options of `fewshot train` that are kept in dataclasses of their own."""
    made = {field.name: field.default_factory for field in dataclasses.fields(Train)}
    return {name: kind for name, kind in made.items() if dataclasses.is_dataclass(kind)}


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


def about(name: str) -> str:
    """Return what a recipe says of itself."""
    return (_module(name).__doc__ or "").strip()


def _module(name: str) -> Any:
    if name not in names():
        near = difflib.get_close_matches(name, names(), n=1, cutoff=0.3) or names()
        raise FewshotError(
            f"there is no recipe {name!r}; did you mean {near[0]!r}? See `fewshot recipes`"
        )
    return importlib.import_module(f"{__name__}.{name.replace('-', '_')}")
