from functools import partial

import numpy as np
import pytest
import torch

from fewshot.metrics.accumulate import CountSum, all_gather_object
from fewshot.metrics.calibration import calibration_counts
from fewshot.metrics.instances import count_matches
from fewshot.metrics.overlap import confusion_matrix
from fewshot.metrics.ranking import score_counts
from fewshot.metrics.report import Report
from tests.processes import PROCESSES


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


def shard(rank, folder):
    """What one of two processes does: three images are a shard, the other one is empty."""
    store = torch.distributed.FileStore(str(folder / "store"), 2)
    torch.distributed.init_process_group("gloo", store=store, rank=rank, world_size=2)
    count, report = CountSum(partial(confusion_matrix, classes=2)), Report()
    for image in range(3 * rank):
        count.add([0, 1, 1, image % 2], [0, 1, 0, 1])
        report.add(image, image, {"dice": image / 4})
    for rows in all_gather_object(report.rows):
        report.merge(rows)
    np.save(folder / f"{rank}.npy", count.over_processes().counts)
    report.save_csv(folder / f"{rank}.csv")
    torch.distributed.destroy_process_group()


def test_two_processes_with_uneven_shards_get_the_sum_of_both(tmp_path):
    ranks = [PROCESSES.Process(target=shard, args=(rank, tmp_path)) for rank in range(2)]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join(timeout=120)
        assert process.exitcode == 0
    for rank in range(2):
        np.testing.assert_array_equal(np.load(tmp_path / f"{rank}.npy"), [[3, 3], [2, 4]])
        assert (tmp_path / f"{rank}.csv").read_text().count("\n") == 4


def test_without_a_group_a_sum_is_its_own():
    count = CountSum(partial(confusion_matrix, classes=2))
    assert count.over_processes().counts is None
    count.add([0], [1])
    np.testing.assert_array_equal(count.over_processes().counts, count.counts)
