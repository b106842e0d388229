"""The examples in the docstrings of augmentation, regions and generated tasks are run."""

import doctest
import importlib

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
