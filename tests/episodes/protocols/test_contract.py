from dataclasses import replace

import pytest

from episodes.errors import DataError, EpisodeError
from episodes.protocols.alpnet import AlpnetSettings, alpnet
from episodes.protocols.base import fold_bounds, in_order, training_catalog, volumes
from tests.episodes.protocols import toy

# p: a; a and b; b, c; q: a (c is listed with no pixel); all three
CATALOG = toy.volumes(
    toy.scan("p", "a", "ab", "bc"), toy.scan("q", "a", "abc"), classes=("a", "b", "c")
)


@pytest.mark.parametrize(
    ("training_exclusion", "kept", "reason"),
    [
        ("keep", ["p#0", "p#1", "p#2"], {}),
        ("any", ["p#0"], {"shows any test class": 2}),
        ("all", ["p#0", "p#1"], {"shows all test classes": 1}),
    ],
)
def test_training_loses_held_subjects_then_slices_of_test_classes(training_exclusion, kept, reason):
    train, excluded = training_catalog(
        CATALOG,
        classes=("b", "c"),
        held_out={"query scan": ["q"]},
        training_exclusion=training_exclusion,
    )
    assert [sample.key for sample in train.samples] == kept
    assert train.classes == ("a",)
    assert excluded == {"query scan": 2, **reason}
    assert len(train) + sum(excluded.values()) == len(CATALOG)


def test_scans_are_sorted_by_their_numbers_and_slices_by_plane():
    catalog = toy.volumes(toy.scan(10, "a", "a"), toy.scan(9, "", "a"))
    shuffled = replace(catalog, samples=catalog.samples[::-1])
    scans = volumes(shuffled)
    assert list(scans) == ["9", "10"]
    assert [sample.key for sample in scans["10"]] == ["10#0", "10#1"]
    assert in_order(["SC-10", "SC-9", "A-1"]) == ["A-1", "SC-9", "SC-10"]


def test_two_volumes_of_one_subject_are_refused():
    second = [replace(s, subject="1") for s in toy.scan(2, "a", "a")]
    with pytest.raises(DataError, match=r"subject '1' has 2 volumes .* subject_pattern"):
        volumes(toy.volumes(toy.scan(1, "a", "a"), second))


@pytest.mark.parametrize(
    ("count", "folds", "fold", "message"),
    [
        (4, 5, 0, "5 folds of 4 subjects"),
        (4, 1, 0, "1 folds of 4 subjects"),
        (4, 2, 2, "fold 2 of 2; expected 0 to 1"),
        (4, 2, -1, "fold -1 of 2"),
    ],
)
def test_impossible_folds(count, folds, fold, message):
    with pytest.raises(EpisodeError, match=message):
        fold_bounds(count, folds, fold)


def test_the_hash_depends_on_the_cases_and_on_nothing_else():
    catalog = toy.ten_scans()
    first = alpnet(catalog)
    assert first.hash == alpnet(catalog, AlpnetSettings(training_exclusion="any")).hash
    assert first.hash == alpnet(replace(catalog, samples=catalog.samples[::-1])).hash
    assert first.hash != alpnet(catalog, AlpnetSettings(fold=1)).hash
    assert first.hash != alpnet(catalog, AlpnetSettings(support=1)).hash
    assert first.hash != replace(first, score_size=400).hash
