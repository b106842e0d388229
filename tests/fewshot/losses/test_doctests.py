import doctest
import importlib
import inspect
import pkgutil

import pytest

import fewshot.losses

MODULES = [
    f"fewshot.losses.{found.name}" for found in pkgutil.iter_modules(fewshot.losses.__path__)
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name):
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize("name", fewshot.losses.__all__)
def test_every_public_function_has_an_example_and_says_what_it_takes(name):
    text = inspect.getdoc(getattr(fewshot.losses, name))
    for heading in ("Args:", "Raises:", "Example:", ">>> "):
        assert heading in text
    assert "Returns:" in text or inspect.isclass(getattr(fewshot.losses, name))
    # Sums have no paper of their own.
    assert "Paper:" in text or "weight times loss" in text or "Weighted sum" in text
