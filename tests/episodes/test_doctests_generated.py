"""The examples in the docstrings of augmentation, regions and generated tasks are run."""

import doctest
import importlib
from pathlib import Path

import pytest

MODULES = (
    "augment",
    "fields",
    "region_cache",
    "regions",
    "supervoxels",
    "synthetic.levels",
    "synthetic.sampler",
    "resample",
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name):
    failed, attempted = doctest.testmod(importlib.import_module(f"episodes.{name}"))
    assert failed == 0
    assert attempted > 0


def test_the_guide_runs():
    guide = Path(__file__).resolve().parents[2] / "docs" / "episodes-without-labels.md"
    failed, attempted = doctest.testfile(str(guide), module_relative=False)
    assert failed == 0
    assert attempted > 0
