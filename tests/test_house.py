"""Imports run downwards, from floor to floor: episodes knows no model, the library no command."""

import ast
import functools
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = {
    "episodes": (
        ("errors",),
        ("optional", "lazy", "registry"),
        ("plugins",),
        ("io", "bundled"),
        ("masks",),
        ("catalog",),
        ("readers", "augmentation"),
        ("sampling",),
        ("synthetic", "protocols"),
    ),
    "fewshot": (
        ("numerics", "provenance", "memory", "ignored", "lazily", "registry"),
        ("losses", "metrics", "plots"),
        ("models",),
        ("inference",),
        ("training",),
        ("siamese", "baselines"),
        ("evaluation", "archive"),
        ("experiments",),
        ("recipes",),
        ("benchmark",),
        ("cli",),
    ),
}
"""Rooms of one floor do not import each other; the names beside `__init__` are on no floor."""
ENTRANCES = {"episodes", "fewshot", "fewshot.__main__"}
"""The packages' own files: they may import anything, and nothing of the package imports them."""
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in FLOORS
    for path in (ROOT / package).rglob("*.py")
}


@functools.cache
def imports(name: str) -> dict[str, int]:
    """The modules of both packages that a module imports, functions included; with the lines."""
    found = {}
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            for each in (f"{node.module}.{alias.name}" for alias in node.names):
                target = each if each in MODULES else node.module
                if target in MODULES and target != name:
                    found[target] = node.lineno
        elif isinstance(node, ast.Import):
            found |= {alias.name: node.lineno for alias in node.names if alias.name in MODULES}
    return found


def floor(name: str) -> tuple[int, str]:
    package, room = name.split(".")[:2]
    return next((n, room) for n, rooms in enumerate(FLOORS[package]) if room in rooms)


@pytest.mark.parametrize("name", sorted(MODULES.keys() - ENTRANCES))
def test_nothing_is_imported_from_above(name):
    number, room = floor(name)
    for target, line in imports(name).items():
        where = f"{MODULES[name].relative_to(ROOT)}:{line} imports {target}"
        if target.split(".")[0] != name.split(".")[0]:
            assert name.startswith("fewshot."), f"{where}; episodes knows no model"
        elif target in ENTRANCES:
            assert target == "fewshot", where  # its version
        else:
            below, other = floor(target)
            assert below < number or other == room, f"{where}, which lies above or beside"


def test_no_modules_import_each_other_in_a_circle():
    TopologicalSorter({name: imports(name).keys() for name in MODULES}).prepare()


LATER = {
    "fewshot.models.hub": "huggingface_hub is imported for models from a hub alone",
    "fewshot.models.timm_backbone": "timm takes seconds to import; the default backbone is ours",
    "fewshot.siamese.retrieval.milvus_index": "pymilvus is optional",
}


INSIDE = {name for name in MODULES.keys() - ENTRANCES if not name.startswith("fewshot.cli")}


@pytest.mark.parametrize("name", sorted(INSIDE))
def test_own_modules_are_imported_at_the_top(name):
    """The command imports what it needs when it needs it; elsewhere a reason is given."""
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    functions = (each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef))
    for node in (node for function in functions for node in ast.walk(function)):
        if isinstance(node, ast.ImportFrom) and node.module in MODULES:
            assert node.module in LATER, f"{MODULES[name]}:{node.lineno} imports {node.module}"
