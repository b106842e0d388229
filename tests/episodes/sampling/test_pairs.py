import dataclasses
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from episodes.augmentation.compose import Augment
from episodes.catalog.catalog import Catalog, Sample
from episodes.catalog.class_areas import compute_class_areas
from episodes.catalog.loader import Loader
from episodes.errors import DataError, EpisodeError
from episodes.io.pixels import PixelRef
from episodes.readers import read_catalog
from episodes.sampling.pairs import PairSampler, PairSettings


def catalog(classes: dict[str, list[str]], areas=None) -> Catalog:
    """No pixels: for each class the subject of each of its images."""
    samples = [
        Sample(f"{name}{n}", PixelRef(Path(f"{name}{n}.png")), (), subject, (8, 8), {name: 9})
        for name, subjects in classes.items()
        for n, subject in enumerate(subjects)
    ]
    return Catalog(tuple(samples), tuple(classes), "toy")


EVEN = catalog({name: ["s", "t", "u", "v", "w"] for name in "abcdef"})
UNEVEN = catalog({"a": ["s"] * 9, "b": ["s", "t"], "c": ["s", "t", "u"], "d": ["v"], "e": ["w"]})


def test_a_batch_is_a_pure_function_of_its_number():
    sampler = PairSampler(EVEN, PairSettings(3, 4), seed=5)
    again = PairSampler(EVEN, PairSettings(3, 4), seed=5)
    plans = [sampler.plan(i) for i in range(20)]
    assert [again.plan(i) for i in reversed(range(20))] == plans[::-1]
    assert len({plan.keys for plan in plans}) == 20
    assert PairSampler(EVEN, PairSettings(3, 4), seed=6).plan(0) != plans[0]
    with pytest.raises(EpisodeError, match="seed is -1"):
        PairSampler(EVEN, PairSettings(3, 4), seed=-1)


def test_classes_by_samples_without_repetition_and_evenly():
    sampler = PairSampler(EVEN, PairSettings(3, 4))
    drawn, images = Counter(), Counter()
    for i in range(400):
        plan = sampler.plan(i)
        assert len(set(plan.keys)) == 12
        assert sorted(Counter(plan.labels).values()) == [4, 4, 4]
        assert all(
            key[0] == "abcdef"[label] for key, label in zip(plan.keys, plan.labels, strict=True)
        )
        drawn.update(set(plan.labels))
        images.update(plan.keys)
    assert all(abs(count - 200) < 50 for count in drawn.values())
    assert len(images) == 30
    assert all(abs(count - 160) < 50 for count in images.values())


def test_a_singleton_is_never_a_positive():
    """pytorch-metric-learning's class sampler repeats it, so that it is its own positive."""
    sampler = PairSampler(UNEVEN, PairSettings(2, 3))
    seen = Counter()
    for i in range(100):
        plan = sampler.plan(i)
        assert len(plan.keys) == len(set(plan.keys)) == 6
        counts = Counter(plan.labels)
        assert all(counts[label] <= 1 for label in (3, 4))
        assert sum(count > 1 for count in counts.values()) == 2
        seen.update(plan.labels)
    assert set(seen) == {0, 1, 2, 3, 4}  # singletons are negatives


def test_subjects_with_one_image_are_negatives_and_break_nothing():
    subjects = ["p", "p", "p", "q", "q", "r", "s", "t"]  # OML crashes on r, s and t
    sampler = PairSampler(catalog({"a": subjects}), PairSettings(2, 3, identity="subject"))
    for i in range(30):
        counts = Counter(sampler.plan(i).subjects)
        assert (counts["p"], counts["q"]) == (3, 2)
        assert sum(counts[name] for name in "rst") == 1


def test_images_of_a_class_come_from_different_subjects():
    sampler = PairSampler(UNEVEN, PairSettings(2, 2, disjoint_subjects=True))
    for i in range(50):
        plan = sampler.plan(i)
        assert set(plan.labels) == {1, 2}  # all images of "a" are of one subject
        for label in (1, 2):
            of_label = [s for s, x in zip(plan.subjects, plan.labels, strict=True) if x == label]
            assert len(set(of_label)) == 2


def test_the_subject_as_identity_needs_no_measuring():
    unmeasured = dataclasses.replace(
        EVEN, samples=tuple(dataclasses.replace(s, areas=None) for s in EVEN.samples)
    )
    sampler = PairSampler(unmeasured, PairSettings(2, 3, identity="subject"))
    plan = sampler.plan(0)
    assert sampler.names == ("s", "t", "u", "v", "w")
    assert [sampler.names[label] for label in plan.labels] == list(plan.subjects)
    with pytest.raises(DataError, match="has no class areas"):
        PairSampler(unmeasured, PairSettings(2, 3))


def test_images_of_several_classes_stand_for_none_unless_by_region():
    both = dataclasses.replace(EVEN.samples[0], key="both", areas={"a": 5, "b": 5})
    mixed = dataclasses.replace(EVEN, samples=(*EVEN.samples, both))
    whole = PairSampler(mixed, PairSettings(2, 2)).all_items()
    regions = PairSampler(mixed, PairSettings(2, 2, regions=True)).all_items()
    assert set(regions) - set(whole) == {(30, 0), (30, 1)}
    small = PairSampler(mixed, PairSettings(2, 2, regions=True, min_area=6)).all_items()
    assert small == whole
    one = dataclasses.replace(both, areas={"a": 5, "b": 0, "no class of the catalog": 5})
    alone = dataclasses.replace(EVEN, samples=(*EVEN.samples, one))
    found = PairSampler(alone, PairSettings(2, 2)).all_items()
    assert set(found) - set(whole) == {(30, 0)}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (PairSettings(4, 2), "has 3 of 5 class names with two images or more .*; a batch needs 4"),
        (PairSettings(3, 2, disjoint_subjects=True), "has 2 of 5 .* two subjects"),
        (PairSettings(2, 5), "have as few as 5 images, and there are 3 further classes .* of 10"),
    ],
)
def test_a_catalog_that_cannot_fill_a_batch_is_refused(settings, said):
    with pytest.raises(EpisodeError, match=said):
        PairSampler(UNEVEN, settings)


