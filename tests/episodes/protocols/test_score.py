import math

import pytest

from episodes.errors import EpisodeError
from episodes.protocols.aggregate import ConfusionCounts, by_class, by_scan, score_protocol


def count(run, subject, name, found, missed, wrong, rest=0, fold=0):
    return ConfusionCounts(run, subject, name, found, missed, wrong, rest, fold)


def test_dice_pools_a_scan_then_averages_scans_then_classes_then_runs():
    counts = [
        count("0", "p", "liver", 3, 1, 0),  # p, liver: 2*4 / (2*4 + 1 + 3) = 8/12
        count("0", "p", "liver", 1, 0, 3),
        count("0", "q", "liver", 1, 1, 1),  # 2/4
        count("0", "p", "spleen", 1, 0, 0),  # 1
        count("1", "p", "liver", 0, 1, 0),  # 0
    ]
    found = by_scan(counts)
    liver = (8 / 12 + 2 / 4) / 2
    assert found.by_run == {"0": pytest.approx((liver + 1) / 2), "1": 0.0}
    assert found.value == pytest.approx((liver + 1) / 4)
    assert found.by_class == {"liver": pytest.approx(liver / 2), "spleen": 1.0}
    # p: 8/12 and 1 in run 0, 0 in run 1; q: 1/2
    assert found.by_subject == {"p": pytest.approx((8 / 12 + 1 + 0) / 3), "q": 0.5}
    assert found.foreground_background is None


def test_a_scan_of_two_folds_counts_twice():
    # ADNet's scan 0: Dice 1 in fold 0 and 0 in fold 4, not pooled to 2*2 / (2*2 + 2).
    found = by_scan([count("0", "0", "a", 2, 0, 0), count("0", "0", "a", 0, 2, 0, fold=4)])
    assert found.value == 0.5


def test_iou_pools_all_episodes_of_a_class():
    counts = [
        count("0", "x", "cat", 2, 1, 1, 6),
        count("0", "y", "cat", 8, 0, 0, 2),  # cat: 10 / 12
        count("0", "z", "dog", 1, 1, 2, 6),  # dog: 1 / 4
    ]
    found = by_class(counts)
    assert found.by_class == {"cat": pytest.approx(10 / 12), "dog": 0.25}
    assert found.value == pytest.approx((10 / 12 + 1 / 4) / 2)
    # foreground 11 / (11 + 2 + 3), background 14 / (14 + 2 + 3)
    assert found.foreground_background == pytest.approx((11 / 16 + 14 / 19) / 2)
    assert found.by_subject == {"x": 0.5, "y": 1.0, "z": 0.25}


def test_panet_averages_runs_after_pooling_each():
    counts = [count("0", "x", "cat", 1, 1, 0), count("1", "x", "cat", 3, 0, 0)]
    assert by_class(counts).value == pytest.approx((1 / 2 + 1) / 2)  # pooled it would be 4 / 5


@pytest.mark.parametrize("unit", ["subject", "class"])
def test_what_is_neither_there_nor_found_is_left_out_and_counted(unit):
    counts = [count("0", "p", "a", 0, 0, 0, 9), count("0", "q", "b", 1, 0, 0, 9)]
    found = score_protocol(counts, unit)
    assert found.value == 1.0
    assert found.undefined == 1
    assert math.isnan(found.by_class["a"])
    assert math.isnan(found.by_subject["p"])
    nothing = score_protocol(counts[:1], unit)
    assert math.isnan(nothing.value)


@pytest.mark.parametrize("unit", ["subject", "class"])
def test_no_case_is_an_error(unit):
    with pytest.raises(EpisodeError, match="no case to score"):
        score_protocol([], unit)
