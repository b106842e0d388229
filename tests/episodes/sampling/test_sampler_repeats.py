"""episode(i) depends on the catalog, the settings, the seed and i, and on nothing else."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from episodes.augmentation.compose import Augment
from episodes.catalog.class_areas import compute_class_areas
from episodes.catalog.loader import Loader
from episodes.errors import EpisodeError
from episodes.readers import read_catalog
from episodes.sampling.plans import reuse_generator
from episodes.sampling.sampler import EpisodeSampler, EpisodeSettings, episode_generator, hash_plans
from tests.episodes.sampling.test_sampler import ONE_EACH, toy, wide

TENSORS = ("support_images", "support_masks", "query_images", "query_labels")


def same(one, other):
    return one.plan == other.plan and all(
        torch.equal(getattr(one, name), getattr(other, name)) for name in TENSORS
    )


@pytest.fixture
def make_sampler(index_set):
    def make(seed=3, cache_bytes=2**30):
        catalog = compute_class_areas(read_catalog(index_set, subject_pattern=r"p\d+"))
        wanted = EpisodeSettings(way=2, shot=2, query=2, min_area=20)
        loader = Loader(48, cache_bytes)
        return EpisodeSampler(catalog, wanted, loader=loader, seed=seed, transform=Augment())

    return make


def test_any_order_any_number_of_times_after_any_restart(make_sampler):
    sampler = make_sampler()
    forward = {i: sampler.episode(i) for i in range(10)}
    again = make_sampler(cache_bytes=1)  # decodes every file anew
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002 - the global state that must not matter
    for i in np.random.default_rng(0).permutation(10).tolist():
        assert same(again.episode(i), forward[i])
        assert same(sampler[i], forward[i])
        assert same(sampler.load(sampler.plan(i)), forward[i])
    assert sampler.plans(10) == [forward[i].plan for i in range(10)]


def test_numbers_and_seeds_make_a_difference(make_sampler):
    sampler, other = make_sampler(), make_sampler(seed=4)
    episodes = [sampler.episode(i) for i in range(8)]
    assert not any(same(a, b) for a, b in itertools.combinations(episodes, 2))
    assert not any(same(episodes[i], other.episode(i)) for i in range(8))


def test_no_global_random_state_is_touched(make_sampler):
    torch.manual_seed(1)
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    make_sampler().episode(2)
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002


@given(st.integers(1, 7), st.integers(0, 40))
def test_ranks_share_out_the_numbers(world, start):
    sampler = EpisodeSampler(toy(ONE_EACH, "ab"))
    count = 30
    parts = [
        list(itertools.takewhile(lambda i: i < start + count, sampler.indices(rank, world, start)))
        for rank in range(world)
    ]
    assert sorted(itertools.chain(*parts)) == list(range(start, start + count))
    for rank, part in enumerate(parts):
        assert all(index % world == rank for index in part)
        assert part == sorted(part)


def test_one_process_takes_all_numbers():
    numbers = EpisodeSampler(toy(ONE_EACH, "ab")).indices()
    assert list(itertools.islice(numbers, 3)) == [0, 1, 2]


@pytest.mark.parametrize(("rank", "world"), [(-1, 2), (2, 2), (0, 0)])
def test_ranks_that_are_none(rank, world):
    sampler = EpisodeSampler(toy(ONE_EACH, "ab"))
    with pytest.raises(EpisodeError, match=f"rank {rank} of {world}; expected 0 <= rank < world"):
        next(sampler.indices(rank, world))


def test_golden_plans():
    """A change of this hash changes every published episode list: never edit it lightly."""
    wanted = EpisodeSettings(way=2, shot=2, query=3, min_area=50)
    plans = EpisodeSampler(wide(), wanted, seed=42).plans(50)
    assert hash_plans(plans) == "a3bbb938306acf9f3c3d0740ffbae731fdee8668a0dff95396f76c185d452701"
    assert hash_plans([]) == "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (
            {"way": 3, "shot": 3, "query": 4, "area_quantiles": 3},
            "902adb1dac5f4b65fa501d467d14aea79516f0a5047d3acfe45819cfcb506621",
        ),
        (
            {"way": 2, "shot": 4, "query": 2, "disjoint_subjects": False},
            "3907c74608372a5626f049fb840605abc8a65a7c5177ca6f9efabc7ff094204a",
        ),
        (
            {"way": (1, 3), "shot": (1, 3), "class_weights": "frequency"},
            "2b4a9a25299b3682c8992790c9144b41370d732b61a7db0cd9d0d34dd9e801f0",
        ),
    ],
)
def test_golden_plans_of_other_modes(wanted, expected):
    plans = EpisodeSampler(wide(), EpisodeSettings(min_area=50, **wanted), seed=42).plans(50)
    assert hash_plans(plans) == expected


def test_a_borrowed_generator_draws_the_same():
    reuse_generator(7, 8, 9).integers(10)  # leaves half a word behind
    for numbers in ((0, 0, 0), (5, 2**64 - 1, 3), (2**64 - 1, 2**63, 1)):
        once, again = episode_generator(*numbers), reuse_generator(*numbers)
        assert [int(again.integers(1000)) for _ in range(9)] == once.integers(1000, size=9).tolist()


def test_hash_of_plans_feels_every_change():
    plans = EpisodeSampler(wide(), EpisodeSettings(way=2, query=2)).plans(3)
    first, *rest = plans
    changes = [
        {"index": 9},
        {"classes": first.classes[::-1]},
        {"support": first.support[::-1]},
        {"query": first.query[::-1]},
        {"query_subjects": ("x", "y")},
    ]
    lists = [plans, rest, plans[::-1], *([replace(first, **c), *rest] for c in changes)]
    assert len({hash_plans(part) for part in lists}) == len(lists)
    assert hash_plans(plans) == hash_plans(list(plans))


@pytest.mark.parametrize("number", [-1, 2**64, 2**70])
def test_seeds_and_numbers_out_of_range(number):
    catalog = toy(ONE_EACH, "ab")
    with pytest.raises(EpisodeError, match=rf"seed is {number}; expected a whole number from 0"):
        EpisodeSampler(catalog, seed=number)
    with pytest.raises(EpisodeError, match=rf"episode number is {number}; expected a whole number"):
        EpisodeSampler(catalog).plan(number)


def test_large_seeds_are_told_apart():
    seeds = [0, 1, 2**63 - 1, 2**63, 2**63 + 1, 2**64 - 2, 2**64 - 1]
    drawn = {
        episode_generator(s, i, t).integers(2**63) for s in seeds for i in seeds for t in (0, 1)
    }
    assert len(drawn) == 2 * len(seeds) ** 2


def test_a_transform_draws_from_a_stream_of_its_own(class_masks_set):
    """Another stream would change every augmented run with the same seed."""
    drawn = []

    def note(image, labels, generator):
        drawn.append(generator.random())
        return image, labels

    catalog = compute_class_areas(read_catalog(class_masks_set))
    EpisodeSampler(catalog, loader=Loader(32), seed=5, transform=note).episode(3)
    expected = episode_generator(5, 3, 1)
    assert drawn == [expected.random() for _ in drawn]
    assert len(drawn) == 2  # a support image and a query
