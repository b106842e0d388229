"""Oracles: loops over objects, all permutations, StarDist."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from stardist.matching import matching

from fewshot.metrics import instances
from fewshot.metrics.instances import (
    DSB_THRESHOLDS,
    aggregated_jaccard,
    count_error,
    count_matches,
    dsb_score,
    match_counts,
    overlap_table,
)


def objects(seed, count=12, shape=(48, 40), shift=0):
    """Boxes of many sizes, some cut by others; ids with gaps."""
    generator = np.random.default_rng(seed)
    labels = np.zeros(shape, np.int32)
    for index in range(count):
        low = generator.integers(0, np.array(shape) - 4) + shift
        high = low + generator.integers(3, 12, 2)
        labels[low[0] : high[0], low[1] : high[1]] = 3 * index + 1
    return labels


def near(seed):
    """A reference, and a prediction that moves, splits, merges, misses and invents objects."""
    reference = objects(seed)
    labels = objects(seed, shift=1)
    labels[:, 20:][labels[:, 20:] == labels.max()] += 1
    labels[labels == 4] = 1
    labels[labels == 7] = 0
    labels[:3, :3] = 99
    return labels, reference


def slow_pairs(labels, reference):
    found = {}
    for truth in set(reference.ravel().tolist()) - {0}:
        for label in set(labels.ravel().tolist()) - {0}:
            shared = ((reference == truth) & (labels == label)).sum()
            if shared:
                union = ((reference == truth) | (labels == label)).sum()
                found[truth, label] = (int(shared), shared / union)
    return found


def as_dictionary(table):
    keys = zip(
        table.reference_ids[table.rows].tolist(),
        table.label_ids[table.columns].tolist(),
        strict=True,
    )
    values = zip(table.intersections.tolist(), table.iou.tolist(), strict=True)
    return dict(zip(keys, values, strict=True))


small_maps = arrays(np.uint8, (5, 5), elements=st.integers(0, 4))
small_lines = arrays(np.uint8, 14, elements=st.integers(0, 3))


@pytest.mark.parametrize("seed", range(4))
def test_table_is_the_loop(seed):
    labels, reference = near(seed)
    table = overlap_table(labels, reference)
    assert as_dictionary(table) == slow_pairs(labels, reference)
    ids, areas = np.unique(labels[labels > 0], return_counts=True)
    np.testing.assert_array_equal(table.label_ids, ids)
    np.testing.assert_array_equal(table.label_areas, areas)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int64, np.uint64])
def test_table_takes_any_integer_and_sparse_ids(dtype):
    labels, reference = near(0)
    expected = as_dictionary(overlap_table(labels, reference))
    found = overlap_table(labels.astype(dtype), reference.astype(dtype))
    assert as_dictionary(found) == expected
    far = overlap_table(labels.astype(np.int64) * 10**12, reference)  # no table of 10^13 entries
    assert as_dictionary(far) == {(a, b * 10**12): value for (a, b), value in expected.items()}


@settings(max_examples=60)
@given(small_maps, small_maps)
def test_table_of_noise_is_the_loop(labels, reference):
    assert as_dictionary(overlap_table(labels, reference)) == slow_pairs(labels, reference)


def test_background_missing_on_either_side():
    table = overlap_table([1, 1, 2], [5, 6, 6])
    assert as_dictionary(table) == {(5, 1): (1, 0.5), (6, 1): (1, 1 / 3), (6, 2): (1, 0.5)}
    assert table.label_areas.tolist() == [2, 1]


def test_ignored_pixels_are_dropped_from_both_maps():
    labels, reference = near(1)
    ignored = np.random.default_rng(0).random(labels.shape) < 0.4
    expected = overlap_table(labels[~ignored], reference[~ignored])
    assert as_dictionary(overlap_table(labels, reference, ignored)) == as_dictionary(expected)
    everything = overlap_table(labels, reference, np.ones(labels.shape, bool))
    assert math.isnan(dsb_score(everything))


def test_255_is_an_object_like_any_other():
    assert overlap_table([255, 255], [255, 0]).iou.tolist() == [0.5]


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="labels hold the id -1"):
        overlap_table([-1, 0], [0, 0])
    with pytest.raises(ValueError, match="ignored has 3 pixels and labels have 2"):
        overlap_table([1, 0], [0, 0], ignored=[1, 0, 0])
    table = overlap_table([1], [1])
    with pytest.raises(ValueError, match="comparison is '=='"):
        match_counts(table, comparison="==")
    with pytest.raises(ValueError, match="method is 'best'"):
        match_counts(table, method="best")
    with pytest.raises(ValueError, match=r"threshold is 50, expected an IoU in 0\.\.1"):
        match_counts(table, [50])


@pytest.mark.parametrize("seed", range(6))
def test_agrees_with_stardist(seed):
    labels, reference = near(seed)
    thresholds = (0.13, 0.29, 0.51, 0.63, 0.77)  # no IoU of these maps lies on one
    counts = match_counts(overlap_table(labels, reference), thresholds, comparison=">=")
    expected = matching(reference, labels, thresh=thresholds)
    rows = [(each.tp, each.fp, each.fn) for each in expected]
    np.testing.assert_array_equal(counts[:, :3], rows)
    oracles = {
        instances.precision: "precision",
        instances.recall: "recall",
        instances.f1: "f1",
        instances.average_precision: "accuracy",
    }
    for score, name in oracles.items():
        np.testing.assert_allclose(score(counts), [getattr(each, name) for each in expected])
    # above 0.5 the matching is unique; StarDist sums in float32
    above = slice(2, None)
    quality = [each.panoptic_quality for each in expected][above]
    np.testing.assert_allclose(instances.panoptic_quality(counts)[above], quality, rtol=1e-6)
    matched = [each.mean_matched_score for each in expected][above]
    found = np.nan_to_num(instances.matched_iou(counts))[above]
    np.testing.assert_allclose(found, matched, rtol=1e-6)


def test_disagreement_at_equality_stardist_matches_and_kaggle_does_not():
    reference, labels = np.array([[1, 1, 0]]), np.array([[1, 0, 0]])
    table = overlap_table(labels, reference)
    assert table.iou.tolist() == [0.5]
    assert match_counts(table, [0.5], comparison=">=")[0, 0] == matching(reference, labels).tp == 1
    assert match_counts(table, [0.5], comparison=">")[0, 0] == 0


def test_disagreement_empty_images_are_undefined_for_us_and_0_for_stardist():
    empty = np.zeros((3, 3), int)
    assert matching(empty, empty).f1 == 0
    counts = count_matches(empty, empty)
    for score in (instances.f1, instances.precision, instances.average_precision):
        assert np.isnan(score(counts)).all()


def test_thresholds_of_the_data_science_bowl_are_the_literals():
    assert DSB_THRESHOLDS == (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
    # np.arange drifts: its 0.6 is larger, so a pair of IoU 3/5 is compared with another number
    assert np.arange(0.5, 1, 0.05)[2] > 0.6


@pytest.mark.parametrize("seed", range(4))
def test_dsb_score_is_the_loop(seed):
    labels, reference = near(seed)
    pairs = slow_pairs(labels, reference)
    count = sum(len(np.unique(each[each > 0])) for each in (labels, reference))
    scores = []
    for threshold in DSB_THRESHOLDS:
        hits = sum(value > threshold for _, value in pairs.values())  # unique above 0.5
        scores.append(hits / (count - hits))
    assert dsb_score(overlap_table(labels, reference)) == pytest.approx(np.mean(scores), rel=1e-12)


def test_one_side_empty_is_0():
    empty, full = np.zeros((3, 3), int), np.eye(3, dtype=int)
    for pair in ((empty, full), (full, empty)):
        table = overlap_table(*pair)
        assert dsb_score(table) == aggregated_jaccard(table) == 0
        counts = match_counts(table)
        for score in (
            instances.precision,
            instances.recall,
            instances.f1,
            instances.panoptic_quality,
        ):
            assert score(counts) == 0
        assert np.isnan(instances.matched_iou(counts)).all()
    pixels = np.zeros((0, 3), int)
    assert len(overlap_table(pixels, pixels).intersections) == 0
    nothing = overlap_table(empty, empty)
    assert math.isnan(aggregated_jaccard(nothing))
    assert math.isnan(aggregated_jaccard(nothing, one_to_one=True))


def slow_aggregated_jaccard(labels, reference):
    shared = union = 0
    used = set()
    for truth in np.unique(reference[reference > 0]):
        mask = reference == truth
        candidates = [each for each in np.unique(labels[mask]) if each]
        if not candidates:
            union += mask.sum()
            continue
        overlap = lambda label: (mask & (labels == label)).sum() / (mask | (labels == label)).sum()  # noqa: B023, E731
        best = max(candidates, key=overlap)
        used.add(best)
        shared += (mask & (labels == best)).sum()
        union += (mask | (labels == best)).sum()
    union += sum(
        (labels == each).sum() for each in np.unique(labels[labels > 0]) if each not in used
    )
    return shared / union if union else math.nan


@settings(max_examples=60)
@given(small_maps, small_maps)
def test_aggregated_jaccard_is_the_loop(labels, reference):
    found = aggregated_jaccard(overlap_table(labels, reference))
    assert found == pytest.approx(slow_aggregated_jaccard(labels, reference), nan_ok=True)


def test_aggregated_jaccard_punishes_a_merged_prediction_twice_unless_one_to_one():
    reference, labels = np.array([1, 1, 2, 2]), np.array([9, 9, 9, 9])
    table = overlap_table(labels, reference)
    assert aggregated_jaccard(table) == (2 + 2) / (4 + 4)
    assert aggregated_jaccard(table, one_to_one=True) == 2 / (4 + 2)


def test_counts():
    table = overlap_table([1, 2, 3, 0], [1, 1, 0, 0])
    assert count_error(table) == (3, 1, 2, 2, 2.0)
    assert count_error(overlap_table([1], [0])).relative == math.inf
    assert math.isnan(count_error(overlap_table([0], [0])).relative)


@settings(max_examples=80)
@given(small_maps, small_maps)
def test_properties(labels, reference):
    table, back = overlap_table(labels, reference), overlap_table(reference, labels)
    counts = match_counts(table, DSB_THRESHOLDS)
    assert (np.diff(counts[:, 0]) <= 0).all()  # a stricter threshold matches less
    np.testing.assert_array_equal(counts[:, 0] + counts[:, 1], len(table.label_ids))
    np.testing.assert_array_equal(counts[:, 0] + counts[:, 2], len(table.reference_ids))
    np.testing.assert_array_equal(match_counts(back, DSB_THRESHOLDS)[:, [0, 2, 1]], counts[:, :3])
    swapped = instances.precision(match_counts(back))
    np.testing.assert_array_equal(instances.recall(match_counts(table)), swapped)
    itself = overlap_table(reference, reference)
    expected = 1 if reference.any() else math.nan
    assert dsb_score(itself) == pytest.approx(expected, nan_ok=True)
    assert aggregated_jaccard(itself) == pytest.approx(expected, nan_ok=True)


def test_counts_of_no_threshold_and_of_several_images_add_up():
    assert match_counts(overlap_table([1], [1]), []).shape == (0, 4)
    images = [near(seed) for seed in range(3)]
    total = sum(count_matches(*each, thresholds=(0.5,), comparison=">=") for each in images)
    hits = sum(matching(reference, labels).tp for labels, reference in images)
    assert total[0, 0] == hits
