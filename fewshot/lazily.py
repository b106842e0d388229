"""Modules that are imported at their first use, because most runs do without them."""

import importlib
from typing import Any


class _Lazy:
    """A proxy of a module, which is imported at the first access."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(importlib.import_module(self._name), attribute)


def lazily(name: str) -> Any:
    """Import a module at the first access to one of its names, from any thread.

    >>> lazily("json").loads("[1]")
    [1]
    """
    return _Lazy(name)
