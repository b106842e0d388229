"""What the sampler draws; how it repeats itself is in test_sampler_repeats.py."""

from collections import Counter
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from episodes.augmentation.compose import Augment
from episodes.catalog.catalog import Catalog, Sample
from episodes.catalog.class_areas import compute_class_areas
from episodes.catalog.loader import Loader
from episodes.errors import DataError, EpisodeError
from episodes.io.pixels import PixelRef
from episodes.readers import read_catalog
from episodes.sampling.dataloader import EpisodeBatches
from episodes.sampling.episode import Plan, collate
from episodes.sampling.sampler import EpisodeSampler, EpisodeSettings, binary_mask


def toy(rows, classes):
    """A catalog of (subject, {class: area}) without files."""
    samples = [
        Sample(f"{subject}/{i}", PixelRef(Path(f"{i}.png")), (), subject, (40, 40), areas)
        for i, (subject, areas) in enumerate(rows)
    ]
    return Catalog(tuple(samples), tuple(classes), "toy")


def wide(subjects=6, images=3, classes="abcd"):
    """Every image shows two neighbouring classes, one of them with a small area."""
    rows = [
        (f"s{s}", {classes[(s + i) % len(classes)]: 100, classes[(s + i + 1) % len(classes)]: 60})
        for s in range(subjects)
        for i in range(images * len(classes))
    ]
    return toy(rows, classes)


@given(
    st.integers(1, 4),
    st.integers(1, 3),
    st.integers(1, 6),
    st.sampled_from([50, 64]),
    st.booleans(),
    st.integers(0, 2**64 - 1),
)
@settings(max_examples=60, deadline=None)
def test_every_plan_keeps_the_rules(way, shot, query, min_area, disjoint, seed):
    catalog = wide()
    wanted = EpisodeSettings(way, shot, query, min_area, disjoint)
    samples = {sample.key: sample for sample in catalog.samples}
    for index, plan in enumerate(EpisodeSampler(catalog, wanted, seed=seed).plans(8)):
        assert plan.index == index
        assert len(set(plan.classes)) == len(plan.classes) == way
        assert [len(row) for row in plan.support] == [shot] * way
        assert len(plan.query) == query
        assert plan.query_subjects == tuple(samples[key].subject for key in plan.query)
        keys = [key for row in (*plan.support, plan.query) for key in row]
        assert len(set(keys)) == len(keys)
        for name, row in zip(plan.classes, plan.support, strict=True):
            assert all(samples[key].areas.get(name, 0) >= min_area for key in row)
            pool = {s.subject for s in catalog.samples if s.areas.get(name, 0) >= min_area}
            free = pool - set(plan.query_subjects) if disjoint else pool
            assert len({samples[key].subject for key in row}) == min(shot, len(free))
        for number, key in enumerate(plan.query):
            assert samples[key].areas.get(plan.classes[number % way], 0) >= min_area
        support_subjects = {samples[key].subject for row in plan.support for key in row}
        if disjoint:
            assert not support_subjects & set(plan.query_subjects)


def test_without_disjoint_subjects_they_do_meet():
    sampler = EpisodeSampler(wide(), EpisodeSettings(disjoint_subjects=False))
    met = [p.support[0][0].split("/")[0] in p.query_subjects for p in sampler.plans(200)]
    assert 10 < sum(met) < 60  # 1 in 6 expected


def test_classes_are_drawn_uniformly_whatever_their_number_of_images():
    rows = [("s" + str(i % 20), {"a": 100}) for i in range(400)]
    rows += [(f"s{i}", {name: 100}) for name in "bcd" for i in range(3)]
    sampler = EpisodeSampler(toy(rows, "abcd"))
    counts = Counter(plan.classes[0] for plan in sampler.plans(2000))
    chi_square = sum((counts[name] - 500) ** 2 / 500 for name in "abcd")
    assert chi_square < 16.3  # 0.1 % of fair draws are above, with 3 degrees of freedom
    ways = EpisodeSampler(toy(rows, "abcd"), EpisodeSettings(way=2))
    pairs = Counter(plan.classes for plan in ways.plans(1200))
    assert len(pairs) == 12
    assert sum((n - 100) ** 2 / 100 for n in pairs.values()) < 31.3  # 11 degrees of freedom


