"""The checks of types and shapes while tests run, at less cost than jaxtyping's own.

`install` is called before anything of the package is imported.
"""

import functools
import inspect
import typing
from importlib.machinery import SourceFileLoader
from unittest.mock import patch

import jaxtyping
import jaxtyping._import_hook as hook

_jaxtyped = jaxtyping.jaxtyped


def install() -> None:
    """Put the functions below in the place of jaxtyping's."""
    hook._JaxtypingLoader.get_code = _get_code
    hook._JaxtypingLoader.exec_module = SourceFileLoader.exec_module
    jaxtyping.jaxtyped = _checked


def _get_code(loader, name):
    """Read the bytecode of a module whose types are checked, which has a name of its own.

    jaxtyping changes the names of bytecode until the module has run, so torch and all else that it
    imports would be compiled again: 10 s in each process of the tests.
    """
    own_name = functools.partial(hook._optimized_cache_from_source, loader._typechecker.get_hash())
    with patch("importlib._bootstrap_external.cache_from_source", own_name):
        return SourceFileLoader.get_code(loader, name)


def _checked(function=None, *, typechecker):
    """Check a function without arrays by the type checker alone: 0.1 ms less at every call."""
    if function is None:
        return functools.partial(_checked, typechecker=typechecker)
    hints = getattr(function, "__annotations__", {}).values()
    if inspect.isfunction(function) and not any(map(_needs_jaxtyping, hints)):
        return typechecker(function)
    return _jaxtyped(function, typechecker=typechecker)


def _needs_jaxtyping(hint) -> bool:
    """Whether a type has shapes, or is a name that jaxtyping does not check either."""
    if isinstance(hint, str):
        return True
    if isinstance(hint, type) and issubclass(hint, jaxtyping.AbstractArray):
        return True
    parts = hint if isinstance(hint, list) else typing.get_args(hint)  # of a Callable
    return any(not isinstance(part, str) and _needs_jaxtyping(part) for part in parts)
