"""Workers, ranks and restarts change nothing: the same episodes byte for byte."""

import hashlib
import itertools
import time
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from episodes.augmentation.compose import Augment
from episodes.catalog.class_areas import compute_class_areas
from episodes.catalog.loader import Loader
from episodes.errors import EpisodeError
from episodes.readers import read_catalog
from episodes.sampling.dataloader import BatchLoader, deal
from episodes.sampling.sampler import EpisodeSampler, EpisodeSettings
from episodes.sampling.shared_memory_ring import SharedMemoryRing, batch_bytes
from tests.episodes.sampling.test_sampler import wide

COUNT = 150


@pytest.fixture
def make_sampler(index_set):
    def make(**wanted):
        catalog = compute_class_areas(read_catalog(index_set, subject_pattern=r"p\d+"))
        chosen = EpisodeSettings(query=2, min_area=20, **wanted)
        return EpisodeSampler(catalog, chosen, loader=Loader(32), seed=9, transform=Augment())

    return make


def digests(batches):
    """The bytes of every episode, by its number."""
    found = {}
    for batch in batches:
        for place, plan in enumerate(batch.plans):
            parts = (batch.support_images, batch.support_masks, batch.query_images)
            data = [part[place].numpy().tobytes() for part in (*parts, batch.query_labels)]
            assert plan.index not in found
            found[plan.index] = hashlib.sha256(b"".join(data) + repr(plan).encode()).digest()
    return found


def test_150_episodes_byte_for_byte(make_sampler):
    expected = digests(BatchLoader(make_sampler(), 4, stop=COUNT))
    assert sorted(expected) == list(range(COUNT))
    assert len(set(expected.values())) == COUNT
    for workers in (1, 2):
        batches = list(BatchLoader(make_sampler(), 4, workers=workers, stop=COUNT))
        assert [p.index for batch in batches for p in batch.plans] == list(range(COUNT))
        assert digests(batches) == expected
    shared = {}
    for rank in range(3):
        part = digests(BatchLoader(make_sampler(), 4, rank=rank, world=3, stop=COUNT))
        assert all(index % 3 == rank for index in part)
        shared |= part
    assert shared == expected


def test_workers_wait_for_one_who_takes_slowly(make_sampler):
    expected = digests(BatchLoader(make_sampler(), 1, stop=60))
    found = {}
    for number, batch in enumerate(BatchLoader(make_sampler(), 1, stop=60, workers=2)):
        time.sleep(0.05 if number % 10 == 0 else 0)
        found |= digests([batch])
    assert found == expected


def test_batches_that_do_not_fit_the_ring_arrive_all_the_same(make_sampler):
    sampler = make_sampler(way=(1, 3), shot=(1, 2), group=4, disjoint_subjects=False)
    expected = digests(BatchLoader(sampler, 4, stop=80))
    assert digests(BatchLoader(sampler, 4, stop=80, workers=2)) == expected
    batch, small = itertools.islice(BatchLoader(sampler, 4), 2)
    whole = [batch, small]
    assert SharedMemoryRing(1, batch_bytes(whole) - 1).put(whole, 0, 0) is whole
    assert list(SharedMemoryRing(1, 1).take(whole)) == whole
    ring = SharedMemoryRing(1, batch_bytes(whole))
    first, second = ring.put(whole, 0, 0), ring.put(whole, 0, 1)
    taken = list(ring.take(first))
    ring.put([replace(batch, query_images=batch.query_images + 1)], 0, 4)  # the same place again
    assert digests(taken) == digests(whole) == digests(ring.take(second))
    assert torch.equal(next(ring.take(first)).query_images, batch.query_images + 1)


def test_workers_hand_over_batches_of_any_kind():
    """Tensors of several types and shapes, shared with nobody, and whatever lies beside them."""

    def load(numbers):
        first = torch.arange(numbers[0], numbers[0] + 5)
        parts = {"odd": first[::2] > 1, "none": first[:0].double(), "one": first[1].half()}
        return first.view(torch.uint8)[:3], parts, [numbers, "text"]

    loaders = (BatchLoader(load, 2, stop=60, workers=workers) for workers in (0, 2))
    for one, other in zip(*loaders, strict=True):
        torch.testing.assert_close(other[0], one[0], rtol=0, atol=0)
        torch.testing.assert_close(other[1], one[1], rtol=0, atol=0)
        assert other[2] == one[2]
        other[0].zero_()


