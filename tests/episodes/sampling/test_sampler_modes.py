"""Ranges of ways and shots, weights of classes, areas, and episodes inside one volume."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from episodes.catalog.catalog import Catalog, Sample
from episodes.errors import EpisodeError
from episodes.io.pixels import PixelRef
from episodes.sampling.draws import Draws
from episodes.sampling.feasibility import separable
from episodes.sampling.pools import Remainder, make_pool, make_pools, make_table, skip
from episodes.sampling.sampler import EpisodeSampler, EpisodeSettings
from tests.episodes.sampling.test_sampler import toy, wide


def volumes(*depths, areas=None):
    """A catalog of volumes v0, v1, … with slices that show class a (and b in the lower half)."""
    samples = [
        Sample(
            f"v{v}.nii#{plane}",
            PixelRef(Path(f"/data/v{v}.nii"), plane),
            (),
            f"s{v}",
            (40, 40),
            areas or {"a": 100} | ({"b": 100} if plane < depth / 2 else {}),
        )
        for v, depth in enumerate(depths)
        for plane in range(depth)
    ]
    return Catalog(tuple(samples), tuple(areas or "ab"), "volumes")


def place(key):
    name, plane = key.split("#")
    return name, int(plane)


def test_ranges_are_drawn_evenly_and_shared_by_a_group():
    wanted = EpisodeSettings(way=(1, 3), shot=(1, 2), query=2, group=4)
    sampler = EpisodeSampler(wide(), wanted, seed=8)
    shapes = []
    for index in range(240):
        plan = sampler.plan(index)
        shape = len(plan.classes), len(plan.support[0])
        assert shape == sampler.shape(index) == sampler.shape(index - index % 4)
        assert {len(row) for row in plan.support} == {shape[1]}
        shapes.append(shape)
    counts = Counter(shapes[::4])
    assert set(counts) == {(w, s) for w in (1, 2, 3) for s in (1, 2)}
    assert max(counts.values()) < 22  # 10 expected of 60


def test_a_range_of_one_number_draws_what_the_number_draws():
    fixed = EpisodeSampler(wide(), EpisodeSettings(way=2, shot=2), seed=4).plans(10)
    assert (
        EpisodeSampler(wide(), EpisodeSettings(way=(2, 2), shot=(2, 2)), seed=4).plans(10) == fixed
    )


def test_frequent_classes_come_more_often_when_asked():
    rows = [(f"s{i % 9}", {"a": 100}) for i in range(90)]
    rows += [(f"s{i % 9}", {"b": 100}) for i in range(10)]
    wanted = EpisodeSettings(class_weights="frequency")
    counts = Counter(p.classes[0] for p in EpisodeSampler(toy(rows, "ab"), wanted).plans(600))
    assert 510 < counts["a"] < 570  # 540 expected, standard deviation 7
    both = EpisodeSettings(way=2, class_weights="frequency")
    first = Counter(p.classes[0] for p in EpisodeSampler(toy(rows, "ab"), both).plans(300))
    assert 245 < first["a"] < 295  # 270 expected; the second way is what is left


def test_areas_are_kept_between_the_limits_and_drawn_evenly():
    # nine subjects have small areas, one alone has large ones
    rows = [(f"s{i % 9}", {"a": 100 + i}) for i in range(60)]
    rows += [("large", {"a": 1000 + i}) for i in range(30)] + [("s1", {"a": 5000})] * 5
    catalog = toy(rows, "a")

    def large(**wanted):
        chosen = EpisodeSettings(disjoint_subjects=False, max_area=2000, **wanted)
        area = {s.key: s.areas["a"] for s in catalog.samples}
        drawn = [area[p.query[0]] for p in EpisodeSampler(catalog, chosen).plans(300)]
        assert max(drawn) <= 2000
        return sum(value >= 1000 for value in drawn)

    assert 15 < large() < 50  # one subject of ten
    assert 75 < large(area_quantiles=3) < 125  # one third of the areas


def test_two_images_are_two_quantiles():
    catalog = toy([("p", {"a": 100}), ("q", {"a": 900})], "a")
    pools = make_pools(
        catalog, make_table(catalog, by_volume=False), EpisodeSettings(area_quantiles=2)
    )
    assert [pool.ranks.tolist() for pool in pools["a"]] == [[0], [1]]


def test_quantiles_that_the_rules_have_emptied_are_passed_over():
    rows = [("p", {"a": 100})] * 2 + [("q", {"a": 900})] * 2
    wanted = EpisodeSettings(area_quantiles=2, shot=2)
    for plan in EpisodeSampler(toy(rows, "a"), wanted).plans(20):
        subjects = {key.split("/")[0] for key in plan.support[0]}
        assert subjects == {"p", "q"} - set(plan.query_subjects)


@given(st.integers(1, 2), st.integers(1, 3), st.integers(1, 4), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_one_volume_and_neighbours(way, shot, query, seed):
    catalog = volumes(30, 24, 40)
    base = {"way": way, "shot": shot, "query": query, "disjoint_subjects": False}
    for gap in (None, 4):
        wanted = EpisodeSettings(**base, same_volume=True, max_gap=gap)
        for plan in EpisodeSampler(catalog, wanted, seed=seed).plans(5):
            keys = [key for row in (*plan.support, plan.query) for key in row]
            assert len({place(key)[0] for key in keys}) == 1
            assert len(set(keys)) == len(keys)
            assert [len(row) for row in plan.support] == [shot] * way
            for number, key in enumerate(plan.query):
                nearest = min(
                    abs(place(key)[1] - place(other)[1]) for other in plan.support[number % way]
                )
                assert gap is None or nearest <= gap
    found = {place(p.query[0])[0] for p in EpisodeSampler(catalog, wanted, seed=seed).plans(30)}
    assert len(found) == 3


def test_volumes_too_short_are_not_drawn():
    wanted = EpisodeSettings(shot=3, query=2, disjoint_subjects=False, same_volume=True)
    sampler = EpisodeSampler(volumes(4, 5, 2, areas={"a": 99}), wanted)
    assert {place(p.query[0])[0] for p in sampler.plans(20)} == {"v1.nii"}


@pytest.mark.parametrize(
    ("catalog", "wanted", "message"),
    [
        (
            volumes(2, 3),
            {"shot": 3},
            r"'a' has at most 3 slices in one volume; .* needs 4\. Choose",
        ),
        (
            volumes(9, areas={"a": 9}),
            {"min_area": 1, "max_area": 5},
            r"class 'a' has 0 images of at least 1 and at most 5 pixels",
        ),
    ],
)
def test_what_one_volume_cannot_give(catalog, wanted, message):
    with pytest.raises(EpisodeError, match=message):
        EpisodeSampler(
            catalog, EpisodeSettings(**wanted, disjoint_subjects=False, same_volume=True)
        )


def test_slices_that_are_no_neighbours():
    sparse = volumes(9, 9).filter(lambda s: s.image.plane % 4 == 0).of_classes(["a"])
    wanted = {"disjoint_subjects": False, "same_volume": True}
    EpisodeSampler(sparse, EpisodeSettings(**wanted, max_gap=4)).plan(0)
    with pytest.raises(EpisodeError, match=r"'a' has no two slices of one volume at most 3 apart"):
        EpisodeSampler(sparse, EpisodeSettings(**wanted, max_gap=3))


def test_the_largest_episode_has_to_be_possible():
    with pytest.raises(EpisodeError, match=r"4 ways from 2 classes"):
        EpisodeSampler(wide(classes="ab"), EpisodeSettings(way=(1, 4)))
    with pytest.raises(EpisodeError, match=r"class 'a' has 3 images .* 1 shots and 4 queries need"):
        EpisodeSampler(toy([("p", {"a": 100})] * 3, "a"), EpisodeSettings(way=(1, 1), query=4))


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"way": (3, 2)}, "way is 3 to 2; expected the smaller number first"),
        ({"shot": (0, 2)}, r"shot is \(0, 2\); expected at least 1"),
        ({"group": 0}, "group is 0"),
        ({"area_quantiles": 0}, "area_quantiles is 0"),
        ({"max_area": 63}, "max_area is 63 and min_area 64"),
        ({"same_volume": True}, "set disjoint_subjects=False"),
        ({"max_gap": 2}, "max_gap is 2 without same_volume"),
        ({"same_volume": True, "disjoint_subjects": False, "max_gap": 0}, "max_gap is 0"),
        (
            {"same_volume": True, "disjoint_subjects": False, "area_quantiles": 2},
            "area_quantiles is 2 with same_volume",
        ),
    ],
)
def test_settings_that_contradict_each_other(wanted, message):
    with pytest.raises(EpisodeError, match=message):
        EpisodeSettings(**wanted)


@given(st.sets(st.integers(0, 30)), st.integers(0, 40))
def test_skip_against_a_list(left_out, number):
    assert skip(number, sorted(left_out)) == [n for n in range(80) if n not in left_out][number]


@given(st.lists(st.integers(0, 5), max_size=6), st.integers(1, 6), st.integers(1, 6))
def test_separable_against_all_deals(sizes, shot, queries):
    deals = [
        sum(size for bit, size in enumerate(sizes) if deal >> bit & 1)
        for deal in range(2 ** len(sizes))
    ]
    possible = any(side >= queries and sum(sizes) - side >= shot for side in deals)
    assert separable(sizes, shot, queries) == possible


@given(st.integers(0, 2**32), st.sets(st.integers(0, 19), max_size=19), st.sets(st.integers(0, 6)))
@settings(max_examples=60)
def test_a_draw_is_what_lists_would_give(seed, used, banned):
    """The slow reference: build the lists of what is left, draw a group, then an image."""
    group = np.sort(np.random.default_rng(1).integers(0, 6, 20))
    pool = make_pool(np.arange(20), group)
    left = {
        g: [r for r in range(20) if group[r] == g and r not in used]
        for g in sorted(set(group.tolist()) - banned)
    }
    left = {g: ranks for g, ranks in left.items() if ranks}
    expected = None
    if left:
        generator = np.random.default_rng(seed)
        ranks = left[list(left)[int(generator.integers(len(left)))]]
        expected = ranks[int(generator.integers(len(ranks)))]
    once, now = (Remainder(pool, group.tolist()) for _ in range(2))
    for rank in used:
        once.take(rank)
        now.take(rank)
    now.exclude(banned)
    once.start_row()
    for each in banned:
        once.exclude_in_row(each)
    assert once.draw(Draws(np.random.default_rng(seed)), new_group=True) == expected
    assert now.draw(Draws(np.random.default_rng(seed))) == expected
    if expected is not None:  # what is drawn is taken
        drawn = {expected}
        while (rank := now.draw(Draws(np.random.default_rng(seed)))) is not None:
            assert rank not in drawn
            drawn.add(rank)
        assert drawn == {r for ranks in left.values() for r in ranks}


@given(st.integers(0, 2**32), st.lists(st.integers(1, 2**32 - 1), max_size=90), st.integers(0, 3))
@settings(max_examples=60)
def test_numbers_are_those_of_numpy_and_the_generator_goes_on(seed, ends, before):
    mine, numpy = (np.random.Generator(np.random.Philox(key=seed)) for _ in range(2))
    for generator in (mine, numpy):
        for _ in range(before):  # an odd number leaves half a word
            generator.integers(10)
    draws = Draws(mine)
    assert [draws.below(end) for end in ends] == [int(numpy.integers(end)) for end in ends]
    draws.close()
    later = [[int(each.integers(1000)) for _ in range(5)] for each in (mine, numpy)]
    assert later[0] == later[1]
