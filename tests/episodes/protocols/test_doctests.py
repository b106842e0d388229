"""The examples in the docstrings of the protocols are run, one test a module."""

import doctest
import importlib
import pkgutil

import pytest

import episodes.protocols
import fewshot.evaluation.confusion_counts

MODULES = [m.name for m in pkgutil.iter_modules(episodes.protocols.__path__, "episodes.protocols.")]


@pytest.mark.parametrize("name", [*MODULES, fewshot.evaluation.confusion_counts.__name__])
def test_examples_run(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_there_are_examples():
    finder = doctest.DocTestFinder()
    examples = [t for m in MODULES for t in finder.find(importlib.import_module(m)) if t.examples]
    assert len(examples) >= 10
