"""A predictor by its name and its settings, the same for every command."""

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any, TypeVar, get_type_hints

from episodes.errors import ModelError
from fewshot.models.network import FewShotNetwork
from fewshot.registry import PREDICTORS

_FLAT = ("postprocess", "self_support")  # whose fields have names of their own

Class = TypeVar("Class", bound=type)


def register_predictor(name: str) -> Callable[[Class], Class]:
    """Return a decorator that adds a class which follows `fewshot.inference.predictors.base`."""
    return PREDICTORS.register(name)


def needs_network(name: str) -> bool:
    """Whether a predictor is built with a network; one of a plugin that leaves it open is."""
    return bool(getattr(PREDICTORS[name], "needs_network", True))


def build_predictor(
    network: FewShotNetwork | None, name: str = "slice", values: Mapping[str, Any] | None = None
) -> Any:
    """Build a predictor.

    Args:
        network: a trained one; None for a predictor that needs none.
        name: of a registered predictor.
        values: settings that differ from its own defaults, by their names. The fields of
            `postprocess` and `self_support` stand beside them without a prefix; other settings
            within settings are given whole.

    Raises:
        FewshotError: there is no such predictor, or a value is out of its range.
        ModelError: it has no such setting, or there is no network and it needs one.
    """
    kind = PREDICTORS[name]
    if network is None and needs_network(name):
        raise ModelError(f"the predictor {name} needs a network; load one, or build the default")
    return kind(network, make_settings(kind.Settings, dict(values or {}), name))


def make_settings(kind: Any, values: dict[str, Any], name: str) -> Any:
    """Fill a settings dataclass by the names of its fields, see `build_predictor`.

    Raises:
        ModelError: a name is of no field.
    """
    default = kind()
    known = setting_names(kind)
    unknown = sorted(values.keys() - known)
    if unknown:
        raise ModelError(
            f"the predictor {name} has no setting {', '.join(unknown)}; expected some of "
            f"{', '.join(known)}"
        )
    return _filled(default, values)


def setting_names(kind: Any) -> list[str]:
    """List the names that `make_settings` takes."""
    return list(setting_types(kind))


def setting_types(kind: Any) -> dict[str, Any]:
    """List the names that `make_settings` takes, with the types of their values."""
    hints = get_type_hints(kind, include_extras=True)
    types: dict[str, Any] = {}
    for each in fields(kind):
        if each.name in _FLAT:
            inner = type(getattr(kind(), each.name))
            inner_hints = get_type_hints(inner, include_extras=True)
            types |= {one.name: inner_hints[one.name] for one in fields(inner)}
        else:
            types[each.name] = hints[each.name]
    return types


def _filled(default: Any, values: Mapping[str, Any]) -> Any:
    own = {each.name for each in fields(default)}
    changed = {name: value for name, value in values.items() if name in own}
    for name in own.intersection(_FLAT):
        changed[name] = _filled(getattr(default, name), values)
    return replace(default, **changed)
