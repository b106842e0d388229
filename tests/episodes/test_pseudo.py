from collections import Counter

import numpy as np
import pytest
import torch

from episodes.augment import Augment
from episodes.catalog import Catalog
from episodes.episode import Episode, Plan
from episodes.errors import EpisodeError
from episodes.load import Loader
from episodes.pseudo import Mixture, PseudoSampler, superpixels
from episodes.readers import read

STILL = Augment(rotation=0.0, translation=0.0, scale=1.0, shear=0.0, gamma=1.0, noise=0.0)
LEVELS = (0.3, 0.5, 0.7, 0.9)


def quarters(size=64):
    """Four bright squares on black."""
    image = torch.zeros(1, size, size)
    half = size // 2
    for number, level in enumerate(LEVELS):
        top, left = 4 + half * (number // 2), 4 + half * (number % 2)
        image[0, top : top + half - 8, left : left + half - 8] = level
    return image


@pytest.fixture
def toy(tmp_path, make_png):
    """One picture of four squares and, beside it, an empty one; neither has a mask to read."""
    pixels = (quarters()[0] * 255).byte().numpy()
    make_png(tmp_path / "images" / "0.png", pixels)
    make_png(tmp_path / "images" / "1.png", np.zeros_like(pixels))
    (tmp_path / "masks").mkdir()
    return read(tmp_path)


def test_the_squares_are_regions_and_the_dark_is_none():
    regions = superpixels(quarters())
    assert regions.dtype == np.uint8
    assert regions.shape == (64, 64)
    assert (regions[:2] == 0).all()  # dark surroundings
    centres = regions[16::32, 16::32].ravel().tolist()
    assert sorted(centres) == sorted(set(centres))
    assert 0 not in centres
    assert set(np.unique(regions)) == set(range(regions.max() + 1))


def test_dark_and_small_regions():
    image = quarters()
    assert superpixels(image, dark=0.6)[16::32, 16::32].ravel().tolist()[:2] == [0, 0]
    assert superpixels(torch.zeros(1, 64, 64)).max() == 0
    areas = np.bincount(superpixels(image, min_share=0.05).ravel())[1:]
    assert areas.min() >= 0.05 * 64 * 64


def test_more_regions_than_bytes_are_surroundings():
    generator = np.random.default_rng(0)
    tiles = generator.permutation(400).reshape(20, 20) / 500 + 0.2
    image = torch.from_numpy(np.kron(tiles, np.ones((12, 12))).astype(np.float32))[None]
    regions = superpixels(image, min_share=1e-4)
    assert np.unique(regions).tolist() == list(range(255))


def test_every_superpixel_can_be_drawn(toy):
    loader = Loader(64)
    sampler = PseudoSampler(toy, loader=loader, seed=1, transform=STILL)
    regions = superpixels(loader.image(toy.samples[0]))
    count = int(regions.max())
    assert count >= 4
    drawn = Counter()
    for index in range(60 * count):
        mask = sampler.episode(index).support_masks[0, 0].numpy()
        (number,) = np.unique(regions[mask == 1]).tolist()
        assert (mask == (regions == number)).all()
        drawn[number] += 1
    assert set(drawn) == set(range(1, count + 1))
    assert min(drawn.values()) > 30  # 60 expected, standard deviation below 8


def test_episodes_are_one_slice_twice(toy):
    sampler = PseudoSampler(toy, loader=Loader(64), seed=2)
    image = Loader(64).image(toy.samples[0])
    for index in range(8):
        episode = sampler.episode(index).check()
        assert episode.support_images.shape == (1, 1, 1, 64, 64)
        assert episode.plan.query == ("images/0.png",)  # the empty picture has no superpixel
        assert episode.plan.support == (("images/0.png",),)
        plain, changed = episode.support_images[0, 0], episode.query_images[0]
        if index % 2 == 0:
            plain, changed = changed, plain
        assert torch.equal(plain, image)
        assert not torch.equal(changed, image)


def test_a_pure_function_of_seed_and_number(toy):
    first, again = (PseudoSampler(toy, loader=Loader(64), seed=7) for _ in range(2))
    other = PseudoSampler(toy, loader=Loader(64), seed=8)
    episodes = [first.episode(i) for i in range(6)]
    torch.manual_seed(5)
    for i in (5, 0, 3, 1, 4, 2):
        repeated = again.episode(i)
        for name in ("support_images", "support_masks", "query_images", "query_labels"):
            assert torch.equal(getattr(repeated, name), getattr(episodes[i], name))
        assert repeated.plan == episodes[i].plan
    for i in range(6):
        changed = "support_images" if i % 2 == 0 else "query_images"
        assert not torch.equal(getattr(other.episode(i), changed), getattr(episodes[i], changed))


def test_nothing_to_draw_from(toy):
    with pytest.raises(EpisodeError, match="catalog 'none' is empty; superpixels need images"):
        PseudoSampler(Catalog((), (), "none"))
    dark = toy.filter(lambda sample: sample.key == "images/1.png")
    with pytest.raises(EpisodeError, match=r"a hundred images of .* no superpixel; are the images"):
        PseudoSampler(dark, loader=Loader(64)).episode(0)


class Constant:
    """A source whose episodes say who made them."""

    def __init__(self, name):
        self.name = name

    def episode(self, index):
        image, mask = torch.zeros(1, 1, 1, 4, 4), torch.zeros(1, 1, 4, 4, dtype=torch.uint8)
        plan = Plan(index, (self.name,), (("s",),), ("q",), ("p",))
        return Episode(image, mask, image[0], mask[0], plan)


def test_mixture_keeps_its_shares():
    sources = [Constant("a"), Constant("b"), Constant("c")]
    mixture = Mixture(sources, [1.0, 2.0, 5.0], seed=3)
    drawn = [mixture.episode(i).plan for i in range(800)]
    assert [plan.index for plan in drawn] == list(range(800))
    counts = Counter(plan.classes[0] for plan in drawn)
    expected = {"a": 100, "b": 200, "c": 500}
    assert sum((counts[n] - e) ** 2 / e for n, e in expected.items()) < 13.9  # 0.1 % are above
    again = Mixture(sources, [0.1, 0.2, 0.5], seed=3)
    assert [again.episode(i).plan for i in reversed(range(800))] == drawn[::-1]


@pytest.mark.parametrize("shares", [[], [1.0], [1.0, 0.0], [1.0, -1.0], [1.0, 2.0, 3.0]])
def test_mixtures_that_are_none(shares):
    with pytest.raises(EpisodeError, match=r"2 sources with shares .*; expected a positive share"):
        Mixture([Constant("a"), Constant("b")], shares)
    with pytest.raises(EpisodeError, match="0 sources"):
        Mixture([], [])
