import warnings

import numpy as np
import pytest
import torch

from fewshot.inference.inputs import ImageStack
from fewshot.inference.self_configuration.unlike import warn_of_unlike
from fewshot.inference.self_configuration.views import Shot, View
from tests.fewshot.inference.self_configuration.test_candidates import shot_of


def test_a_mask_of_another_image_is_told():
    shots = [shot_of(seed, (0, 1, 0)) for seed in range(4)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_unlike(shots, 1)
        warn_of_unlike(shots[:2], 1)  # of two that differ, which one is wrong?
    labels = shots[0].labels.numpy()
    moved = np.where(np.roll(labels == 1, (40, 40), (0, 1)), 1, 0) * (labels == 0)
    wrong = Shot(shots[0].view, torch.from_numpy(moved.astype(np.uint8)))
    with pytest.warns(UserWarning, match="scene 0 is unlike the other annotated images") as said:
        warn_of_unlike([wrong, *shots[1:]], 1)
    assert len(said) == 1


def test_where_nothing_is_found_in_any_nobody_is_unlike():
    generator = np.random.default_rng(0)
    shots = [
        Shot(
            View(ImageStack(generator.integers(0, 255, (1, 64, 64), np.uint8), "noise")),
            torch.from_numpy((generator.random((64, 64)) < 0.05).astype(np.uint8)),
        )
        for _ in range(3)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_unlike(shots, 1)
