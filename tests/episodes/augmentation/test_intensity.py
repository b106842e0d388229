import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from episodes.augmentation.intensity import (
    BiasField,
    Blur,
    Gamma,
    GaussianNoise,
    Ghosting,
    HistogramShift,
    Invert,
    LowResolution,
    RicianNoise,
)
from episodes.errors import EpisodeError

ALL = [
    Gamma((0.3, 3.0), inverted=0.5),
    Invert(0.5),
    HistogramShift(5, 1.0),
    BiasField(0.5),
    GaussianNoise(0.2),
    RicianNoise(0.2),
    Blur(3.0),
    LowResolution(4.0),
    Ghosting(0.5),
]
STILL = [
    Gamma((1.0, 1.0)),
    Invert(0.0),
    HistogramShift(5, 0.0),
    BiasField(0.0),
    GaussianNoise(0.0),
    RicianNoise(0.0),
    Blur(0.0),
    LowResolution(1.0),
    Ghosting(0.0),
]


def name(change):
    return type(change).__name__


def flat(value, size=64, channel=1):
    return torch.full((channel, size, size), value), torch.zeros(size, size, dtype=torch.uint8)


def apply(change, image, seed=0):
    labels = torch.zeros(image.shape[-2:], dtype=torch.uint8)
    return change(image, labels, np.random.default_rng(seed))[0]


@pytest.mark.parametrize("change", ALL, ids=name)
@given(seed=st.integers(0, 2**32), shape=st.sampled_from([(1, 20, 33), (3, 32, 32), (2, 1, 9, 16)]))
@settings(max_examples=15, deadline=None)
def test_images_keep_shape_type_and_range_and_labels_are_left(change, seed, shape):
    image = torch.from_numpy(np.random.default_rng(seed).random(shape, dtype=np.float32))
    before, labels = image.clone(), torch.randint(0, 255, shape[-2:], dtype=torch.uint8)
    changed, mask = change(image, labels, np.random.default_rng(seed))
    assert changed.shape == image.shape
    assert changed.dtype == torch.float32
    assert -1e-6 <= changed.min() <= changed.max() <= 1 + 1e-6
    assert torch.equal(mask, labels)
    assert torch.equal(image, before)
    again, _ = change(image, labels, np.random.default_rng(seed))
    assert torch.equal(changed, again)


@pytest.mark.parametrize("change", STILL, ids=name)
def test_identity_settings_change_nothing(change):
    image = torch.rand(3, 32, 40)
    assert torch.equal(apply(change, image), image)


@pytest.mark.parametrize("change", ALL, ids=name)
def test_other_draws_give_other_images(change):
    image = torch.rand(1, 32, 32)
    assert len({bytes(apply(change, image, seed).numpy()) for seed in range(12)}) > 1


def test_gamma_by_hand():
    image = torch.tensor([0.0, 0.25, 0.81, 1.0]).expand(1, 4, 4)
    half = Gamma((0.5, 0.5))
    torch.testing.assert_close(apply(half, image)[0, 0], torch.tensor([0.0, 0.5, 0.9, 1.0]))
    negative = apply(Gamma((2.0, 2.0), inverted=1.0), image)[0, 0]
    torch.testing.assert_close(negative, torch.tensor([0.0, 1 - 0.75**2, 1 - 0.19**2, 1.0]))
    drawn = [apply(Gamma((0.5, 1.5)), *[torch.full((1, 4, 4), 0.5)], i).mean() for i in range(200)]
    assert 0.353 <= min(drawn) < 0.36  # 0.5 ** 1.5: darker
    assert 0.70 < max(drawn) <= 0.708  # 0.5 ** 0.5: brighter


def test_invert_is_a_probability_and_its_own_inverse():
    image = torch.rand(1, 8, 8)
    torch.testing.assert_close(apply(Invert(1.0), apply(Invert(1.0), image)), image)
    count = sum(not torch.equal(apply(Invert(0.3), image, i), image) for i in range(300))
    assert 60 < count < 120


@given(st.integers(0, 2**32))
@settings(max_examples=25, deadline=None)
def test_histogram_shift_keeps_the_order_and_the_ends(seed):
    ramp = torch.linspace(0, 1, 256).reshape(1, 16, 16)
    curve = apply(HistogramShift(6, 0.8), ramp, seed).flatten()
    assert curve[0] == 0
    assert curve[-1] == pytest.approx(1, abs=1e-6)
    assert (curve.diff() > 0).all()
    assert (curve[:43].diff().diff().abs() < 1e-5).all()  # straight between its points


