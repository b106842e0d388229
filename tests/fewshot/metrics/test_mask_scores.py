import numpy as np
import pytest

from fewshot.metrics.mask_scores import MaskPair, score_pair

PREDICTED = np.array([[True, True, False, True, False, False]])
REFERENCE = np.array([[1, 1, 1, 0, 0, 255]], np.uint8)  # tp 2, fn 1, fp 1, tn 1


def pair(predicted=PREDICTED, reference=REFERENCE):
    return MaskPair(predicted, reference, (1.0, 2.0), 1.0)


def test_shares_by_hand():
    names = ["dice", "iou", "precision", "recall", "specificity"]
    expected = [2 / 3, 2 / 4, 2 / 3, 2 / 3, 1 / 2]
    assert score_pair(pair(), names) == pytest.approx(dict(zip(names, expected, strict=True)))
    assert pair().confusion.tolist() == [[1, 1], [1, 2]]


def test_distances_have_the_unit_of_the_spacing():
    found, true = np.zeros((2, 1, 8), bool)
    found[0, :3], true[0, :5] = True, True
    names = ["hd", "assd", "nsd"]
    scores = score_pair(pair(found, true.astype(np.uint8)), names)
    assert scores["hd"] == 4.0  # two pixels of width 2
    assert pair(found, true).diagonal == pytest.approx(np.hypot(1, 16))


def test_what_is_missing_and_what_is_undefined():
    nothing = np.zeros_like(PREDICTED)
    assert score_pair(pair(nothing), ["dice", "hd"]) == {"dice": 0.0, "hd": np.inf}
    both = score_pair(pair(nothing, np.zeros_like(REFERENCE)), ["dice", "hd"])
    assert all(np.isnan(value) for value in both.values())
