"""Episodes of emoji: scenes, and designs that differ between support and query."""

import json

import pytest

from episodes import bundled
from episodes.errors import EpisodeError
from episodes.synthetic import EmojiSampler, EmojiSettings


def test_emoji_scenes_show_their_classes_and_keep_novel_ones_out():
    split = json.loads((bundled.path("emoji") / "split.json").read_text(encoding="utf-8"))
    source = EmojiSampler(EmojiSettings(way=2, shot=2, query=3, objects=3, size=96), seed=1)
    seen = set()
    for index in range(12):
        episode = source.episode(index).check()
        assert episode.support_images.shape == (2, 2, 3, 96, 96)
        assert (episode.support_masks == 1).sum(dim=(-2, -1)).min() > 40
        for q, labels in enumerate(episode.query_labels):
            assert (labels == q % 2 + 1).sum() > 40
        seen |= set(episode.class_names)
    assert seen <= set(split["base"])
    assert len(seen) > 15
    novel = EmojiSampler(EmojiSettings(size=64), classes=split["novel"])
    assert set(novel.episode(0).class_names) <= set(split["novel"])
    assert 0 in novel.episode(0).query_labels


def test_emoji_of_another_design_in_the_queries():
    wanted = EmojiSettings(other_design=True, size=64)
    source = EmojiSampler(wanted, seed=1)
    designs = {name: {each.design for each in row} for name, row in source._objects.items()}
    assert set(map(len, designs.values())) == {3}
    drawn = []
    plain_object = source._object
    source._object = lambda name, design, generator: (
        drawn.append(design) or plain_object(name, design, generator)
    )
    source.episode(3)
    assert len(set(drawn[:3])) == len(set(drawn[3:])) == 1  # three objects in either scene
    assert drawn[0] != drawn[-1]


def test_emoji_that_are_not_there():
    with pytest.raises(EpisodeError, match="no emoji yeti; there are snail"):
        EmojiSampler(classes=["yeti"])
    with pytest.raises(EpisodeError, match="2 classes of emoji; expected at least 4"):
        EmojiSampler(classes=["snail", "octopus"])
    for changes in ({"objects": 9}, {"size": 32}, {"way": 0}):
        with pytest.raises(EpisodeError, match=f"{next(iter(changes))} is .*expected"):
            EmojiSettings(**changes)
