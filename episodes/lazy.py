"""Names of a package that are imported when they are first used."""

import importlib
import sys
from collections.abc import Callable, Collection, Mapping
from typing import Any


def lazy_names(
    package: str, names: Mapping[str, str], modules: Collection[str] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make the functions `__getattr__` and `__dir__` of a package.

    Args:
        package: its full name.
        names: the module that defines each name.
        modules: modules of the package that are names of it, too.

    >>> get, names = lazy_names("math", {"sqrt": "math"})
    >>> get("sqrt")(4)
    2.0
    >>> names()
    ['sqrt']
    """

    def get(name: str) -> Any:
        if name in names:
            return getattr(importlib.import_module(names[name]), name)
        if name in modules:
            return importlib.import_module(f"{package}.{name}")
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    def list_names() -> list[str]:
        version = ["__version__"] if hasattr(sys.modules[package], "__version__") else []
        return sorted([*names, *modules, *version])

    return get, list_names
