import numpy as np
import pytest

from episodes.catalog.catalog import Catalog
from episodes.protocols.aggregate import ConfusionCounts
from episodes.protocols.base import Protocol
from fewshot.benchmark.aggregate import differences
from fewshot.evaluation.protocol_results import ProtocolResult, count_line, read_count

NOTHING = Catalog((), ())
FOLD = Protocol("alpnet", {}, NOTHING, {}, NOTHING, (), "subject")


def scored(method, dices):
    """Two hundred pixels a subject; Dice d is d found of 100 and as many wrong as missed."""
    counts = [
        ConfusionCounts("support 0", str(number), "liver", dice, 100 - dice, 100 - dice, dice)
        for number, dice in enumerate(dices)
    ]
    return ProtocolResult("alpnet", method, (FOLD,), tuple(counts))


def test_differences_are_paired_and_corrected():
    found = differences(
        {
            "copy-mask": scored("copy-mask", [40, 50, 60]),
            "a": scored("a", [50, 70, 90]),
            "b": scored("b", [60, 40, 70]),
        }
    )
    a, b = found["a"]["minus_copy_mask"], found["b"]["minus_copy_mask"]
    assert (a["mean"], a["p_value"]) == (20.0, 0.25)  # + + +: 2 of 8 patterns
    assert a["p_adjusted"] == 0.5  # times the two methods compared
    assert b["mean"] == pytest.approx(20 / 3)  # kept whole: who shows it rounds it
    assert b["p_value"] == 0.75  # 20, -10, 10: six of 8 patterns reach a sum of 20
    assert found["copy-mask"]["minus_copy_mask"] is None
    assert found["a"]["minus_first"] is None
    assert found["copy-mask"]["minus_first"]["mean"] == -20.0
    assert found["b"]["minus_first"]["against"] == "a"
    assert found["b"]["minus_first"]["mean"] == pytest.approx(np.mean([10, -30, -20]), abs=0.01)


def test_a_subject_without_a_score_is_left_out_of_both():
    empty = ConfusionCounts("support 0", "2", "liver", 0, 0, 0, 200)
    first = scored("a", [50, 70])
    found = differences(
        {
            "copy-mask": scored("copy-mask", [40, 50, 60]),
            "a": ProtocolResult("alpnet", "a", (FOLD,), (*first.counts, empty)),
        }
    )
    assert found["a"]["minus_copy_mask"]["mean"] == pytest.approx(15)


def test_copy_mask_alone_is_compared_with_nothing():
    found = differences({"copy-mask": scored("copy-mask", [40, 50])})
    assert found == {"copy-mask": {"minus_copy_mask": None, "minus_first": None}}


@pytest.mark.parametrize("name", ["liver", "left, kidney", 'a "b"', "Niere rechts"])
def test_a_count_survives_its_line(name):
    count = ConfusionCounts("support 3 seed 1", "scan, 7", name, 1, 22, 333, 4444, 2)
    assert read_count(count_line(count)) == count


def test_a_line_of_other_columns_is_no_count():
    with pytest.raises(ValueError, match=r"unpack|invalid"):
        read_count("support 0,0,7")