def test_subjects_are_drawn_before_images():
    rows = [("many", {"a": 100})] * 90 + [("one", {"a": 100}), ("two", {"a": 100})]
    sampler = EpisodeSampler(toy(rows, "a"))
    counts = Counter(plan.query_subjects[0] for plan in sampler.plans(900))
    assert all(250 < counts[name] < 350 for name in ("many", "one", "two"))


@pytest.fixture
def shapes(index_set):
    return compute_class_areas(read_catalog(index_set, subject_pattern=r"p\d+"))


def test_pixels_of_an_episode(shapes):
    wanted = EpisodeSettings(way=2, shot=2, query=3, min_area=20)
    loader = Loader(64)
    sampler = EpisodeSampler(shapes, wanted, loader=loader, seed=5)
    assert sampler.loader is loader
    samples = {sample.key: sample for sample in shapes.samples}
    for index in range(6):
        episode = sampler.episode(index).check()
        assert episode.class_names == episode.plan.classes
        for way, keys in enumerate(episode.plan.support):
            for shot, key in enumerate(keys):
                labels = loader.labels(samples[key], episode.class_names)
                mask = episode.support_masks[way, shot]
                assert torch.equal(mask == 1, labels == way + 1)
                assert torch.equal(mask == 0, labels == 0)
                other = labels == 2 - way
                assert other.any()
                assert (mask[other] == 255).all()  # neither this class nor its background
                image = episode.support_images[way, shot]
                assert torch.equal(image, loader.image(samples[key]))
        for number, key in enumerate(episode.plan.query):
            expected = loader.labels(samples[key], episode.class_names)
            assert torch.equal(episode.query_labels[number], expected)


def test_classes_outside_the_episode_are_background(shapes):
    sampler = EpisodeSampler(shapes.of_classes(["disc"]), loader=Loader(64))
    episode = sampler.episode(0)
    inside = episode.query_labels[0, 9:-9]  # without the padding of 40 x 56 pixels
    assert inside.unique().tolist() == [0, 1]
    assert (episode.query_labels == 255).sum() == 64 * 64 - 64 * 46


def test_grey_becomes_colour_beside_colour(index_set, make_png):
    colour = torch.arange(40 * 56 * 3).remainder(251).byte().view(40, 56, 3).numpy()
    make_png(index_set / "images" / "p0_a.png", colour)
    catalog = compute_class_areas(read_catalog(index_set, subject_pattern=r"p\d+"))
    sampler = EpisodeSampler(catalog, EpisodeSettings(shot=3), loader=Loader(64))
    episodes = [sampler.episode(i) for i in range(12)]
    assert {e.support_images.shape[2] for e in episodes} == {1, 3}
    for episode in episodes:
        assert episode.check().query_images.shape[1] == episode.support_images.shape[2]


def test_a_batch_is_its_episodes(shapes):
    wanted = EpisodeSettings(way=(1, 2), shot=(1, 2), query=2, min_area=20, group=4)
    for transform in (None, Augment()):
        sampler = EpisodeSampler(shapes, wanted, loader=Loader(48), seed=5, transform=transform)
        batch = EpisodeBatches(sampler)([8, 9, 11])
        single = collate([sampler.episode(index) for index in (8, 9, 11)])
        assert batch.plans == single.plans
        for name in ("support_images", "support_masks", "query_images", "query_labels"):
            part = getattr(batch, name)
            assert torch.equal(part, getattr(single, name))
            assert part.is_contiguous()
            part.zero_()  # which must not reach what the loader keeps
        assert torch.equal(sampler.episode(8).query_images, single.query_images[0])
        assert torch.equal(sampler.episode(8).query_labels, single.query_labels[0])
    other = next(index for index in range(0, 99, 4) if sampler.shape(index) != sampler.shape(8))
    with pytest.raises(EpisodeError, match=r"episodes differ in \(way, shot, query\): \[\(1"):
        EpisodeBatches(sampler)([8, other])
    with pytest.raises(EpisodeError, match="no episode to stack"):
        sampler.load_batch([])


