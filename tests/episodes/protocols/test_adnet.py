from itertools import pairwise

import numpy as np
import pytest

from episodes.errors import EpisodeError
from episodes.protocols.adnet import AdnetSettings, adnet, linspace_chunks, overlapping_fold
from tests.episodes.protocols import toy


@pytest.mark.parametrize("chunks", [1, 2, 3, 5])
def test_chunks_are_those_of_linspace(chunks):
    for count in range(1, 300):
        bounds = np.linspace(0, count, chunks + 1).astype("int")
        expected = [range(low, high) for low, high in pairwise(bounds)]
        assert linspace_chunks(count, chunks) == expected, count


def test_folds_of_twenty_scans_overlap_as_published():
    names = [str(number) for number in range(20)]
    folds = [overlapping_fold(names, fold, 5) for fold in range(5)]
    assert folds[0] == ["0", "1", "2", "3", "4"]
    assert folds[3] == ["12", "13", "14", "15", "16"]
    assert folds[4] == ["0", "16", "17", "18", "19"]


def test_the_lists_of_protocol_1():
    """Fold 1 of five over ten scans is 3, 4, 5; the last one supports the two others."""
    protocol = adnet(toy.ten_scans(), AdnetSettings(fold=1, classes=("a",)))
    # Planes 2..9, n = 8: linspace(0, 8, 4) = 0, 2.67, 5.33, 8 -> places 0-1, 2-4, 5-7; support
    # places 8/6 = 1, 8/2 = 4, 40/6 = 6, which are planes 3, 6, 8.
    parts = ((3, (2, 3)), (6, (4, 5, 6)), (8, (7, 8, 9)))
    expected = [
        (f"5#{support}", tuple(f"{query}#{z}" for z in part))
        for query in (3, 4)
        for support, part in parts
    ]
    assert [(c.plan.support[0][0], c.plan.query) for c in protocol.cases] == expected
    assert protocol.excluded == {"fold": 36}
    assert len(protocol.train) == 84


def test_slices_in_a_gap_are_left_out():
    scans = [toy.scan(n, "a", "", "a", "a") for n in range(4)]
    protocol = adnet(toy.volumes(*scans), AdnetSettings(folds=2, classes=("a",)))
    assert [c.plan.query for c in protocol.cases if c.plan.query_subjects[0] == "0"] == [
        ("0#0",),
        ("0#2",),
        ("0#3",),
    ]


def test_protocol_2_has_every_slice_and_one_support_slice_in_the_middle():
    protocol = adnet(toy.ten_scans(), AdnetSettings(evaluation=2, support=2, classes=("a",)))
    assert [len(case.plan.query) for case in protocol.cases] == [12, 12]
    assert {case.plan.support for case in protocol.cases} == {(("3#6",),)}  # 8 / 2 = place 4
    shots = adnet(toy.ten_scans(), AdnetSettings(evaluation=2, slices=3, classes=("a",)))
    assert shots.cases[0].plan.support == (("3#3", "3#6", "3#8"),)


def test_all_supports_take_each_scan_of_the_fold_in_turn():
    protocol = adnet(toy.ten_scans(), AdnetSettings(support="all", classes=("b",)))
    pairs = {(c.plan.support[0][0].split("#")[0], c.plan.query_subjects[0]) for c in protocol.cases}
    assert pairs == {(a, b) for a in "123" for b in "123" if a != b}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"support": 3}, "support is 3; expected an index in the fold of 3 scans, 0 to 2 or"),
        ({"support": -4}, "support is -4"),
        ({"slices": -1}, "with -1 slices"),
    ],
)
def test_unknown_settings(settings, message):
    with pytest.raises(EpisodeError, match=message):
        adnet(toy.ten_scans(), AdnetSettings(**settings))