@pytest.mark.parametrize(
    ("subjects", "way_out"),
    [
        (["s", "t", "u", "v"], "Every image is a subject of its own: name the subjects with"),
        (["s", "s", "u", "v"], r"Choose fewer \(--classes-per-batch\), or add images"),
    ],
)
def test_what_to_do_depends_on_whether_subjects_are_known(subjects, way_out):
    with pytest.raises(EpisodeError, match=f"of . subject names with two images or .*{way_out}"):
        PairSampler(catalog({"a": subjects}), PairSettings(2, 2, identity="subject"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"classes_per_batch": 0},
        {"images_per_class": 1},
        {"min_area": 0},
        {"identity": "subject", "regions": True},
    ],
)
def test_settings_are_checked(wrong):
    with pytest.raises(EpisodeError, match=r"expected|set both"):
        PairSettings(**wrong)


@pytest.fixture
def real(index_set):
    settings = PairSettings(2, 3, regions=True)
    return PairSampler(
        compute_class_areas(read_catalog(index_set)),
        settings,
        loader=Loader(32),
        transform=Augment(),
    )


def test_shares_of_any_size_are_the_batch(real):
    whole = real.batch(7)
    assert whole.images.shape == (6, 1, 32, 32)
    assert whole.masks.shape == (6, 32, 32)
    assert ((whole.masks == 1).flatten(1).sum(dim=1) > 0).all()
    assert real.names == ("disc", "bar", "square")
    for borders in ((0, 6), (0, 3, 6), (0, 4, 6), (0, 1, 5, 6)):  # the last share is smaller, too
        parts = [real.load([42 + place for place in range(a, b)]) for a, b in pairwise(borders)]
        for name in ("images", "masks", "labels", "subjects", "samples", "positions"):
            joined = torch.cat([getattr(part, name) for part in parts])
            assert torch.equal(joined, getattr(whole, name))
    strided = real.load(range(43, 48, 2))  # as rank 1 of 2 takes them
    assert strided.positions.tolist() == [1, 3, 5]
    assert torch.equal(strided.images, whole.images[1::2])
    with pytest.raises(EpisodeError, match="2 items belong to 2 batches"):
        real.load([5, 6])


def test_labels_and_numbers_name_the_samples(real):
    plan, batch = real.plan(3), real.batch(3)
    assert tuple(batch.labels.tolist()) == plan.labels
    keys = [real.catalog.samples[place].key for place in batch.samples]
    assert tuple(keys) == plan.keys
    assert [real.catalog.subjects[code] for code in batch.subjects] == list(plan.subjects)
    assert batch.labels.dtype == torch.int64
    plain = real.load_untransformed(real.all_items()[:2])
    assert torch.equal(plain.images[0], real.loader.image(real.catalog.samples[0]))
    changed = [i for i in range(6) if batch.samples[i] in plain.samples]
    assert not any(torch.equal(batch.images[i], plain.images[0]) for i in changed)
    assert batch.to("cpu").masks is not None


def test_patients_of_real_scans(real_data):
    scans = read_catalog(real_data("sunnybrook"), subject_pattern=r"SC-[A-Z]+-(?:N?I-)?\d+")
    settings = PairSettings(8, 4, identity="subject")
    sampler = PairSampler(scans, settings, loader=Loader(64))
    batch = sampler.batch(0)
    assert batch.masks is None
    assert batch.images.shape[0] == 32
    assert Counter(Counter(batch.labels.tolist()).values()) == {4: 8}


def test_rotations_are_classes(real):
    settings = dataclasses.replace(real.settings, rotation_classes=8)
    rotated = PairSampler(real.catalog, settings, loader=Loader(32))
    assert len(rotated.names) == 24
    assert rotated.names[:2] == ("disc", "disc, turn 1")
    assert len(rotated.all_items()) == 8 * len(real.all_items())
    place, label = real.all_items()[1]
    plain = real.load_untransformed([(place, label)])
    found = rotated.load_untransformed([(place, 8 * label + t) for t in range(8)])
    assert found.labels.tolist() == [8 * label + t for t in range(8)]
    for kind in ("images", "masks"):
        (before,), after = getattr(plain, kind), getattr(found, kind)
        for number in range(8):
            expected = torch.rot90(before, number % 4, (-2, -1))
            assert torch.equal(after[number], expected.flip(-1) if number > 3 else expected)
    plan = rotated.plan(3)
    assert len(set(plan.labels)) == 2
    for key, name in zip(plan.keys, (rotated.names[label] for label in plan.labels), strict=True):
        sample = next(s for s in real.catalog.samples if s.key == key)
        assert sample.areas[name.partition(", turn")[0]] > 0
    with pytest.raises(EpisodeError, match="nor rotation_classes make sense"):
        PairSettings(identity="subject", rotation_classes=4)