def test_binary_mask():
    labels = torch.tensor([[0, 1, 2], [3, 255, 2]], dtype=torch.uint8)
    assert binary_mask(labels, 2).tolist() == [[0, 255, 1], [255, 255, 1]]


ONE_EACH = [("p", {"a": 100, "b": 100}), ("q", {"a": 100, "b": 100})]


@pytest.mark.parametrize(
    ("rows", "classes", "wanted", "message"),
    [
        (ONE_EACH, "ab", {"way": 3}, r"3 ways from 2 classes \(a, b\); choose fewer ways"),
        ([], "", {}, r"1 ways from 0 classes"),
        (ONE_EACH[:1], "ab", {}, r"class 'a' has 1 images of at least 64 .* 1 shots and 1 quer"),
        (ONE_EACH, "abc", {}, r"class 'c' has 0 images.*leave the class out"),
        (ONE_EACH, "ab", {"shot": 2}, r"class 'a' has 2 images.* 2 shots and 1 queries need 3"),
        (ONE_EACH, "ab", {"min_area": 101}, r"class 'a' has 0 images of at least 101 pixels"),
        (ONE_EACH, "ab", {"query": 2}, r"'a' has 2 images .* 1 shots and 2 queries need 3"),
        (
            [("p", {"a": 100})] * 5,
            "a",
            {},
            r"class 'a' has 5 images of 1 subject\(s\); .*Add subjects or set disjoint_subjects=F",
        ),
        (
            [("p", {"a": 100})] * 2 + [("q", {"a": 100})] * 2,
            "a",
            {"shot": 3},
            r"class 'a' has 4 images of 2 subject\(s\); 3 shots and 1 queries of different",
        ),
    ],
)
def test_what_can_never_be_drawn_is_refused_at_once(rows, classes, wanted, message):
    with pytest.raises(EpisodeError, match=message):
        EpisodeSampler(toy(rows, classes), EpisodeSettings(**wanted))


@pytest.mark.parametrize("disjoint", [True, False])
def test_ways_that_take_each_others_images_name_the_class(disjoint):
    wanted = EpisodeSettings(way=2, query=2, disjoint_subjects=disjoint)
    sampler = EpisodeSampler(toy(ONE_EACH, "ab"), wanted)
    message = r"episode 7: none of 100 draws of 2 ways, 1 shots and 2 queries .* class '[ab]' had"
    with pytest.raises(EpisodeError, match=message) as caught:
        sampler.plan(7)
    assert ("disjoint_subjects=False" in str(caught.value)) == disjoint


def test_tight_but_possible_requests_are_drawn():
    rows = [("p", {"a": 100}), ("p", {"a": 100}), ("q", {"a": 100})]
    plan = EpisodeSampler(toy(rows, "a"), EpisodeSettings(shot=2)).plan(0)
    assert plan == Plan(0, ("a",), (plan.support[0],), ("q/2",), ("q",))
    assert sorted(plan.support[0]) == ["p/0", "p/1"]


@pytest.mark.parametrize("name", ["way", "shot", "query", "min_area"])
def test_settings_below_one(name):
    with pytest.raises(EpisodeError, match=f"{name} is 0; expected at least 1"):
        EpisodeSettings(**{name: 0})


def test_an_unmeasured_catalog_is_refused(index_set):
    with pytest.raises(DataError, match="has no class areas"):
        EpisodeSampler(read_catalog(index_set))
