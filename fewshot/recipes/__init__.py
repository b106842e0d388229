"""Recipes: named, complete training settings, one file each.

A recipe's docstring states its command, its time and memory, and the score to expect; its
`SETTINGS` are values of `fewshot train`'s options. `fewshot train DATA --recipe NAME` takes them,
and options on the command line replace single ones. `fewshot recipes` lists them.
"""

import difflib
import importlib
import pkgutil
from typing import Any

from episodes.errors import FewshotError


def names() -> list[str]:
    """List the recipes."""
    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__))


def load(name: str) -> dict[str, Any]:
    """Return the settings of a recipe.

    Raises:
        FewshotError: there is no such recipe; the message names the nearest.
    """
    return dict(_module(name).SETTINGS)


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
