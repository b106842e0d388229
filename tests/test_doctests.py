"""The examples in docstrings and guides are run, one test a module or guide."""

import doctest
import importlib
import inspect
import pkgutil
import re
import runpy
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

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
# tests/fewshot/evaluation/test_confusion_counts.py runs the guide to the protocols, on a catalog of
# its own.
GUIDES = [
    path
    for path in Path(__file__).parents[1].glob("**/*.md")
    if ".venv" not in path.parts and path.name != "protocols.md"
]


@pytest.mark.parametrize("name", OTHERS)
def test_examples_elsewhere_run(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_python_in_guides_runs(tmp_path, monkeypatch):
    """Blocks see the files that the README speaks of: an annotated picture and another one."""
    nuclei = bundled.path("nuclei")
    shutil.copy(nuclei / "images/img2d_00.png", tmp_path / "cell_01.png")
    # The bundled mask numbers nuclei; the README's is black and white.
    numbers = np.asarray(Image.open(nuclei / "masks/img2d_00.png"))
    Image.fromarray((numbers > 0).astype(np.uint8) * 255).save(tmp_path / "cell_01_mask.png")
    shutil.copy(nuclei / "images/img2d_11.png", tmp_path / "cell_02.png")
    monkeypatch.chdir(tmp_path)
    blocks = [
        block
        for guide in GUIDES
        for block in re.findall(r"^```python\n(.*?)^```", guide.read_text("utf-8"), re.S | re.M)
        if ">>>" not in block
    ]
    assert len(blocks) >= 2
    for number, block in enumerate(blocks):
        script = tmp_path / f"block_{number}.py"
        script.write_text(block, "utf-8")
        runpy.run_path(str(script))
    assert (tmp_path / "cell_02_mask.png").exists()


def test_sessions_in_guides_run():
    results = [doctest.testfile(str(guide), module_relative=False) for guide in GUIDES]
    assert sum(result.failed for result in results) == 0
    assert sum(result.attempted for result in results) > 0


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
