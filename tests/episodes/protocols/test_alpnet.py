import pytest
from hypothesis import given
from hypothesis import strategies as st

from episodes.errors import DataError, EpisodeError
from episodes.protocols.alpnet import (
    ABDOMINAL_GROUPS,
    AlpnetSettings,
    alpnet,
    chunk_of,
    query_chunks,
    support_slices,
)
from tests.episodes.protocols import toy


def planes(samples):
    return [sample.image.plane for sample in samples]


def test_support_slices_by_hand():
    # Shown on planes 1..7, n = 7: 7/6 = 1.17 -> 1, 7/2 = 3.5 -> 3, 35/6 = 5.83 -> 5, places
    # among the labelled planes counted from 0, which are planes 2, 4 and 6.
    scan = toy.scan(1, "", *["a"] * 7, "")
    assert planes(support_slices(scan, "a")) == [2, 4, 6]
    # A gap at plane 3: labelled planes are 1, 2, 4, 5, 6, 7; n = 6: places 1, 3, 5.
    gap = toy.scan(1, "", "a", "a", "", "a", "a", "a", "a")
    assert planes(support_slices(gap, "a")) == [2, 5, 7]
    # One or two labelled slices are used more than once.
    assert planes(support_slices(toy.scan(1, "", "a"), "a")) == [1, 1, 1]
    assert planes(support_slices(toy.scan(1, "a", "a"), "a")) == [0, 1, 1]
    assert support_slices(scan, "b") == []


def test_query_chunks_by_hand():
    # zmin 2, zmax 12: (z - 2) // (10 / 3): 2..5 -> 0, since 3 / 3.33 < 1; 6..8 -> 1; 9..11 -> 2;
    # z = 12 gives 10 // 3.33 = 3 (or 2, as the division rounds) and is put into the last chunk.
    scan = toy.scan(1, "", "", *["a"] * 11, "")
    assert [planes(part) for part in query_chunks(scan, "a")] == [
        [2, 3, 4, 5],
        [6, 7, 8],
        [9, 10, 11, 12],
    ]
    # zmin 0, zmax 6, a step of exactly 2: the edge slice makes the last chunk longer.
    scan = toy.scan(1, *["a"] * 7)
    assert [planes(part) for part in query_chunks(scan, "a")] == [[0, 1], [2, 3], [4, 5, 6]]
    # Slices between two that show the class are segmented as well.
    gap = toy.scan(1, "a", "", "", "a", "")
    assert [planes(part) for part in query_chunks(gap, "a")] == [[0], [1], [2, 3]]
    assert [planes(part) for part in query_chunks(toy.scan(1, "", "a"), "a")] == [[1], [], []]
    assert [planes(part) for part in query_chunks(toy.scan(1, "a", "a"), "a")] == [[0], [], [1]]


