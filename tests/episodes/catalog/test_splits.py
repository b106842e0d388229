from pathlib import Path

import pytest

from episodes.catalog.catalog import Catalog, Sample
from episodes.catalog.splits import draw_subjects, split_catalog
from episodes.errors import DataError
from episodes.io.pixels import PixelRef


def toy(*rows):
    samples = [
        Sample(f"{subject}{i}", PixelRef(Path(f"{i}.png")), (), subject, (8, 8), dict(areas))
        for i, (subject, areas) in enumerate(rows)
    ]
    return Catalog(tuple(samples), ("a", "b", "c"), "toy")


CATALOG = toy(
    ("p", {"a": 1}),
    ("p", {"a": 1, "b": 2}),
    ("q", {"b": 2, "c": 1}),
    ("q", {"a": 3, "c": 0}),
    ("r", {"a": 1, "b": 1, "c": 1}),
)


def keys(catalog):
    return [s.key for s in catalog.samples]


@pytest.mark.parametrize(
    ("training_exclusion", "kept"),
    [("keep", ["p0", "p1", "q2", "q3"]), ("any", ["p0", "q3"]), ("all", ["p0", "p1", "q3"])],
)
def test_split(training_exclusion, kept):
    parts = split_catalog(
        CATALOG, novel=["b", "c"], test_subjects=["r"], training_exclusion=training_exclusion
    )
    assert keys(parts.train) == kept
    assert keys(parts.test) == ["r4"]
    assert parts.train.classes == ("a",)
    assert parts.test.classes == ("b", "c")
    assert not set(parts.train.subjects) & set(parts.test.subjects)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"novel": []}, "no novel class"),
        ({"novel": ["heart"]}, "no class 'heart'"),
        ({"test_subjects": []}, "no test subject"),
        ({"test_subjects": ["nobody"]}, "no subject 'nobody'"),
        ({"test_subjects": ["p", "q", "r"]}, "every subject is a test subject; leave some"),
        (
            {"training_exclusion": "any", "novel": ["a", "c"]},
            r"no training image is left: .*\"any\".* a, c",
        ),
    ],
)
def test_a_side_with_nothing_is_an_error(change, message):
    wanted = {"novel": ["b"], "test_subjects": ["r"], **change}
    with pytest.raises(DataError, match=message):
        split_catalog(CATALOG, **wanted)


def test_an_unmeasured_catalog_is_refused():
    raw = Catalog((Sample("1", PixelRef(Path("1.png")), (), "p", (8, 8)),), ("a", "b"))
    with pytest.raises(DataError, match="has no class areas"):
        split_catalog(raw, novel=["a"], test_subjects=["p"])


def test_drawn_subjects_depend_on_the_seed_alone():
    catalog = toy(*((f"s{i:02}", {"a": 1}) for i in range(20)))
    drawn = draw_subjects(catalog, 5, seed=3)
    assert drawn == draw_subjects(catalog, 5, seed=3) == tuple(sorted(drawn))
    assert len(set(drawn)) == 5
    assert set(drawn) < set(catalog.subjects)
    assert len({draw_subjects(catalog, 5, seed=seed) for seed in range(10)}) > 5
    counts = [sum(s in draw_subjects(catalog, 5, i) for i in range(200)) for s in catalog.subjects]
    assert 25 < min(counts) <= max(counts) < 75  # 50 expected, standard deviation 6


@pytest.mark.parametrize("count", [0, -1, 3, 4])
def test_impossible_numbers_of_subjects(count):
    with pytest.raises(
        DataError, match=rf"{count} test subjects of 3; expected at least 1 and one"
    ):
        draw_subjects(CATALOG, count)


def test_all_classes_may_be_novel():
    parts = split_catalog(CATALOG, novel=["a", "b", "c"], test_subjects=["r"])
    assert parts.train.classes == ()
    assert len(parts.train) == 4
    assert parts.test.classes == ("a", "b", "c")
