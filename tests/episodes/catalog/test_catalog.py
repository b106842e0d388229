from dataclasses import replace
from pathlib import Path

import pytest

from episodes.catalog.catalog import Catalog, Sample
from episodes.errors import DataError
from episodes.io.pixels import MaskRef, PixelRef


def sample(key, subject="s", areas=None, size=(10, 20)):
    pixels = PixelRef(Path(key))
    return Sample(key, pixels, (MaskRef(pixels, {1: "a", 2: "b"}),), subject, size, areas)


CATALOG = Catalog(
    (
        sample("1", "x", {"a": 5}),
        sample("2", "x", {"a": 1, "b": 2}),
        sample("3", "y", {"b": 0}),
        sample("4", "z", {}),
    ),
    ("a", "b"),
    "toy",
)


def keys(catalog):
    return [s.key for s in catalog.samples]


def test_basics():
    assert len(CATALOG) == 4
    assert CATALOG.subjects == ("x", "y", "z")
    assert CATALOG.has_areas
    CATALOG.require_areas()


def test_a_key_twice_is_an_error():
    with pytest.raises(DataError, match=r"'toy' has the same key twice: 1; every sample needs a"):
        Catalog((sample("1"), sample("2"), sample("1")), (), "toy")


def test_filters():
    assert keys(CATALOG.filter(lambda s: s.subject == "y")) == ["3"]
    assert keys(CATALOG.of_subjects(["z", "x"])) == ["1", "2", "4"]
    assert keys(CATALOG.without_samples_of(["b"])) == ["1", "3", "4"]
    assert keys(CATALOG.without_samples_of(["a", "b"])) == ["3", "4"]
    assert CATALOG.of_classes(["b", "b"]).classes == ("b",)
    assert keys(CATALOG.of_classes(["b"])) == keys(CATALOG)
    with pytest.raises(DataError, match=r"'toy' has no subject 'q'; it has x, y, z"):
        CATALOG.of_subjects(["x", "q"])
    with pytest.raises(DataError, match=r"'toy' has no class 'heart'; it has a, b"):
        CATALOG.of_classes(["heart"])


def test_an_unmeasured_catalog_says_what_to_call():
    unmeasured = Catalog((sample("1"), sample("2", areas={})), (), "raw")
    assert not unmeasured.has_areas
    for call in (unmeasured.require_areas, lambda: unmeasured.without_samples_of(["a"])):
        with pytest.raises(
            DataError, match=r"'raw' has no class areas.*compute_class_areas\(catalog\)"
        ):
            call()


def test_union_tells_equal_keys_and_subjects_apart():
    other = Catalog((sample("1", "x", {"c": 3}),), ("b", "c"), "more", ("a note",))
    both = CATALOG + other
    assert keys(both) == ["toy/1", "toy/2", "toy/3", "toy/4", "more/1"]
    assert both.subjects == ("more/x", "toy/x", "toy/y", "toy/z")
    assert both.classes == ("a", "b", "c")
    assert (both.name, both.notes) == ("toy+more", ("a note",))
    with pytest.raises(DataError, match=r"both catalogs are called 'toy'; .*dataclasses.replace"):
        CATALOG + CATALOG
    assert len(CATALOG + replace(CATALOG, name="copy")) == 8


def test_fingerprint_is_stable():
    expected = "fb78e7466a4c7e1ad4bb3b75bc7b9a724b318fde422979916d20790f14ae3ed9"
    assert CATALOG.fingerprint == expected


@pytest.mark.parametrize(
    "change",
    [{"key": "9"}, {"subject": "z"}, {"size": (10, 21)}, {"areas": {"a": 6}}],
    ids=str,
)
def test_fingerprint_feels_every_change(change):
    first, *rest = CATALOG.samples
    changed = replace(CATALOG, samples=(replace(first, **change), *rest))
    assert changed.fingerprint != CATALOG.fingerprint


def test_fingerprint_knows_classes_but_not_places_and_names():
    assert CATALOG.of_classes(["b"]).fingerprint != CATALOG.fingerprint
    moved = replace(
        CATALOG,
        name="elsewhere",
        notes=("read again",),
        samples=tuple(replace(s, image=PixelRef(Path("/other") / s.key)) for s in CATALOG.samples),
    )
    assert moved.fingerprint == CATALOG.fingerprint


def test_samples_that_show_a_class():
    assert keys(CATALOG.showing(["a"])) == ["1", "2"]
    assert keys(CATALOG.showing(["a", "b"], min_area=2)) == ["1", "2"]
    assert keys(CATALOG.showing(["b"])) == ["2"]
    with pytest.raises(DataError, match="no class 'heart'"):
        CATALOG.showing(["heart"])
