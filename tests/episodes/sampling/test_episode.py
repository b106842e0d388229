from dataclasses import replace

import pytest
import torch

from episodes.errors import EpisodeError
from episodes.sampling.episode import Episode, Plan, collate, to_channels


def make(way=2, shot=3, query=2, channel=1, side=8, index=0):
    generator = torch.Generator().manual_seed(index)
    plan = Plan(
        index,
        tuple(f"class {i}" for i in range(way)),
        tuple(tuple(f"s{i}{k}" for k in range(shot)) for i in range(way)),
        tuple(f"q{i}" for i in range(query)),
        tuple(f"p{i}" for i in range(query)),
    )
    return Episode(
        torch.rand(way, shot, channel, side, side, generator=generator),
        torch.randint(0, 2, (way, shot, side, side), generator=generator, dtype=torch.uint8),
        torch.rand(query, channel, side, side, generator=generator),
        torch.randint(0, way + 1, (query, side, side), generator=generator, dtype=torch.uint8),
        plan,
    )


def altered(episode, **changes):
    """Change fields past the constructor, where run-time checks of the shapes would step in."""
    copy = replace(episode)
    for name, value in changes.items():
        object.__setattr__(copy, name, value)
    return copy


def test_queries_are_drawn_for_the_ways_in_turn():
    assert make(way=3, query=7).plan.query_ways == (0, 1, 2, 0, 1, 2, 0)


def test_a_sound_episode_is_returned():
    episode = make()
    assert episode.check() is episode
    assert episode.class_names == ("class 0", "class 1")


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("support_masks", (2, 3, 8, 9)),
        ("support_masks", (2, 2, 8, 8)),
        ("query_images", (2, 3, 8, 8)),
        ("query_images", (1, 1, 8, 8)),
        ("query_labels", (3, 8, 8)),
        ("query_labels", (2, 8)),
    ],
)
def test_shapes_that_do_not_fit(name, shape):
    kind = torch.float32 if name == "query_images" else torch.uint8
    wrong = altered(make(), **{name: torch.zeros(shape, dtype=kind)})
    with pytest.raises(EpisodeError, match=rf"{name} has shape .*; expected \(.* for support im"):
        wrong.check()


@pytest.mark.parametrize(
    ("name", "value", "highest"),
    [("support_masks", 2, 1), ("support_masks", 254, 1), ("query_labels", 3, 2)],
)
def test_values_that_mean_nothing(name, value, highest):
    episode = make()
    values = getattr(episode, name).clone()
    values[-1, -1, -1] = value
    with pytest.raises(
        EpisodeError, match=rf"{name} holds {value}; expected 0 to {highest}, or 25"
    ):
        altered(episode, **{name: values}).check()
    values[-1, -1, -1] = 255
    assert altered(episode, **{name: values}).check()


def test_collate_stacks_in_order():
    episodes = [make(index=i) for i in range(3)]
    batch = collate(episodes)
    assert batch.support_images.shape == (3, 2, 3, 1, 8, 8)
    assert batch.support_masks.shape == (3, 2, 3, 8, 8)
    assert batch.query_images.shape == (3, 2, 1, 8, 8)
    assert batch.query_labels.shape == (3, 2, 8, 8)
    assert [plan.index for plan in batch.plans] == [0, 1, 2]
    for number, episode in enumerate(episodes):
        assert torch.equal(batch.support_images[number], episode.support_images)
        assert torch.equal(batch.query_labels[number], episode.query_labels)


def test_collate_makes_grey_episodes_colour():
    batch = collate([make(channel=1), make(channel=3, index=1)])
    assert batch.support_images.shape[3] == batch.query_images.shape[2] == 3
    grey = make(channel=1).query_images
    for channel in range(3):
        assert torch.equal(batch.query_images[0][:, channel], grey[:, 0])


@pytest.mark.parametrize("change", [{"way": 1}, {"shot": 1}, {"query": 1}, {"side": 9}])
def test_collate_refuses_episodes_that_differ(change):
    with pytest.raises(EpisodeError, match="episodes differ in"):
        collate([make(), make(**change)])
    with pytest.raises(EpisodeError, match="no episode to stack; expected at least one"):
        collate([])


def test_batch_moves_and_keeps_its_plans():
    batch = collate([make()])
    moved = batch.to("meta")
    assert moved.plans == batch.plans
    for name in ("support_images", "support_masks", "query_images", "query_labels"):
        assert getattr(moved, name).device.type == "meta"
        assert getattr(moved, name).shape == getattr(batch, name).shape


def test_to_channels():
    grey = torch.arange(8.0).view(2, 1, 2, 2)
    assert to_channels(grey, 1) is grey
    assert torch.equal(to_channels(grey, 3), torch.cat([grey] * 3, dim=1))
