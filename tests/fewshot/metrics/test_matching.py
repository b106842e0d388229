"""Matching of objects: oracles are all permutations and a slow greedy loop."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fewshot.metrics.instances import (
    DSB_THRESHOLDS,
    match_counts,
    overlap_table,
)
from fewshot.metrics.matching import match_pairs
from tests.fewshot.metrics.test_instances import as_dictionary, near, slow_pairs, small_maps


def best_by_brute_force(pairs, threshold, maximise_count):
    """Try every assignment of references to labels."""
    rows, columns = sorted({a for a, _ in pairs}), sorted({b for _, b in pairs})
    columns += [None] * len(rows)
    best = (0, 0.0)
    for order in set(permutations(columns, len(rows))):
        chosen = [pairs.get(key, (0, 0))[1] for key in zip(rows, order, strict=True)]
        passing = [value for value in chosen if value > threshold]
        count = len(passing) if maximise_count else 0
        best = max(best, (count, sum(passing)))
    return best


@settings(max_examples=60)
@given(
    arrays(np.uint8, 14, elements=st.integers(0, 3)),
    arrays(np.uint8, 14, elements=st.integers(0, 3)),
)
def test_optimal_matching_is_the_best_of_all(labels, reference):
    table, pairs = overlap_table(labels, reference), slow_pairs(labels, reference)
    for most in (True, False):
        for threshold in (0.0, 0.15, 0.3):
            found = match_pairs(table, threshold, maximise_count=most)
            value = table.iou[found].sum()
            expected = best_by_brute_force(pairs, threshold, most)
            assert value == pytest.approx(expected[1])
            assert not most or len(found) == expected[0]


def test_more_matches_come_before_better_ones():
    # a chain in which two matches of IoU 19/21 stand against three of hardly any overlap
    reference, labels = np.zeros(41, int), np.zeros(41, int)
    reference[0:20], reference[20:40], reference[40] = 1, 2, 3
    labels[0], labels[1:21], labels[21:41] = 7, 8, 9
    table = overlap_table(labels, reference)
    assert match_counts(table, [0.0])[0, 0] == 3
    assert match_counts(table, [0.0])[0, 3] == pytest.approx(1 / 20 + 1 / 39 + 1 / 20)
    best = match_pairs(table, 0.0, maximise_count=False)
    assert table.iou[best].tolist() == [19 / 21, 19 / 21]


def slow_greedy(pairs, threshold):
    rows, columns, taken = set(), set(), set()
    for (truth, label), (_, value) in sorted(
        pairs.items(), key=lambda item: (-item[1][1], item[0])
    ):
        if value > threshold and truth not in rows and label not in columns:
            rows.add(truth)
            columns.add(label)
            taken.add((truth, label))
    return taken


@settings(max_examples=60)
@given(small_maps, small_maps, st.sampled_from([0.0, 0.1, 0.3]))
def test_greedy_matching_is_the_loop(labels, reference, threshold):
    table = overlap_table(labels, reference)
    found = match_pairs(table, threshold, method="greedy")
    keys = list(as_dictionary(table))
    assert {keys[each] for each in found} == slow_greedy(slow_pairs(labels, reference), threshold)


def test_greedy_can_lose_a_match_that_the_optimum_finds():
    # label 2 fits reference 1 best, but label 1 fits nothing else
    reference = np.array([1, 1, 1, 1, 2, 2])
    labels = np.array([1, 2, 2, 2, 2, 0])
    table = overlap_table(labels, reference)
    counts = {
        method: match_counts(table, [0.1], method=method)[0, 0] for method in ("greedy", "optimal")
    }
    assert counts == {"greedy": 1, "optimal": 2}


@pytest.mark.parametrize("seed", range(5))
def test_greedy_and_optimal_agree_above_one_half(seed):
    table = overlap_table(*near(seed))
    greedy = match_counts(table, DSB_THRESHOLDS, method="greedy")
    np.testing.assert_array_equal(match_counts(table, DSB_THRESHOLDS), greedy)
