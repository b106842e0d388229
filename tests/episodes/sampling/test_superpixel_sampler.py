import itertools
from collections import Counter

import numpy as np
import pytest
import torch

from episodes.augmentation.compose import Augment
from episodes.catalog.catalog import Catalog
from episodes.catalog.loader import Loader
from episodes.errors import EpisodeError
from episodes.readers import read_catalog
from episodes.sampling.episode import Episode, Plan
from episodes.sampling.sampler import episode_generator
from episodes.sampling.superpixel_sampler import (
    STRONG,
    Mixture,
    SuperpixelSampler,
    SuperpixelSettings,
    draw_distinct,
    superpixels,
)

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
    return read_catalog(tmp_path)


def test_the_squares_are_regions_and_the_dark_is_none():
    regions = superpixels(quarters())
    assert regions.dtype == np.uint16
    assert regions.shape == (64, 64)
    assert (regions[:2] == 0).all()  # dark surroundings
    centres = regions[16::32, 16::32].ravel().tolist()
    assert sorted(centres) == sorted(set(centres))
    assert 0 not in centres
    assert set(np.unique(regions)) == set(range(regions.max() + 1))


def test_dark_and_small_regions():
    image = quarters()
    assert superpixels(image, background_intensity=0.6)[16::32, 16::32].ravel().tolist()[:2] == [
        0,
        0,
    ]
    assert superpixels(torch.zeros(1, 64, 64)).max() == 0
    areas = np.bincount(superpixels(image, min_area_fraction=0.05).ravel())[1:]
    assert areas.min() >= 0.05 * 64 * 64


def test_more_regions_than_a_byte_holds():
    generator = np.random.default_rng(0)
    tiles = generator.permutation(400).reshape(20, 20) / 500 + 0.2
    image = torch.from_numpy(np.kron(tiles, np.ones((12, 12))).astype(np.float32))[None]
    regions = superpixels(image, min_area_fraction=1e-4)
    assert regions.max() > 400
    assert np.unique(regions).tolist() == list(range(1, regions.max() + 1))


def test_every_superpixel_can_be_drawn(toy):
    loader = Loader(64)
    sampler = SuperpixelSampler(toy, loader=loader, seed=1, transform=STILL)
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
    sampler = SuperpixelSampler(toy, loader=Loader(64), seed=2)
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


def tiles(rows=20):
    """A cutter of 400 squares: more than a byte can number."""
    squares = np.arange(1, rows**2 + 1, dtype=np.uint16).reshape(rows, rows)
    return lambda image: np.kron(squares, np.ones((5, 5), np.uint16))


def test_regions_above_254_are_drawn_first_and_last_included(toy):
    full = toy.filter(lambda sample: sample.key == "images/0.png")
    sampler = SuperpixelSampler(full, loader=Loader(100), transform=STILL, segment_regions=tiles())
    drawn = set()
    for index in range(6000):  # a region is missed with probability 400 exp(-15)
        generator = episode_generator(0, index, 2)
        generator.integers(len(full))
        drawn.add(draw_distinct(400, 1, generator)[0])
    assert drawn == set(range(1, 401))
    for index in range(40):
        mask = sampler.episode(index).support_masks[0, 0].numpy()
        assert (mask == 1).sum() == 25
        assert len(np.unique(tiles()(None)[mask == 1])) == 1


def test_several_ways_shots_and_queries(toy):
    wanted = SuperpixelSettings(way=3, shot=2, query=2, transformed="both")
    sampler = SuperpixelSampler(toy, wanted, loader=Loader(64), seed=3)
    image = sampler.loader.image(toy.samples[0])
    regions = superpixels(image)
    for index in range(10):
        episode = sampler.episode(index).check()
        assert episode.support_images.shape == (3, 2, 1, 64, 64)
        assert episode.support_masks.shape == (3, 2, 64, 64)
        assert episode.query_labels.shape == (2, 64, 64)
        views = [*episode.support_images.flatten(0, 1), *episode.query_images, image]
        for one, other in itertools.combinations(views, 2):
            assert not torch.equal(one, other)
    still = SuperpixelSampler(toy, wanted, loader=Loader(64), seed=3, transform=STILL)
    for index in range(10):
        episode = still.episode(index)
        labels = episode.query_labels[0].numpy()
        numbers = [np.unique(regions[labels == way]).tolist() for way in (1, 2, 3)]
        assert all(len(each) == 1 for each in numbers)
        assert len({each[0] for each in numbers}) == 3
        for way in (1, 2, 3):
            mask = episode.support_masks[way - 1, 1].numpy()
            assert ((mask == 1) == (labels == way)).all()
            assert ((mask == 255) == ((labels != way) & (labels > 0))).all()


def test_one_side_stays_as_it_is_and_further_shots_never_do(toy):
    sampler = SuperpixelSampler(toy, SuperpixelSettings(shot=2, query=2), loader=Loader(64), seed=3)
    image = sampler.loader.image(toy.samples[0])
    for index in range(6):
        episode = sampler.episode(index)
        shots, queries = episode.support_images[0], episode.query_images
        plain = [torch.equal(each, image) for each in (*shots, *queries)]
        assert plain == ([False, False, True, False] if index % 2 == 0 else [True] + [False] * 3)


def test_the_numbers_of_published_results_stay(toy):
    # Training results depend on every draw; this is what they were made with.
    episode = SuperpixelSampler(toy, loader=Loader(64), seed=7).episode(4)
    generator = episode_generator(7, 4, 2)
    regions = superpixels(quarters())
    while toy.samples[int(generator.integers(2))].key != "images/0.png":
        pass
    chosen = generator.integers(1, regions.max() + 1)
    image, labels = Loader(64).image(toy.samples[0]), torch.from_numpy(regions == chosen).byte()
    expected = STRONG(image, labels, episode_generator(7, 4, 3))
    assert torch.equal(episode.support_images[0, 0], expected[0])
    assert torch.equal(episode.support_masks[0, 0], expected[1])
    assert torch.equal(episode.query_labels[0], labels)


@pytest.mark.parametrize("settings", [{"way": 0}, {"shot": 0}, {"query": -1}])
def test_settings_that_make_no_sense(settings):
    with pytest.raises(EpisodeError, match="expected"):
        SuperpixelSettings(**settings)


def test_a_pure_function_of_seed_and_number(toy):
    first, again = (SuperpixelSampler(toy, loader=Loader(64), seed=7) for _ in range(2))
    other = SuperpixelSampler(toy, loader=Loader(64), seed=8)
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
        SuperpixelSampler(Catalog((), (), "none"))
    dark = toy.filter(lambda sample: sample.key == "images/1.png")
    with pytest.raises(EpisodeError, match=r"a hundred images of .* no superpixel; are the images"):
        SuperpixelSampler(dark, loader=Loader(64)).episode(0)


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
    with pytest.raises(
        EpisodeError, match=r"2 sources with weights .*; expected a positive weight"
    ):
        Mixture([Constant("a"), Constant("b")], shares)
    with pytest.raises(EpisodeError, match="0 sources"):
        Mixture([], [])
