"""Draw mutants: places of the code that Cosmic Ray's operators change, and the change of each."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path

import yaml
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

ROOT = Path(__file__).resolve().parents[1]
# Figures are looked at; what is exported is held by the tests of names.
LEFT_OUT = ("__init__.py", "fewshot/metrics/plots.py")
ANNOTATIONS = ("annassign", "tfpdef")
# Arguments that compute nothing: what zip is told by strict= is that lengths are always equal, like
# an assertion; repr= is whether a field is printed.
IDLE = ("strict", "repr")
EQUIVALENT = Path(__file__).with_name("equivalent_mutants.yaml")


@dataclass(frozen=True)
class Mutant:
    """One change: the ``occurrence``-th place of ``operator`` in a file."""

    path: str
    operator: str
    occurrence: int
    line: int

    def code(self, source: str) -> str:
        """The file with the change."""
        changed = mutate_code(source, get_operator(self.operator)(), self.occurrence)
        if changed is None:
            raise RuntimeError(f"{self} changes nothing")
        return changed

    def diff(self, source: str) -> str:
        """The change, as a unified diff without context."""
        name = f"{self.path}:{self.line}"
        both = source.splitlines(), self.code(source).splitlines()
        return "\n".join(unified_diff(*both, name, self.operator, lineterm="", n=0))


def is_annotation(node) -> bool:
    """Whether a syntax node is part of a type hint, which no test can tell from another."""
    while node.parent is not None:
        parent = node.parent
        if parent.type in ANNOTATIONS and node is not parent.children[0]:
            return parent.type == "tfpdef" or node is parent.children[1]
        if parent.type == "funcdef" and getattr(parent, "annotation", None) is node:
            return True
        node = parent
    return False


def is_declaration(node) -> bool:
    """Whether a syntax node belongs to @dataclass(...) or IDLE, or is a star of parameters."""
    if node.parent.type == "argument" and node.parent.children[0].get_code().strip() in IDLE:
        return True
    if node.type == "operator" and node.value in ("*", "**") and node.parent.type != "term":
        return node.parent.type != "power"
    while node is not None and node.type != "decorator":
        node = node.parent
    return node is not None and "dataclass" in node.get_code()


def mutants_of(path: str) -> Iterator[Mutant]:
    """Every mutant of a file, without those of its type hints."""
    nodes = list(ast_nodes(get_ast((ROOT / path).read_text(encoding="utf-8"))))
    for name in operator_names():
        operator = get_operator(name)
        if operator.arguments() or name.endswith("NoOp"):
            continue
        places = (
            (node, start) for node in nodes for start, _ in operator().mutation_positions(node)
        )
        for occurrence, (node, start) in enumerate(places):
            if not (is_annotation(node) or is_declaration(node)):
                yield Mutant(path, name, occurrence, start[0])


def draw(patterns: tuple[str, ...], count: int, seed: int) -> list[Mutant]:
    """``count`` mutants: lines with mutants uniformly, then one mutant of the line."""
    files = sorted({str(f.relative_to(ROOT)) for p in patterns for f in ROOT.glob(p)})
    places: dict[tuple[str, int], list[Mutant]] = {}
    for path in files:
        if not path.endswith(LEFT_OUT):
            for mutant in mutants_of(path):
                places.setdefault((path, mutant.line), []).append(mutant)
    generator = random.Random(seed)
    order = generator.sample(sorted(places), len(places))
    equivalent = read_equivalent()
    drawn = []
    for place in order:
        mutant = generator.choice(places[place])
        if compiles(mutant) and change(mutant) not in equivalent:
            drawn.append(mutant)
        if len(drawn) == count:
            break
    return drawn


def compiles(mutant: Mutant) -> bool:
    """Whether a mutant is Python at all; what is not would be noticed by any test."""
    try:
        compile(mutant.code((ROOT / mutant.path).read_text(encoding="utf-8")), mutant.path, "exec")
    except SyntaxError:
        return False
    return True


def change(mutant: Mutant) -> tuple[str, str, str]:
    """File, line before and line after: what identifies a mutant when the code around it moves."""
    source = (ROOT / mutant.path).read_text(encoding="utf-8")
    lines = [line[1:].strip() for line in mutant.diff(source).splitlines()[3:]]
    half = len(lines) // 2
    return mutant.path, " ".join(lines[:half]), " ".join(lines[half:])


def read_equivalent() -> set[tuple[str, str, str]]:
    """The mutants that compute the same as the code, with a reason each in the file."""
    entries = yaml.safe_load(EQUIVALENT.read_text(encoding="utf-8")) or []
    return {(each["file"], each["code"], each["mutant"]) for each in entries if each["why"]}
