import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from episodes.augmentation.compose import Augment, _factor
from episodes.sampling.sampler import episode_generator
from episodes.sampling.superpixel_sampler import STRONG

SHAPES_ONLY = {"gamma": 1.0, "noise": 0.0}


def square(channel=1):
    """A bright rectangle off the middle, and its label 3."""
    labels = torch.zeros(96, 96, dtype=torch.uint8)
    labels[30:62, 22:50] = 3
    return (labels == 3).float().expand(channel, 96, 96).clone(), labels


@given(st.integers(0, 2**32), st.sampled_from([0.0, 1.0]), st.sampled_from([1, 3]))
@settings(max_examples=40, deadline=None)
def test_image_and_labels_move_together(seed, flip, channel):
    image, labels = square(channel)
    change = Augment(rotation=30.0, translation=0.15, shear=10.0, flip=flip, **SHAPES_ONLY)
    moved, mask = change(image, labels, np.random.default_rng(seed))
    bright, known = moved.mean(0) > 0.5, mask != 255
    assert moved.shape == image.shape
    different = (bright != (mask == 3)) & known
    assert different.sum() <= 8  # of 896 pixels: ties at half a pixel
    assert (mask == 3).sum() > 300


def test_each_part_of_the_geometry_moves_the_square():
    image, labels = square()
    still = {"rotation": 0.0, "translation": 0.0, "scale": 1.0, "shear": 0.0, **SHAPES_ONLY}
    same = Augment(**still)(image, labels, np.random.default_rng(0))
    assert torch.equal(same[0], image)
    assert torch.equal(same[1], labels)
    for part, value in {"rotation": 40.0, "translation": 0.2, "scale": 1.6, "shear": 30.0}.items():
        mask = Augment(**{**still, part: value})(image, labels, np.random.default_rng(0))[1]
        assert ((mask == 3) != (labels == 3)).sum() > 50
    flipped = Augment(**still, flip=1.0)(image, labels, np.random.default_rng(0))
    assert torch.allclose(flipped[0], image.flip(-1), atol=1e-5)
    assert torch.equal(flipped[1], labels.flip(-1))


def test_translation_is_a_share_of_the_side():
    image, labels = square()
    change = Augment(rotation=0.0, translation=0.1, scale=1.0, shear=0.0, **SHAPES_ONLY)
    shifts = []
    for seed in range(200):
        mask = change(image, labels, np.random.default_rng(seed))[1]
        rows, columns = torch.nonzero(mask == 3, as_tuple=True)
        shifts += [rows.min().item() - 30, columns.min().item() - 22]
    assert -10 <= min(shifts) <= -8
    assert 8 <= max(shifts) <= 10


@given(st.integers(0, 2**32), st.sets(st.sampled_from([0, 1, 2, 77, 254, 255]), min_size=1))
@settings(max_examples=40, deadline=None)
def test_labels_keep_to_their_values_and_255(seed, values):
    generator = np.random.default_rng(seed)
    labels = torch.from_numpy(generator.choice(np.array(sorted(values), np.uint8), (48, 48)))
    image = torch.from_numpy(generator.random((3, 48, 48), dtype=np.float32))
    moved, mask = STRONG(image, labels, generator)
    assert mask.dtype == torch.uint8
    assert set(mask.unique().tolist()) <= values | {255}
    assert moved.dtype == torch.float32
    assert 0 <= moved.min() <= moved.max() <= 1


def test_what_comes_from_outside_is_black_and_unknown():
    image, labels = torch.ones(1, 64, 64), torch.ones(64, 64, dtype=torch.uint8)
    change = Augment(rotation=0.0, translation=0.3, scale=1.0, shear=0.0, **SHAPES_ONLY)
    moved, mask = change(image, labels, np.random.default_rng(3))
    outside = mask == 255
    assert 100 < outside.sum() < 64 * 64 / 2
    assert (moved[0][outside] < 0.5).all()
    assert (moved[0][~outside] > 0.49).all()


def test_a_pure_function_of_the_generator():
    image, labels = square()
    torch.manual_seed(0)
    one = STRONG(image, labels, episode_generator(1, 2, 3))
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002 - the global state that must not matter
    two = STRONG(image, labels, episode_generator(1, 2, 3))
    other = STRONG(image, labels, episode_generator(1, 3, 3))
    assert torch.equal(one[0], two[0])
    assert torch.equal(one[1], two[1])
    assert not torch.equal(one[0], other[0])
    assert torch.equal(image, square()[0])  # the input is left alone
    assert torch.equal(labels, square()[1])


def test_flip_is_a_probability():
    image, labels = square()
    change = Augment(rotation=0.0, translation=0.0, scale=1.0, shear=0.0, flip=0.25, **SHAPES_ONLY)
    flipped = sum(
        bool((change(image, labels, np.random.default_rng(i))[1] != labels).any())
        for i in range(200)
    )
    assert 25 < flipped < 75  # 50 expected, standard deviation 6


def test_gamma_and_noise_change_the_image_alone():
    image, labels = torch.full((1, 64, 64), 0.5), torch.zeros(64, 64, dtype=torch.uint8)
    still = {"rotation": 0.0, "translation": 0.0, "scale": 1.0, "shear": 0.0}
    levels = [
        Augment(**still, gamma=2.0, noise=0.0)(image, labels, np.random.default_rng(i))[0]
        .mean()
        .item()
        for i in range(100)
    ]
    assert 0.25 <= min(levels) < 0.27  # 0.5 ** 2
    assert 0.68 < max(levels) <= 0.708  # 0.5 ** 0.5
    change = Augment(**still, gamma=1.0, noise=0.1)
    noisy = [change(image, labels, np.random.default_rng(i)) for i in range(50)]
    spreads = [result.std().item() for result, _ in noisy]
    assert 0 < min(spreads) < 0.01
    assert 0.09 < max(spreads) < 0.103
    assert all(abs(result.mean().item() - 0.5) < 0.01 for result, _ in noisy)
    assert all(torch.equal(mask, labels) for _, mask in noisy)


def test_factors_are_even_in_their_logarithm():
    drawn = np.array([_factor(4.0, np.random.default_rng(i)) for i in range(400)])
    assert 0.25 <= drawn.min() < 0.27
    assert 3.7 < drawn.max() <= 4
    assert 160 < (drawn < 1).sum() < 240
    assert 160 < (abs(np.log2(drawn)) < 1).sum() < 240
