"""Types and shapes are checked while tests run, in the modules that pyproject.toml lists."""

import beartype.roar
import jaxtyping
import pytest
import torch

from episodes.errors import shorten
from fewshot.siamese.effective_rank import effective_rank


def test_a_wrong_shape_and_a_wrong_type_are_told():
    with pytest.raises(jaxtyping.TypeCheckError):
        effective_rank(torch.zeros(3))
    with pytest.raises(beartype.roar.BeartypeCallHintViolation):
        shorten(["a"], "two")
