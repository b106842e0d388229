"""Modules that are imported at their first use, because most runs do without them."""

import importlib
from typing import Any


class _Lazy:
    """Stands for a module; whatever is asked of it, the module answers."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(importlib.import_module(self._name), attribute)


def lazily(name: str) -> Any:
    """Import a module when something of it is first asked for, from whatever thread.

    >>> lazily("json").loads("[1]")
    [1]
    """
    return _Lazy(name)