def test_bias_field_multiplies_smoothly():
    one, two = (apply(BiasField(0.3, 0.25), flat(level)[0], 3) for level in (0.1, 0.3))
    torch.testing.assert_close(3 * one, two)
    field = torch.log(one / 0.1)
    assert field.diff(dim=-1).abs().max() < 0.05
    spreads = [
        torch.log(apply(BiasField(0.3, 0.1), flat(0.2)[0], i) / 0.2).std() for i in range(80)
    ]
    assert 0.2 < max(spreads) < 0.4


def test_gaussian_noise_has_its_deviation():
    results = [apply(GaussianNoise(0.1), flat(0.5)[0], i) for i in range(60)]
    assert 0.09 < max(result.std() for result in results) < 0.103
    assert min(result.std() for result in results) < 0.01
    assert all(abs(result.mean() - 0.5) < 0.01 for result in results)
    colour = apply(GaussianNoise(0.1), flat(0.5, channel=3)[0], 1)
    assert not torch.equal(colour[0], colour[1])


def test_rician_noise_has_the_moments_of_its_law():
    # Of no signal the mean is sigma sqrt(pi / 2); the mean square is signal² + 2 sigma².
    for level in (0.0, 0.3):
        for seed in range(10):
            sigma = np.random.default_rng(seed).uniform(0, 0.1)
            noisy = apply(RicianNoise(0.1), flat(level, 200)[0], seed)
            assert (noisy**2).mean() == pytest.approx(level**2 + 2 * sigma**2, rel=0.03)
            if level == 0:
                assert noisy.mean() == pytest.approx(sigma * np.sqrt(np.pi / 2), rel=0.03)


def test_blur_keeps_the_mean_and_lowers_contrast():
    board = (torch.arange(64)[:, None] + torch.arange(64)).remainder(2).float()[None]
    spreads = [apply(Blur(1.5), board, i).std().item() for i in range(30)]
    assert all(abs(apply(Blur(1.5), board, i).mean() - 0.5) < 1e-3 for i in range(5))
    assert min(spreads) < 0.01
    assert max(spreads) > 0.4


def test_low_resolution_loses_detail_and_keeps_flat_areas():
    torch.testing.assert_close(apply(LowResolution(4), flat(0.4)[0]), flat(0.4)[0])
    board = (torch.arange(64)[:, None] + torch.arange(64)).remainder(2).float()[None]
    assert min(apply(LowResolution(4), board, i).std() for i in range(20)) < 0.05


def test_ghosts_are_shifted_copies():
    image = torch.zeros(1, 60, 60)
    image[0, 30, 30] = 1
    for seed in range(20):
        ghost = apply(Ghosting(0.4, 3), image, seed)
        assert ghost.sum() == pytest.approx(1, abs=1e-5)
        assert 0.6 <= ghost[0, 30, 30] <= 1
        lines = ghost[0, 30].count_nonzero(), ghost[0, :, 30].count_nonzero()
        assert sorted(lines)[0] == 1
        assert 2 <= sorted(lines)[1] <= 4


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: Gamma((0.0, 1.0)), "exponent is"),
        (lambda: Gamma((1.0, 0.5)), "exponent is"),
        (lambda: Invert(-0.1), "probability is -0.1"),
        (lambda: HistogramShift(0), "points is 0"),
        (lambda: HistogramShift(3, -1.0), "strength is -1"),
        (lambda: BiasField(-1.0), "strength is -1"),
        (lambda: BiasField(0.1, 0.0), "sigma is 0"),
        (lambda: GaussianNoise(2.0), "deviation is 2"),
        (lambda: RicianNoise(float("nan")), "deviation is nan"),
        (lambda: Blur(-1.0), "sigma is -1"),
        (lambda: LowResolution(0.5), "factor is 0.5"),
        (lambda: Ghosting(1.5), "strength is 1.5"),
        (lambda: Ghosting(0.1, 0), "copies is 0"),
    ],
)
def test_settings_that_make_no_sense(make, word):
    with pytest.raises(EpisodeError, match=word):
        make()
