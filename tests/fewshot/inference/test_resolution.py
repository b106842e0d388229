import numpy as np
import pytest

from fewshot.inference import resolution as module
from fewshot.inference.resolution import upsampling_factor


@pytest.mark.parametrize("seed", range(6))
def test_the_short_way_to_no_enlargement_agrees_with_exact_distances(seed, monkeypatch):
    generator = np.random.default_rng(seed)
    agreed = []
    for side in generator.integers(3, 30, 12):  # of the drawn rectangles, in pixels
        found = np.zeros((2, 96, 64), np.uint8)
        for label in (1, 2):
            top, left = generator.integers(0, 60), generator.integers(0, 50)
            found[generator.integers(2), top : top + side, left : left + 2 * side] = label
        maps = [found, (generator.random((1, 40, 40)) > 0.05) * np.uint8(3)][: 1 + seed % 2]
        short = upsampling_factor(maps, 128, 8)
        with monkeypatch.context() as patch:
            patch.setattr(module, "_all_wide", lambda *_: False)
            agreed.append(short == upsampling_factor(maps, 128, 8))
    assert all(agreed)
