import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from episodes.catalog.leakage import ClassExposure, Neighbours, audit_leakage
from episodes.catalog.splits import split_catalog
from episodes.errors import DataError
from tests.episodes.catalog.test_splits import CATALOG
from tests.episodes.sampling.test_sampler_modes import volumes

SCAN = volumes(10, 10, areas={"a": 7, "b": 2})


def test_a_clean_split():
    parts = split_catalog(SCAN, novel=["b"], test_subjects=["s1"])
    found = audit_leakage(parts.train, parts.test)
    assert found.disjoint
    assert found.classes == (ClassExposure("b", labelled=False, images=10, pixels=20),)
    assert str(found).splitlines() == [
        "subjects in training and test: none",
        "images in training and test: none",
        "test slices at most 3 from a training slice: none",
        "class b: unlabelled in training, 20 pixels in 10 images",
    ]
    assert json.loads(json.dumps(found.content()))["disjoint"] is True


def test_what_setting_2_leaves():
    parts = split_catalog(CATALOG, novel=["b", "c"], test_subjects=["r"], training_exclusion="any")
    assert [(c.name, c.pixels) for c in audit_leakage(parts.train, parts.test).classes] == [
        ("b", 0),
        ("c", 0),
    ]
    assert "class b: not in the training images" in str(audit_leakage(parts.train, parts.test))
    whole = audit_leakage(CATALOG, parts.test.of_classes(["b"]))
    assert whole.classes == (ClassExposure("b", labelled=True, images=3, pixels=5),)
    assert "class b: labelled in training, 5 pixels in 3 images" in str(whole)


def test_slices_of_one_volume_on_both_sides():
    train = SCAN.filter(lambda s: s.image.plane in (0, 1, 9))
    test = SCAN.filter(lambda s: s.subject == "s0" and s.image.plane in (1, 3, 5, 8))
    found = audit_leakage(train, test, max_gap=2)
    assert found.subjects == ("s0",)
    assert found.samples == ("v0.nii#1",)
    assert found.neighbours == (
        Neighbours("v0.nii#3", "v0.nii#1", 2),
        Neighbours("v0.nii#8", "v0.nii#9", 1),
    )
    assert not found.disjoint
    assert "slices at most 2 from a training slice: 2 (v0.nii#3 (2 from v0.nii#1), v0" in str(found)


def test_a_file_under_another_subject_is_still_the_same_file():
    renamed = replace(
        SCAN, samples=tuple(replace(s, subject="x", key=f"x/{s.key}") for s in SCAN.samples)
    )
    found = audit_leakage(SCAN, renamed)
    assert found.subjects == ()
    assert len(found.samples) == 20


@given(st.sets(st.integers(0, 9)), st.sets(st.integers(0, 9)), st.integers(0, 12))
def test_neighbours_against_all_pairs(train, test, gap):
    one, other = (
        SCAN.filter(lambda s, planes=planes: s.image.plane in planes) for planes in (train, test)
    )
    found = {n.test: n.gap for n in audit_leakage(one, other, max_gap=gap).neighbours}
    distances = {p: min((abs(p - q) for q in train), default=99) for p in test}
    assert found == {
        f"v{v}.nii#{p}": d for v in (0, 1) for p, d in distances.items() if 0 < d <= gap
    }


def test_bad_requests():
    with pytest.raises(DataError, match="max_gap is -1"):
        audit_leakage(SCAN, SCAN, max_gap=-1)
    raw = replace(SCAN, samples=tuple(replace(s, areas=None) for s in SCAN.samples))
    with pytest.raises(DataError, match="has no class areas"):
        audit_leakage(raw, SCAN)
    assert audit_leakage(SCAN, raw).classes[0].pixels == 140
