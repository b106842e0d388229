"""Defaults decide results, so each stands in a list, and a change of one is a change of the list.

    python -m tests.test_defaults      writes the list anew, tests/defaults.json

Listed are the fields of settings, the optional arguments of public functions and classes, the names
and settings of registered parts, and the constants of modules.
"""

import ast
import dataclasses
import importlib
import inspect
import json
from pathlib import Path

import episodes.readers  # noqa: F401 - has a registry
from episodes.registry import _REGISTRIES

LISTED = Path(__file__).with_name("defaults.json")
ROOT = Path(__file__).parents[1]
ROOMS = (
    *("episodes/augmentation", "episodes/sampling", "episodes/protocols", "episodes/synthetic"),
    *("fewshot/losses", "fewshot/metrics", "fewshot/models", "fewshot/models/heads"),
    *("fewshot/inference", "fewshot/inference/predictors", "fewshot/inference/volumes"),
    "fewshot/inference/postprocessing",
    *(f"fewshot/pipeline/{stage}" for stage in ("preprocess", "postprocess", "analyse")),
    "fewshot/pipeline",
    *("fewshot/baselines", "fewshot/baselines/deep"),
    *("fewshot/training", "fewshot/siamese", "fewshot/siamese/losses", "fewshot/siamese/miners"),
    *("fewshot/siamese/retrieval", "fewshot/siamese/verification"),
)
PLAIN = bool | int | float | str | None


def as_plain(value):
    """A default as JSON has it; None for what is made anew at every call."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {type(value).__name__: as_plain(dataclasses.asdict(value))}
    if isinstance(value, tuple | list):
        return [as_plain(each) for each in value]
    if isinstance(value, dict):
        return {str(key): as_plain(each) for key, each in value.items()}
    if isinstance(value, PLAIN):
        return value
    return getattr(value, "__name__", type(value).__name__)


def defaults_of(thing):
    """The optional arguments of a function, or of making an instance of a class."""
    found = {}
    for each in inspect.signature(thing).parameters.values():
        if each.default is not each.empty:
            value = each.default
            if type(value).__name__ == "_HAS_DEFAULT_FACTORY_CLASS":
                field = next(f for f in dataclasses.fields(thing) if f.name == each.name)
                value = field.default_factory()
            found[each.name] = as_plain(value)
    return found


def constants_of(module, path):
    """The constants that a module assigns by itself, private ones among them."""
    found = {}
    for statement in ast.parse(path.read_text(encoding="utf-8")).body:
        targets = getattr(statement, "targets", [getattr(statement, "target", None)])
        for node in (each for target in targets if target for each in ast.walk(target)):
            if isinstance(node, ast.Name) and node.id.isupper():
                value = getattr(module, node.id)
                if is_plain(value):
                    found[node.id] = as_plain(value)
    return found


def is_plain(value):
    """Whether a value is of numbers and words throughout."""
    if isinstance(value, tuple | list | dict):
        parts = value.values() if isinstance(value, dict) else value
        return all(map(is_plain, parts))
    return isinstance(value, PLAIN)


def collect():
    found = {}
    for room in ROOMS:
        for path in sorted((ROOT / room).glob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            module = importlib.import_module(name.removesuffix(".__init__"))
            for key, value in sorted(vars(module).items()):
                own = getattr(value, "__module__", "") == module.__name__
                if key.startswith("_") or not own or not callable(value):
                    continue
                try:
                    defaults = defaults_of(value)
                except (TypeError, ValueError):  # type aliases have no arguments
                    continue
                if defaults:
                    found[f"{module.__name__}.{key}"] = defaults
            if constants := constants_of(module, path):
                found[f"{module.__name__} constants"] = constants
    for registry in (each for each in _REGISTRIES if each.group.startswith("fewshot.")):
        own = [name for name in registry.names() if is_ours(registry.module_of(name))]
        found[registry.group] = {name: settings_of(registry[name]) for name in own}
    return found


def settings_of(part):
    """The plain values of what is registered, such as a pair loss's usual margin."""
    if not dataclasses.is_dataclass(part) or isinstance(part, type):
        return {}
    values = {each.name: getattr(part, each.name) for each in dataclasses.fields(part)}
    return {name: as_plain(v) for name, v in values.items() if not callable(v)}


def is_ours(module):
    """Whether a part comes with this project; plugins of other tests may be loaded, too."""
    return module.startswith(("episodes.", "fewshot.")) and "plugins" not in module


def test_defaults_are_those_of_the_list():
    listed, found = json.loads(LISTED.read_text(encoding="utf-8")), collect()
    assert json.loads(json.dumps(found)) == listed, "python -m tests.test_defaults writes it anew"


if __name__ == "__main__":
    LISTED.write_text(json.dumps(collect(), indent=1, sort_keys=True) + "\n", encoding="utf-8")
