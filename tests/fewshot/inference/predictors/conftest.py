"""Two annotated volumes, and another one."""

import pytest

from fewshot.inference.inputs import ImageStack
from fewshot.inference.support_set import SupportSet, read_support_set

from .volumes import volume


@pytest.fixture(scope="module")
def support_set() -> SupportSet:
    return read_support_set(*map(list, zip(volume(0), volume(1), strict=True)), {3: "a", 7: "b"})


@pytest.fixture(scope="module")
def query() -> ImageStack:
    return ImageStack(volume(2)[0], "query", volume=True)
