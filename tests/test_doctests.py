"""The examples in docstrings and guides are run, one test a module or guide."""

import doctest
import importlib
import inspect
import pkgutil
import re
import runpy
import shutil
from pathlib import Path

import pytest

import episodes
import fewshot.metrics
from episodes import bundled

MODULES = [each.name for each in pkgutil.iter_modules(fewshot.metrics.__path__, "fewshot.metrics.")]


OTHERS = [
    each.name
    for package in (episodes, fewshot)
    for each in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if each.name not in MODULES
]
GUIDES = [path for path in Path(__file__).parents[1].glob("**/*.md") if ".venv" not in path.parts]


@pytest.mark.parametrize("name", OTHERS)
def test_examples_elsewhere_run(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_python_in_guides_runs(tmp_path, monkeypatch):
    """Blocks see the files that the README speaks of: an annotated picture and another one."""
    nuclei = bundled.path("nuclei")
    for name, source in (("01", "images/img2d_00"), ("01_mask", "masks/img2d_00")):
        shutil.copy(nuclei / f"{source}.png", tmp_path / f"cell_{name}.png")
    shutil.copy(nuclei / "images/img2d_11.png", tmp_path / "cell_02.png")
    monkeypatch.chdir(tmp_path)
    blocks = [
        block
        for guide in GUIDES
        for block in re.findall(r"^```python\n(.*?)^```", guide.read_text("utf-8"), re.S | re.M)
    ]
    assert len(blocks) >= 2
    for number, block in enumerate(blocks):
        script = tmp_path / f"block_{number}.py"
        script.write_text(block, "utf-8")
        runpy.run_path(str(script))
    assert (tmp_path / "cell_02_mask.png").exists()


def test_all_modules_are_found():
    assert len(MODULES) >= 15


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name):
    failed, attempted = doctest.testmod(importlib.import_module(name))
    assert failed == 0
    assert attempted > 0


@pytest.mark.parametrize("name", MODULES)
def test_every_public_function_has_an_example(name):
    module = importlib.import_module(name)
    public = {
        key: value
        for key, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == name and not key.startswith("_")
    }
    lacking = [
        key
        for key, value in public.items()
        if ">>>" not in (value.__doc__ or "")
        and "See the head of this module" not in (value.__doc__ or "")
    ]
    assert lacking == []
