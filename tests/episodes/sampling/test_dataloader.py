"""Workers, ranks and restarts change nothing: the same episodes byte for byte."""

import hashlib
import itertools
import time
from dataclasses import replace

import pytest
import torch

from episodes.augmentation.compose import Augment
from episodes.catalog.class_areas import measure
from episodes.catalog.loader import Loader
from episodes.errors import EpisodeError
from episodes.readers import read_catalog
from episodes.sampling.dataloader import EpisodeStream
from episodes.sampling.sampler import EpisodeSampler, EpisodeSettings
from episodes.sampling.shared_memory_ring import Ring, batch_bytes
from tests.episodes.sampling.test_sampler import wide

COUNT = 500


@pytest.fixture
def make_sampler(index_set):
    def make(**wanted):
        catalog = measure(read_catalog(index_set, subject_pattern=r"p\d+"))
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


def test_500_episodes_byte_for_byte(make_sampler):
    expected = digests(EpisodeStream(make_sampler(), 4, stop=COUNT))
    assert sorted(expected) == list(range(COUNT))
    assert len(set(expected.values())) == COUNT
    for workers in (1, 2):
        stream = EpisodeStream(make_sampler(), 4, stop=COUNT)
        batches = list(stream.loader(workers))
        assert [p.index for batch in batches for p in batch.plans] == list(range(COUNT))
        assert digests(batches) == expected
    shared = {}
    for rank in range(3):
        part = digests(EpisodeStream(make_sampler(), 4, rank=rank, world=3, stop=COUNT))
        assert all(index % 3 == rank for index in part)
        shared |= part
    assert shared == expected


def test_workers_wait_for_one_who_takes_slowly(make_sampler):
    expected = digests(EpisodeStream(make_sampler(), 1, stop=60))
    found = {}
    for number, batch in enumerate(EpisodeStream(make_sampler(), 1, stop=60).loader(2)):
        time.sleep(0.05 if number % 10 == 0 else 0)
        found |= digests([batch])
    assert found == expected


def test_batches_that_do_not_fit_the_ring_arrive_all_the_same(make_sampler):
    sampler = make_sampler(way=(1, 3), shot=(1, 2), group=4, disjoint_subjects=False)
    expected = digests(EpisodeStream(sampler, 4, stop=80))
    assert digests(EpisodeStream(sampler, 4, stop=80).loader(2)) == expected
    batch = next(iter(EpisodeStream(sampler, 4)))
    assert Ring(1, batch_bytes(batch) - 1).put(batch, 0, 0) is batch
    ring = Ring(1, batch_bytes(batch))
    first, second = ring.put(batch, 0, 0), ring.put(batch, 0, 1)
    taken = ring.take(first)
    ring.put(replace(batch, query_images=batch.query_images + 1), 0, 4)  # the same place again
    assert torch.equal(taken.query_images, batch.query_images)
    assert torch.equal(ring.take(second).query_images, batch.query_images)
    assert torch.equal(ring.take(first).query_images, batch.query_images + 1)


def test_a_restart_in_the_middle(make_sampler):
    size, world, done = 4, 3, 5  # each process was stopped after five batches
    for rank, workers in ((0, 0), (2, 2)):
        where = {"rank": rank, "world": world}
        whole = EpisodeStream(make_sampler(), size, **where, stop=120)
        again = EpisodeStream(make_sampler(), size, **where, start=done * size * world, stop=120)
        plans = [batch.plans for batch in whole]
        assert [batch.plans for batch in again.loader(workers)] == plans[done:]
        rest = {i: d for i, d in digests(whole).items() if i >= done * size * world}
        assert digests(again) == rest


def test_a_start_inside_a_batch_and_a_short_last_batch(make_sampler):
    stream = EpisodeStream(make_sampler(), 3, rank=1, world=2, start=4, stop=15)
    assert [[p.index for p in batch.plans] for batch in stream] == [[5, 7, 9], [11, 13]]
    assert list(EpisodeStream(make_sampler(), 3, start=6, stop=6)) == []
    endless = EpisodeStream(make_sampler(), 2, start=10**6)
    assert [b.plans[0].index for b in itertools.islice(endless, 2)] == [10**6, 10**6 + 2]


def test_varying_ways_and_shots_stack_in_every_process(make_sampler):
    sampler = make_sampler(way=(1, 3), shot=(1, 2), group=8, disjoint_subjects=False)
    shapes = [[], []]
    for rank in range(2):
        for batch in EpisodeStream(sampler, 4, rank=rank, world=2, stop=64).loader(2 * rank):
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
        EpisodeStream(sampler, 4, world=2, start=start)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"batch": 0}, "batch is 0"),
        ({"rank": 2, "world": 2}, "rank 2 of 2; expected 0 <= rank < world"),
        ({"start": -1}, "start is -1"),
        ({"start": 5, "stop": 4}, "start is 5 and stop 4"),
    ],
)
def test_impossible_streams(wrong, message):
    with pytest.raises(EpisodeError, match=message):
        EpisodeStream(EpisodeSampler(wide()), **wrong)
    with pytest.raises(EpisodeError, match="workers is -1"):
        EpisodeStream(EpisodeSampler(wide())).loader(-1)


def test_the_stream_is_a_torch_dataset(make_sampler):
    stream = EpisodeStream(make_sampler(), 2)
    assert isinstance(stream, torch.utils.data.IterableDataset)
    assert next(iter(stream)).query_images.shape == (2, 2, 1, 32, 32)
