"""The examples in the docstrings of fewshot.metrics are run, one test a module."""

import doctest
import importlib
import inspect
import pkgutil

import pytest

import fewshot.metrics

MODULES = [each.name for each in pkgutil.iter_modules(fewshot.metrics.__path__, "fewshot.metrics.")]


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
