"""Imports run downwards, from floor to floor: episodes knows no model, the library no command."""

import ast
import functools
import re
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
        ("experiments", "pipeline"),
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


_OLD = """
AsUsed Choices Count Cut CutVolume Held LaidVolumes Looks MatchThenSegment MatchedVolumes
OwnLookSettings PlacedSlices Planes PseudoSampler PseudoSettings RefineSettings Relation Relays
SharedSlices Shots Truth TurnedClasses borrow_generator cheapest code_labels condense describer
draw_looks embed_listed everyones exchange keep_areas lay least_rank look_again monotone_path
most_images most_queries most_shots open_picture own_look own_odds place_mask rankings
read_support refine relate require_measured score_nearby settle_parts stepped support_fits
sure_positions undo waited whole_file witnesses write_picture zarrays zipped
"""
OLD_WORDS = frozenset(_OLD.split())
"""Names of earlier versions for which the field has a term: see the words of the guides."""
OF_A_PERSON = re.compile(
    r"\b(says|asks|tells|believes|knows|wants|speaks|listens)\b", re.IGNORECASE
)
"""Verbs of speech and mind; data and code have none."""


def nodes(source: str) -> list[ast.AST]:
    """The nodes of a module."""
    return list(ast.walk(ast.parse(source)))


def old_words(module: list[ast.AST]) -> set[str]:
    """The identifiers of a module that are old words: definitions, variables, keywords."""
    return OLD_WORDS & {
        getattr(n, key, None) for n in module for key in ("name", "id", "arg", "attr")
    }


def personal(module: list[ast.AST]) -> list[str]:
    """The first sentences of docstrings in which data or code speak or think."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    texts = [ast.get_docstring(node) or "" for node in module if isinstance(node, documented)]
    first = [re.split(r"(?<=[.:;])\s", text, maxsplit=1)[0] for text in texts]
    return [sentence for sentence in first if OF_A_PERSON.search(sentence)]


def test_no_old_word_is_a_name_and_no_docstring_begins_with_a_person():
    sample = nodes('def relate(undo):\n    """What the file says: all."""\n    x.stepped(lay=1)')
    assert old_words(sample) == {"relate", "undo", "stepped", "lay"}
    assert personal(sample) == ["What the file says:"]
    modules = {name: nodes(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}
    assert not {name: old for name, module in modules.items() if (old := old_words(module))}
    assert not {name: lines for name, module in modules.items() if (lines := personal(module))}