def test_a_failure_in_a_worker_arrives_in_its_turn():
    def load(numbers):
        if numbers[0] == 9:
            raise ValueError("the ninth is broken")
        return torch.tensor(numbers[0])

    for workers in (0, 1):
        batches = iter(BatchLoader(load, workers=workers))
        assert [int(next(batches)) for _ in range(7)] == list(range(7))
        with pytest.raises(ValueError, match="the ninth is broken"):
            list(batches)


def test_an_episode_that_cannot_be_drawn_fails_in_its_turn(make_sampler):
    """Episodes are planned ahead, but one that nobody takes must not stop those before it."""
    sampler = make_sampler()
    plan = sampler.plan

    def fail(index):
        if index == 9:
            raise EpisodeError("episode 9 cannot be drawn")
        return plan(index)

    sampler.plan = fail
    batches = iter(BatchLoader(sampler, 2))
    assert [next(batches).plans[0].index for _ in range(4)] == [0, 2, 4, 6]
    with pytest.raises(EpisodeError, match="episode 9 cannot be drawn"):
        next(batches)


@given(st.integers(0, 50), st.integers(1, 4), st.integers(1, 9))
def test_dealt_items_come_back_in_order(count, workers, most):
    hands = [deal(range(count), worker, workers, most) for worker in range(workers)]
    turns = itertools.zip_longest(*hands, fillvalue=[])
    dealt = [items for turn in turns for items in turn]
    assert [item for items in dealt for item in items] == list(range(count))
    assert max(map(len, dealt), default=0) <= most
    assert all(dealt[:workers]) or count < workers


def test_a_restart_in_the_middle(make_sampler):
    size, world, done = 4, 3, 5  # each process was stopped after five batches
    for rank, workers in ((0, 0), (2, 2)):
        where = {"rank": rank, "world": world}
        whole = BatchLoader(make_sampler(), size, **where, stop=120)
        start = done * size * world
        again = BatchLoader(make_sampler(), size, **where, start=start, stop=120, workers=workers)
        plans = [batch.plans for batch in whole]
        assert [batch.plans for batch in again] == plans[done:]
        rest = {i: d for i, d in digests(whole).items() if i >= start}
        assert digests(again) == rest


def test_a_start_inside_a_batch_and_a_short_last_batch(make_sampler):
    stream = BatchLoader(make_sampler(), 3, rank=1, world=2, start=4, stop=15)
    assert [[p.index for p in batch.plans] for batch in stream] == [[5, 7, 9], [11, 13]]
    assert list(BatchLoader(make_sampler(), 3, start=6, stop=6)) == []
    endless = BatchLoader(make_sampler(), 2, start=10**6)
    assert [b.plans[0].index for b in itertools.islice(endless, 2)] == [10**6, 10**6 + 2]


def test_varying_ways_and_shots_stack_in_every_process(make_sampler):
    sampler = make_sampler(way=(1, 3), shot=(1, 2), group=8, disjoint_subjects=False)
    shapes = [[], []]
    for rank in range(2):
        for batch in BatchLoader(sampler, 4, rank=rank, world=2, stop=64, workers=2 * rank):
            assert batch.support_images.shape[0] == 4
            shapes[rank].append(batch.support_images.shape[1:3])
    assert shapes[0] == shapes[1]  # so every process has as much to do
    assert len(set(shapes[0])) > 2


@pytest.mark.parametrize(("group", "start"), [(1, 0), (12, 0), (8, 4)])
def test_batches_that_would_mix_shapes(group, start):
    sampler = EpisodeSampler(wide(), EpisodeSettings(way=(1, 2), group=group))
    with pytest.raises(
        EpisodeError, match=rf"every {group} episodes, .* is 8 episodes .* {start};"
    ):
        BatchLoader(sampler, 4, world=2, start=start)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"batch": 0}, "batch is 0"),
        ({"rank": 2, "world": 2}, "rank 2 of 2; expected 0 <= rank < world"),
        ({"workers": -1}, "workers is -1; expected 0 or more"),
        ({"start": -1}, "start is -1"),
        ({"start": 5, "stop": 4}, "start is 5 and stop 4"),
    ],
)
def test_impossible_streams(wrong, message):
    with pytest.raises(EpisodeError, match=message):
        BatchLoader(EpisodeSampler(wide()), **wrong)


def test_the_stream_is_a_torch_dataset(make_sampler):
    stream = BatchLoader(make_sampler(), 2)
    assert isinstance(stream, torch.utils.data.IterableDataset)
    assert next(iter(stream)).query_images.shape == (2, 2, 1, 32, 32)
