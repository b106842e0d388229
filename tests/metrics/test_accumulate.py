from functools import partial

import numpy as np
import pytest
import torch

from fewshot.metrics.accumulate import CountSum
from fewshot.metrics.calibration import calibration_counts
from fewshot.metrics.instances import count_matches
from fewshot.metrics.overlap import confusion_matrix
from fewshot.metrics.ranking import score_counts


def probabilities(generator):
    chances = generator.random((3, 8, 8)) + 0.1
    return chances / chances.sum(axis=0)


COUNTERS = {
    "overlap": (partial(confusion_matrix, classes=3), lambda g: g.integers(0, 3, (8, 8))),
    "instances": (
        partial(count_matches, thresholds=(0.1, 0.5)),
        lambda g: g.integers(0, 3, (8, 8)),
    ),
    "ranking": (partial(score_counts, bins=7), lambda g: g.random((8, 8))),
    "calibration": (partial(calibration_counts, bins=7), probabilities),
}


@pytest.mark.parametrize("family", COUNTERS)
def test_ranks_that_merge_equal_one_process(family):
    count, predict = COUNTERS[family]
    generator = np.random.default_rng(0)
    items = [(predict(generator), generator.integers(0, 2, (8, 8))) for _ in range(7)]
    whole, ranks = CountSum(count), [CountSum(count) for _ in range(3)]
    for index, item in enumerate(items):
        whole.add(*item)
        ranks[index % 3].add(*item)
    idle = CountSum(count)  # a rank without data
    idle.merge([torch.from_numpy(rank.counts) for rank in ranks])
    idle.merge([None])
    np.testing.assert_allclose(idle.counts, whole.counts, rtol=1e-12)


def test_first_state_is_copied_and_shapes_are_checked():
    state = np.ones((2, 2), int)
    total = CountSum(partial(confusion_matrix, classes=2))
    total.merge([state])
    total.add([0], [0])
    assert state.sum() == 4
    with pytest.raises(ValueError, match=r"shape \(3, 3\), expected \(2, 2\)"):
        total.merge([np.ones((3, 3), int)])
