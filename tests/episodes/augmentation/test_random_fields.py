import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage, stats

from episodes.augmentation.random_fields import blur, smooth_noise, white_noise
from episodes.errors import EpisodeError


@pytest.mark.parametrize("sigma", [1.0, 2.5, 8.0])
def test_smooth_noise_has_the_covariance_of_filtered_white_noise(sigma):
    fields = smooth_noise(np.random.default_rng(0), (24, 30), sigma, count=6000).double()
    assert fields.mean(0).abs().max() < 0.07  # 720 means of standard deviation 0.013
    assert (fields.var(0) - 1).abs().max() < 0.09
    for down, right in ((0, 1), (2, 0), (3, 4), (7, 7)):
        found = (fields[:, 5, 6] * fields[:, 5 + down, 6 + right]).mean().item()
        distance = down**2 + right**2
        assert found == pytest.approx(np.exp(-distance / (4 * sigma**2)), abs=0.05)


def test_smooth_noise_is_stationary():
    # The basis must not show: the variance of differences is the same between and at its centres.
    fields = smooth_noise(np.random.default_rng(1), (4, 64), 7.0, count=4000)
    jumps = (fields[..., 1:] - fields[..., :-1]).var(dim=(0, 1))
    assert jumps.max() / jumps.min() < 1.15


def test_fields_of_one_draw_are_independent_and_white_without_sigma():
    one, two = smooth_noise(np.random.default_rng(2), (200, 200), 3.0, count=2)
    assert abs((one * two).mean()) < 0.1
    white = smooth_noise(np.random.default_rng(2), (200, 200), 0.0)[0]
    assert abs((white[:, 1:] * white[:, :-1]).mean()) < 0.02


def test_smooth_noise_refuses_a_negative_sigma():
    for sigma in (-1.0, float("nan"), float("inf")):
        with pytest.raises(EpisodeError, match="sigma is"):
            smooth_noise(np.random.default_rng(0), (8, 8), sigma)


def test_white_noise_is_normal():
    drawn = white_noise(np.random.default_rng(3), (100, 100)).numpy()
    assert drawn.dtype == np.float32
    assert stats.kstest(drawn.ravel(), "norm").pvalue > 0.001
    assert 3.3 < abs(drawn).max() < 4.4
    assert np.array_equal(drawn, white_noise(np.random.default_rng(3), (100, 100)).numpy())


@given(st.floats(0.1, 6), st.integers(0, 2**32))
@settings(max_examples=25, deadline=None)
def test_blur_is_the_gaussian_filter(sigma, seed):
    image = np.random.default_rng(seed).random((2, 21, 34), dtype=np.float32)
    radius = max(1, int(np.ceil(4 * sigma)))
    expected = ndimage.gaussian_filter(image, (0, sigma, sigma), mode="nearest", radius=radius)
    np.testing.assert_allclose(blur(torch.from_numpy(image), sigma), expected, atol=2e-6)


def test_blur_of_nothing():
    image = torch.rand(1, 5, 5)
    assert blur(image, 0) is image
