"""Steps from labels to labels, on labels drawn by hand."""

import numpy as np
import pytest

from episodes.errors import DataError
from fewshot import FillHoles, FuseLabels, LargestParts, LeastSize, Segmentation, SmoothLabels
from fewshot.inference.inputs import ImageStack
from tests.fewshot.pipeline.scenes import geometry_of


def labelled(rows, ways=1, geometry=None):
    """A segmentation of digits drawn in rows."""
    labels = np.array([[[int(c) for c in row] for row in rows]], np.uint8)
    return of_labels(labels, ways, geometry)


def of_labels(labels, ways=1, geometry=None):
    others = np.full((ways + 1, *labels.shape), 0.1 / ways)
    for way in range(ways + 1):
        others[way][labels == way] = 0.9
    picture = ImageStack(np.zeros(labels.shape), "drawn", geometry=geometry)
    names = tuple(f"class {way}" for way in range(1, ways + 1))
    values = tuple(range(1, ways + 1))
    return Segmentation(labels, others.astype(np.float16), names, values, picture)


def drawn(result):
    assert (result.probabilities.argmax(axis=0) == result.labels).all()
    return ["".join(map(str, row)) for row in result.labels[0].tolist()]


def test_the_largest_parts_of_each_class_stay():
    before = labelled(["1101002", "1100022", "0011000", "2000000"], ways=2)
    assert drawn(LargestParts().apply(before)) == ["1100002", "1100022", "0000000", "0000000"]
    assert drawn(LargestParts(2).apply(before))[2:] == ["0011000", "2000000"]
    assert drawn(LargestParts(9, share=0.3).apply(before))[2] == "0000000"


@pytest.mark.parametrize(
    ("least", "unit", "kept"),
    [("3 px", None, 1), ("2 px", None, 2), ("8 mm2", 1.0, 2), ("8.5 mm²", 1.0, 1),
     ("9 um2", 0.001, 1), ("0.000008 mm2", 0.001, 2)],
)  # fmt: skip
def test_the_least_size_has_a_unit(least, unit, kept):
    geometry = unit and geometry_of((1, 2, 7), (1, 2, 2), unit)
    before = labelled(["1110011", "1110000"], geometry=geometry)  # of 6 and 2 pixels of 4 units
    after = LeastSize(least).apply(before)
    assert (after.labels > 0).sum() == {1: 6, 2: 8}[kept]


@pytest.mark.parametrize(
    ("least", "words"),
    [("20", "with its unit"), ("20 mm", "expected a size"), ("-3 px", "above 0"), ("0 px", "0 px")],
)
def test_a_size_without_its_unit_is_refused(least, words):
    with pytest.raises(DataError, match=words):
        LeastSize(least)


def test_a_size_that_does_not_fit_to_the_image_is_refused():
    with pytest.raises(DataError, match="no size of a pixel; give it in px"):
        LeastSize("3 mm2").apply(labelled(["1"]))
    with pytest.raises(DataError, match="give it in mm2"):
        LeastSize("3 mm3").apply(labelled(["1"], geometry=geometry_of((1, 1, 1), (1, 1, 1))))


def test_holes_are_filled_and_other_classes_stay():
    before = labelled(["11111", "10121", "11111", "00000"], ways=2)
    assert drawn(FillHoles().apply(before)) == ["11111", "11121", "11111", "00000"]


def test_outlines_are_smoothed():
    spike = labelled(["000000000"] * 2 + ["011110000", "011111110", "011110000", "011110000"])
    assert drawn(SmoothLabels("opening", 1).apply(spike))[3] == "011111000"
    gap = labelled(["0000000", "0111110", "0110110", "0111110", "0111110", "0000000"])
    assert drawn(SmoothLabels("closing", 1).apply(gap))[2] == "0111110"
    assert drawn(SmoothLabels("majority", 1).apply(gap))[2] == "0111110"
    classes = labelled(["113311", "113311", "113311"], ways=3)
    assert set(np.unique(SmoothLabels("majority").apply(classes).labels)) <= {1, 3}  # no median 2


def test_a_majority_decides_and_probability_a_tie():
    votes = [labelled(["11100"]), labelled(["11010"]), labelled(["10000"])]
    assert drawn(FuseLabels("majority").fuse(votes)) == ["11000"]
    sure, unsure = labelled(["10"]), labelled(["01"])
    unsure.probabilities[:, 0, 0] = [[0.45, 0.45], [0.55, 0.55]]
    assert FuseLabels("majority").fuse([sure, unsure]).labels[0, 0].tolist() == [1, 0]
    with pytest.raises(DataError, match="same classes"):
        FuseLabels().fuse([labelled(["1"]), labelled(["1"], ways=2)])


def test_staple_trusts_those_who_agree():
    truth = np.zeros((1, 20, 20), np.uint8)
    truth[0, 5:15, 5:15] = 1
    good = [truth.copy() for _ in range(3)]
    for shift, each in enumerate(good):
        each[0, shift, shift] = 1  # an error of its own
    bad = np.roll(truth, 6, axis=2)
    fused = FuseLabels("staple").fuse([of_labels(each) for each in (*good, bad)])
    assert (fused.labels == truth).all()
    empty = FuseLabels("staple").fuse([of_labels(truth * 0)] * 2)
    assert not empty.labels.any()
