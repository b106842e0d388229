"""Numbers of `Draws` beside those of NumPy, where words are rejected often."""

import numpy as np
import pytest

from episodes.sampling.draws import Draws


@pytest.mark.parametrize("end", [2**31 + 1, 3 * 2**30, 2**32 - 2])
def test_rejected_words_are_those_that_numpy_rejects(end):
    """Lemire's method rejects a word with probability (2**32 mod end) / 2**32: up to a half."""
    draws, generator = (np.random.Generator(np.random.Philox(key=[3, 4])) for _ in range(2))
    numbers = Draws(draws)
    assert [numbers.below(end) for _ in range(200)] == generator.integers(end, size=200).tolist()