@given(first=st.integers(0, 50), length=st.integers(1, 400))
def test_chunks_are_those_of_the_published_formula(first, length):
    """The formula in floating point, with its limits, is the slow reference."""
    last = first + length
    for place in range(first, last + 1):
        published = int((place - first) // ((last - first) / 3))
        assert chunk_of(place, first, last) == max(0, min(2, published))


@pytest.mark.parametrize("labelled", range(1, 200))
def test_support_places_are_those_of_the_published_formula(labelled):
    half, interval = 1 / 6, (1.0 - 1.0 / 3) / 2
    published = [int((half + interval * k) * labelled) for k in range(3)]
    assert planes(support_slices(toy.scan(1, *["a"] * labelled), "a")) == published


def test_the_published_lists_of_a_fold():
    """Ten scans in five folds of two: fold 1 tests scans 3 and 4, supported by scan 5."""
    protocol = alpnet(toy.ten_scans(), AlpnetSettings(fold=1))
    # Class a on planes 2..9 (n = 8): support places 8/6 = 1, 4, 40/6 = 6 -> planes 3, 6, 8.
    # Query chunks (z - 2) // (7 / 3): 2, 3, 4 | 5, 6 | 7, 8, 9.
    # Class b on planes 5, 6 (n = 2): places 0, 1, 1 -> planes 5, 6, 6; chunks 5 | - | 6.
    expected = []
    for query in (3, 4):
        for support, part in ((3, (2, 3, 4)), (6, (5, 6)), (8, (7, 8, 9))):
            expected.append(("a", f"5#{support}", tuple(f"{query}#{z}" for z in part)))
    for query in (3, 4):
        for support, part in ((5, (5,)), (6, (6,))):
            expected.append(("b", f"5#{support}", tuple(f"{query}#{z}" for z in part)))
    found = [(c.plan.classes[0], c.plan.support[0][0], c.plan.query) for c in protocol.cases]
    assert found == expected
    assert [case.plan.index for case in protocol.cases] == list(range(10))
    assert {case.run for case in protocol.cases} == {"support 0"}
    assert protocol.excluded == {"query scan": 24, "support scan": 12}
    assert len(protocol.train) == 7 * 12
    assert protocol.train.classes == ()
    assert protocol.unit == "subject"


def test_the_last_fold_takes_its_support_from_the_beginning():
    protocol = alpnet(toy.ten_scans(), AlpnetSettings(fold=4, classes=("a",)))
    assert protocol.cases[0].plan.support[0][0].startswith("1#")
    assert {s for c in protocol.cases for s in c.plan.query_subjects} == {"9", "10"}
    assert protocol.train.classes == ("b",)


def test_all_supports_are_the_scans_outside_the_fold_in_turn():
    catalog = toy.ten_scans()
    every = alpnet(catalog, AlpnetSettings(fold=1, support="all"))
    order = {case.run: case.plan.support[0][0].split("#")[0] for case in every.cases}
    assert list(order.values()) == ["5", "6", "7", "8", "9", "10", "1", "2"]
    third = alpnet(catalog, AlpnetSettings(fold=1, support=2))
    same = [case.plan.query for case in every.cases if case.run == "support 2"]
    assert [case.plan.query for case in third.cases] == same
    assert every.excluded == {"query scan": 24}


@pytest.mark.parametrize(
    ("training_exclusion", "dropped"),
    [("keep", 0), ("any", 7 * 8), ("all", 7 * 2)],  # per scan: a on 8 slices, a and b on 2
)
def test_excluded_training_slices(training_exclusion, dropped):
    protocol = alpnet(toy.ten_scans(), AlpnetSettings(training_exclusion=training_exclusion))
    assert len(protocol.train) == 7 * 12 - dropped
    assert sum(protocol.excluded.values()) + len(protocol.train) == 120


def test_scans_without_the_class_are_noted_or_refused():
    scans = [toy.scan(n, "a", "ab" if n != 2 else "a", "a") for n in (1, 2, 3, 4)]
    catalog = toy.volumes(*scans)
    every = alpnet(catalog, AlpnetSettings(folds=2, support="all"))
    assert every.notes == ("query scan 2 does not show b",)
    with pytest.raises(EpisodeError, match=r"support scan '2' \(support=1\) does not show 'b'"):
        alpnet(catalog, AlpnetSettings(fold=1, folds=2, support=1))
    assert alpnet(catalog, AlpnetSettings(fold=1, folds=2, support="all")).notes == (
        "support scan 2 does not show b",
    )


@pytest.mark.parametrize("support", [-1, 8])
def test_an_unknown_support_is_an_error(support):
    with pytest.raises(EpisodeError, match=f"support is {support!r}; expected 0 to 7"):
        alpnet(toy.ten_scans(), AlpnetSettings(support=support))


def test_an_unknown_class_is_an_error():
    with pytest.raises(DataError, match="no class 'heart'"):
        alpnet(toy.ten_scans(), AlpnetSettings(classes=("heart",)))


def test_the_groups_of_setting_2():
    assert ABDOMINAL_GROUPS == (("liver", "spleen"), ("left_kidney", "right_kidney"))
