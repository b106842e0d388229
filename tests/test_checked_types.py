"""Shapes of tensors are checked while the tests run, in the modules that pyproject.toml lists."""

import jaxtyping
import pytest
import torch

from fewshot.siamese.effective_rank import effective_rank


def test_a_wrong_shape_is_told():
    with pytest.raises(jaxtyping.TypeCheckError):
        effective_rank(torch.zeros(3))
