"""The names that users import: `from fewshot import ...` and `from episodes import ...`."""

import ast
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import episodes
import fewshot
import fewshot.metrics

ROOT = Path(__file__).parents[1]
PACKAGES = [episodes, fewshot]


def listed(package):
    """The module that defines each name, from the stub that lists them; "" of a module."""
    tree = ast.parse(Path(package.__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    # Without `as` a type checker would not take a name for exported.
    assert all(alias.asname == alias.name for node in imports for alias in node.names)
    return {alias.name: node.module or "" for node in imports for alias in node.names}


NAMES = [(package, *each) for package in PACKAGES for each in listed(package).items()]


@pytest.mark.parametrize(
    ("package", "name", "module"), NAMES, ids=lambda value: getattr(value, "__name__", value)
)
def test_a_name_is_where_it_is_listed_and_is_described(package, name, module):
    value = getattr(package, name)
    if inspect.isfunction(value) or (inspect.isclass(value) and value.__module__ != "typing"):
        assert value.__module__ == f"{package.__name__}.{module}", "list the module that defines it"
        sentence = (inspect.getdoc(value) or "").split("\n\n")[0]
        assert sentence.rstrip().endswith("."), sentence
        assert not sentence.startswith(f"{name}("), "dataclasses describe themselves so"


@pytest.mark.parametrize("package", PACKAGES)
def test_names_are_those_of_the_stub_and_none_is_private(package):
    assert sorted(dir(package)) == sorted(package.__all__) == sorted(listed(package))
    assert not [name for name in package.__all__ if name.startswith("_")]
    with pytest.raises(AttributeError, match="nothing"):
        package.nothing  # noqa: B018


def test_every_family_of_scores_is_in_the_namespace():
    families = {each.name for each in pkgutil.iter_modules(fewshot.metrics.__path__)}
    assert families - {"arrays"} == set(fewshot.metrics.__all__)
    assert fewshot.metrics.overlap.dice is importlib.import_module("fewshot.metrics.overlap").dice


def test_the_packages_are_imported_without_torch():
    code = "import sys, episodes, fewshot, fewshot.metrics; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_guide_lists_every_name():
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    tables = "\n".join(line for line in text.splitlines() if line.startswith("|"))
    listed = re.findall(r"`([A-Za-z_]\w*)`", tables)
    names = {*episodes.__all__, *fewshot.__all__}
    assert sorted(listed) == sorted(names)


def test_guides_need_no_other_imports():
    """Users import from the two packages, and scores and losses from their namespaces."""
    allowed = {"episodes", "fewshot", "fewshot.metrics", "fewshot.losses"}
    for path in [ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("notebooks/*.py")]:
        found = re.findall(
            r"^(?:>>> )?(?:from|import) ((?:episodes|fewshot)[\w.]*)", path.read_text("utf-8"), re.M
        )
        assert set(found) <= allowed, path.name


def test_a_loop_of_ones_own_is_short():
    """That it learns is asserted in the guide itself, which tests/test_doctests.py runs."""
    text = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.S | re.M)
    (loop,) = (block for block in blocks if "loss.backward()" in block)
    assert len(loop.splitlines()) <= 25
    assert "assert after" in loop
