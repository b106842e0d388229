import hypothesis.strategies as st
import torch
from hypothesis import given, settings
from torch.nn import functional

from fewshot.models.prototypes import (
    class_prototypes,
    grid_weights,
    masked_average,
    mean_of_present,
)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 9), st.integers(1, 9), st.integers(1, 40), st.integers(1, 40), st.integers(0, 9)
)
def test_grid_weights_equal_averaging_enlarged_features(rows, columns, height, width, seed):
    """The promise of `grid_weights`: the same average as with features brought to mask size."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(1, 3, rows, columns, generator=generator)
    mask = torch.rand(1, height, width, generator=generator) > 0.5
    weights = grid_weights(mask, rows, columns)
    enlarged = functional.interpolate(features, (height, width), mode="bilinear")
    expected = (enlarged * mask[:, None]).sum(dim=(2, 3)) / (mask.sum() + 1e-5)
    average, area = masked_average(features, weights)
    torch.testing.assert_close(average, expected, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(area, mask.sum(dim=(1, 2)).float(), atol=1e-3, rtol=1e-4)


def test_masked_average_by_hand():
    features = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    average, area = masked_average(features, torch.tensor([[[0.0, 1.0], [0.0, 3.0]]]))
    assert area.item() == 4
    torch.testing.assert_close(average, torch.tensor([[(2 + 12) / (4 + 1e-5)]]))


def test_an_empty_mask_gives_zero_and_says_so():
    average, area = masked_average(torch.ones(1, 2, 3, 3), torch.zeros(1, 3, 3))
    assert average.tolist() == [[0.0, 0.0]]
    assert area.tolist() == [0.0]


def test_shots_without_the_class_do_not_count():
    vectors = torch.tensor([[[2.0], [100.0], [4.0]]])
    mean, present = mean_of_present(vectors, torch.tensor([[5.0, 0.0, 1.0]]))
    assert mean.tolist() == [[3.0]]
    assert present.tolist() == [True]


def test_class_prototypes_leave_out_unknown_pixels():
    features = torch.arange(4.0).reshape(1, 1, 1, 1, 2, 2)
    masks = torch.tensor([[0, 1], [255, 1]], dtype=torch.uint8).reshape(1, 1, 1, 2, 2)
    prototypes, present = class_prototypes(features, masks)
    torch.testing.assert_close(prototypes, torch.tensor([[[0.0], [4.0 / 2]]]), atol=1e-4, rtol=1e-4)
    assert present.tolist() == [[True, True]]
