import warnings

import pytest
import torch
from torch.utils.data import TensorDataset

from episodes.catalog.class_areas import compute_class_areas
from episodes.catalog.loader import Loader
from episodes.errors import EpisodeError
from episodes.readers import read_catalog
from episodes.sampling.sampler import EpisodeSampler, EpisodeSettings
from episodes.sampling.task_set import TaskSet, as_pairs


@pytest.fixture
def sampler(index_set):
    catalog = compute_class_areas(read_catalog(index_set, subject_pattern=r"p\d+"))
    wanted = EpisodeSettings(way=2, shot=2, query=3, min_area=20)
    return EpisodeSampler(catalog, wanted, loader=Loader(32), seed=1)


def test_pairs_of_an_episode(sampler):
    episode = sampler.episode(0)
    pairs = as_pairs(episode)
    assert len(pairs) == 2 * 2 + 3
    for number, (image, labels) in enumerate(pairs[:4]):
        way, shot = divmod(number, 2)
        assert torch.equal(image, episode.support_images[way, shot])
        mask = episode.support_masks[way, shot]
        assert labels.dtype == torch.uint8
        assert torch.equal(labels == way + 1, mask == 1)
        assert torch.equal(labels == 0, mask == 0)
        assert torch.equal(labels == 255, mask == 255)
    assert all(torch.equal(a, b) for (_, a), b in zip(pairs[4:], episode.query_labels, strict=True))


@pytest.mark.parametrize("collate", [None, lambda pairs: [labels.sum() for _, labels in pairs]])
def test_the_same_tasks_as_a_learn2learn_task_set(sampler, collate):
    """learn2learn draws and collates; its data descriptions name the images of our plans."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it imports gym, which warns
        import learn2learn as l2l

    episodes = [as_pairs(sampler.episode(index)) for index in range(6)]
    pairs = [pair for episode in episodes for pair in episode]
    images = TensorDataset(*(torch.stack(part) for part in zip(*pairs, strict=True)))

    class Next:
        """A task transform that takes the images of the next episode."""

        number = -1

        def __call__(self, task):
            self.number += 1
            first = self.number * len(episodes[0])
            places = range(first, first + len(episodes[0]))
            return [l2l.data.DataDescription(place) for place in places]

    ours = TaskSet(sampler, 6, collate)
    transforms = [Next(), l2l.data.transforms.LoadData(images)]
    described = l2l.data.MetaDataset(images, indices_to_labels=dict.fromkeys(range(42), 0))
    theirs = l2l.data.Taskset(described, transforms, num_tasks=6, task_collate=collate)
    assert len(ours) == len(theirs) == 6
    for index, task in enumerate(ours):
        expected = theirs[index]
        assert type(task) is type(expected)
        for one, other in zip(task, expected, strict=True):
            assert torch.equal(one, other)
    assert len(ours.sample()) == len(theirs.sample())


def test_samples_repeat_and_differ(sampler):
    first, again = TaskSet(sampler, 6, seed=3), TaskSet(sampler, 6, seed=3)
    drawn = [first.sample()[0] for _ in range(8)]
    assert all(torch.equal(task, again.sample()[0]) for task in drawn)
    assert not all(torch.equal(task, drawn[0]) for task in drawn)
    tasks = [images for images, _ in first]
    assert all(any(torch.equal(task, other) for other in tasks) for task in drawn)


def test_numbers_out_of_range(sampler):
    with pytest.raises(EpisodeError, match="num_tasks is 0; expected at least 1"):
        TaskSet(sampler, 0)
    with pytest.raises(EpisodeError, match="seed is -1"):
        TaskSet(sampler, 3, seed=-1)
    for index in (-1, 3):
        with pytest.raises(IndexError, match=f"task {index} of 3"):
            TaskSet(sampler, 3)[index]
