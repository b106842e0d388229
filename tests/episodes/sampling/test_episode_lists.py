import json
from dataclasses import replace

import pytest
import torch

from episodes.augmentation.compose import Augment
from episodes.catalog.class_areas import compute_class_areas
from episodes.catalog.loader import Loader
from episodes.errors import DataError, EpisodeError
from episodes.readers import read_catalog
from episodes.sampling.episode_lists import EpisodeList, Replay, draw_list, load_list
from episodes.sampling.sampler import EpisodeSampler, EpisodeSettings, EpisodeSource


@pytest.fixture
def catalog(index_set):
    return compute_class_areas(read_catalog(index_set, subject_pattern=r"p\d+"))


@pytest.fixture
def sampler(catalog):
    wanted = EpisodeSettings(way=(1, 2), query=2, min_area=20)
    return EpisodeSampler(catalog, wanted, loader=Loader(32), seed=2**64 - 1, transform=Augment())


@pytest.fixture
def saved(sampler, tmp_path):
    return draw_list(sampler, 12).save(tmp_path / "list.json")


def test_a_list_comes_back_and_is_replayed_exactly(sampler, catalog, saved):
    found = load_list(saved)
    assert found == draw_list(sampler, 12)
    assert list(found.plans) == sampler.plans(12)
    assert found.settings["way"] == [1, 2]
    replay = Replay(found, catalog, loader=Loader(32), transform=Augment())
    assert isinstance(replay, EpisodeSource)
    assert len(replay) == 12
    for index in (7, 0, 11):
        one, other = replay.episode(index), sampler.episode(index)
        assert one.plan == other.plan
        assert torch.equal(one.support_images, other.support_images)
        assert torch.equal(one.query_labels, other.query_labels)
    for index in (-1, 12):
        with pytest.raises(EpisodeError, match=f"episode {index} of a list of 12"):
            replay.episode(index)


def change(path, edit):
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    "edit",
    [
        lambda c: c["plans"].reverse(),
        lambda c: c["plans"][0].update(index=3),
        lambda c: c.update(seed=1),
        lambda c: c.update(hash="0"),
        lambda c: c["settings"].update(query=1),
        lambda c: c.pop("checksum"),
    ],
)
def test_a_list_that_somebody_edited(saved, edit):
    change(saved, edit)
    with pytest.raises(DataError, match=r"was changed after it was saved.*Get the original"):
        load_list(saved)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read as an episode list"),
        ("[" * 100_000, "cannot be read as an episode list"),
        ("[]", "is no episode list"),
        ('{"format": "other"}', "is no episode list; expected JSON with the format"),
    ],
)
def test_files_that_are_no_lists(tmp_path, text, message):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        load_list(path)
    with pytest.raises(DataError, match="there is no episode list"):
        load_list(tmp_path / "none.json")


def test_a_list_with_the_right_checksum_and_odd_content(saved):
    from episodes.sampling.episode_lists import _checksum

    content = json.loads(saved.read_text())
    content.pop("checksum")
    for odd, message in (({"plans": [{}]}, "KeyError"), ({"hash": "0"}, "says that its episodes")):
        wrong = {**content, **odd}
        saved.write_text(json.dumps({**wrong, "checksum": _checksum(wrong)}))
        with pytest.raises(DataError, match=message):
            load_list(saved)


def test_another_catalog_is_refused(saved, catalog):
    found = load_list(saved)
    fewer = catalog.filter(lambda sample: sample.key != found.plans[0].query[0])
    key = found.plans[0].query[0]
    with pytest.raises(DataError, match=f"another catalog than 'shapes' .* it lacks {key}"):
        Replay(found, fewer)
    first, *rest = catalog.samples
    moved = replace(catalog, samples=(replace(first, subject="x"), *rest))
    with pytest.raises(DataError, match="it has all images of the list, so masks, subjects"):
        Replay(found, moved)


def test_an_empty_list_keeps_its_catalog(catalog, tmp_path):
    empty = EpisodeList((), 0, {}, "c", catalog.fingerprint)
    assert load_list(empty.save(tmp_path / "e.json")) == empty
    assert len(Replay(empty, catalog)) == 0
