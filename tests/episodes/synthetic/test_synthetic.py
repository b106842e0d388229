import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from episodes.errors import EpisodeError
from episodes.sampling.episode import collate
from episodes.sampling.sampler import EpisodeSource
from episodes.synthetic import EmojiSampler, EmojiSettings, SyntheticSampler, SyntheticSettings
from episodes.synthetic.anatomy import draw_anatomy, draw_subject
from episodes.synthetic.appearance import Appearance, draw_appearance, render
from episodes.synthetic.cells import draw_cells, draw_label_map
from episodes.synthetic.difficulty import EASIEST, HARDEST, interpolate_difficulty
from episodes.synthetic.shapes import FAMILIES, REACH, Shape, draw_shape, inside, vary

SMALL = {"size": 64}


def grid(side=200, reach=1.0):
    places = ((np.arange(side, dtype=np.float32) + 0.5) / side - 0.5) * 2 * reach
    return np.meshgrid(places, places)


def plain(family, **changes):
    """A shape of the given family without waves, at the centre, of radius 0.5."""
    fields = {
        "centre": (0.0, 0.0),
        "radius": 0.5,
        "aspect": 1.0,
        "angle": 0.0,
        "waves": np.zeros((4, 2)),
        "thickness": 0.4,
    } | changes
    return Shape(family, **fields)


def test_shapes_by_hand():
    columns, rows = grid()
    pixel = (columns[0, 1] - columns[0, 0]) ** 2
    disc = inside(plain("blob"), columns, rows)
    assert disc.sum() * pixel == pytest.approx(np.pi / 4, rel=0.01)
    long = inside(plain("blob", aspect=4.0, angle=np.pi / 2), columns, rows)
    assert long.sum() * pixel == pytest.approx(np.pi / 4, rel=0.03)  # the area stays
    assert long.any(axis=1).sum() == pytest.approx(200, abs=2)  # half axis 1, down
    assert long.any(axis=0).sum() == pytest.approx(50, abs=2)
    ring = inside(plain("ring"), columns, rows)
    assert (ring == 2).sum() / (ring > 0).sum() == pytest.approx(0.36, abs=0.01)
    assert ring[100, 100] == 2
    tube = inside(plain("tube", thickness=0.1), columns, rows)
    assert tube.sum() * pixel == pytest.approx(2 * 1.2 * 0.5 * 0.1, rel=0.05)
    for family in ("bean", "crescent", "cluster"):
        part = inside(plain(family), columns, rows)
        assert 0.05 < part.sum() / disc.sum() < 0.95
        assert (disc[part > 0] == 1).all()


def test_a_cluster_is_many_small_blobs_in_new_places():
    columns, rows = grid(400)
    cells = inside(plain("cluster", thickness=0.6), columns, rows)
    assert 15 < ndimage.label(cells)[1] < 60
    other = inside(plain("cluster", thickness=0.6, seed=1), columns, rows)
    assert (cells != other).sum() > 0.5 * cells.sum()


@pytest.mark.parametrize("family", FAMILIES)
@given(seed=st.integers(0, 2**32))
@settings(max_examples=10, deadline=None)
def test_shapes_stay_in_reach_and_are_thin_or_whole(family, seed):
    generator = np.random.default_rng(seed)
    shape = draw_shape(family, (0.1, -0.1), 0.2, generator)
    changed = vary(shape, 0.02, generator)
    columns, rows = grid(120, reach=0.6)
    for each in (shape, changed):
        found = inside(each, columns, rows)
        assert found.dtype == np.uint8
        assert found.any()
        away = np.hypot(columns - each.centre[0], rows - each.centre[1])
        assert away[found > 0].max() < each.radius * np.sqrt(each.aspect) * REACH
        assert (2 in found) <= each.has_core


def test_levels_mean_what_they_say():
    assert interpolate_difficulty(0) == EASIEST
    assert interpolate_difficulty(1) == HARDEST
    half = interpolate_difficulty(0.5)
    for name in vars(half):
        low, high = sorted((getattr(EASIEST, name), getattr(HARDEST, name)))
        assert low < getattr(half, name) < high
    assert EASIEST.contrast / EASIEST.noise == pytest.approx(28)
    assert HARDEST.contrast / HARDEST.noise == pytest.approx(2.3, abs=0.02)
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(EpisodeError, match="difficulty is"):
            interpolate_difficulty(wrong)


def overlap(difficulty, microscopy=0.0):
    """Mean Dice of pasting the support's mask on the query."""
    wanted = SyntheticSettings(difficulty=difficulty, microscopy=microscopy, **SMALL)
    source, scores = SyntheticSampler(wanted, seed=2), []
    for index in range(40):
        episode = source.episode(index)
        mask, labels = episode.support_masks[0, 0] == 1, episode.query_labels[0] == 1
        scores.append(2 * (mask & labels).sum().item() / (mask.sum() + labels.sum()).item())
    return np.mean(scores)


def test_subjects_share_the_layout_and_differ_more_when_it_is_harder():
    easy, middle, hard = (overlap(difficulty) for difficulty in (0.0, 0.5, 1.0))
    assert easy > 0.7
    assert easy > middle + 0.05 > hard + 0.1
    assert hard > 0.1  # still the same layout
    assert overlap(0.0, microscopy=1.0) < 0.3  # cells lie anywhere


def test_structures_stand_out_less_when_it_is_harder():
    def contrast(difficulty):
        wanted = SyntheticSettings(difficulty=difficulty, microscopy=0.0, **SMALL)
        source, found = SyntheticSampler(wanted, seed=3), []
        for index in range(40):
            episode = source.episode(index)
            image, mask = episode.query_images[0, 0].numpy(), episode.query_labels[0].numpy() == 1
            around = ndimage.binary_dilation(mask, iterations=4)
            around &= ~ndimage.binary_dilation(mask, iterations=1)
            spread = image[around].std() + image[mask].std()
            found.append(abs(image[mask].mean() - image[around].mean()) / spread)
        return np.median(found)

    assert contrast(0.0) > 1.5 * contrast(1.0)


@given(
    st.integers(1, 3),
    st.integers(1, 2),
    st.integers(1, 3),
    st.sampled_from([0.0, 1.0]),
    st.sampled_from([1, 3]),
    st.integers(0, 2**32),
)
@settings(max_examples=20, deadline=None)
def test_every_image_shows_every_class(way, shot, query, microscopy, channel, index):
    wanted = SyntheticSettings(way, shot, query, 64, channel, 0.4, microscopy)
    episode = SyntheticSampler(wanted).episode(index).check()
    assert episode.support_images.shape == (way, shot, channel, 64, 64)
    assert episode.query_labels.shape == (query, 64, 64)
    for images in (episode.support_images, episode.query_images):
        assert images.dtype == torch.float32
        assert 0 <= images.min() <= images.max() <= 1
        assert images.std() > 0.02
    assert (episode.support_masks == 1).sum(dim=(-2, -1)).min() >= 9
    for labels in episode.query_labels:
        assert set(labels.unique().tolist()) == set(range(way + 1))
    assert len(set(episode.class_names)) == way
    keys = [*(key for row in episode.plan.support for key in row), *episode.plan.query]
    assert len(set(keys)) == way * shot + query


@pytest.mark.parametrize(
    "make",
    [
        lambda seed: SyntheticSampler(SyntheticSettings(way=2, microscopy=0.5, **SMALL), seed),
        lambda seed: EmojiSampler(EmojiSettings(way=2, **SMALL), seed),
    ],
    ids=["synthetic", "emoji"],
)
def test_a_pure_function_of_seed_and_number(make):
    source, again, other = make(5), make(5), make(6)
    assert isinstance(source, EpisodeSource)
    episodes = [source.episode(i) for i in range(6)]
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002 - the global state that must not matter
    for i in (3, 5, 0, 4, 1, 2):
        repeated = again.episode(i)
        assert repeated.plan == episodes[i].plan
        for name in ("support_images", "support_masks", "query_images", "query_labels"):
            assert torch.equal(getattr(repeated, name), getattr(episodes[i], name))
    assert not torch.equal(other.episode(0).query_images, episodes[0].query_images)
    assert len({e.class_names for e in episodes}) > 1
    batch = collate(episodes)
    assert batch.support_images.shape[:3] == (6, 2, 1)
    with pytest.raises(EpisodeError, match="seed is -1"):
        make(-1)


def test_nested_structures_and_thin_ones_are_classes_too():
    source = SyntheticSampler(SyntheticSettings(way=4, microscopy=0.3, **SMALL), seed=1)
    names = {name.rsplit(" ", 1)[0] for i in range(60) for name in source.episode(i).class_names}
    assert names == {
        *("blob", "bean", "crescent", "tube", "cluster", "ring wall", "ring core"),
        *("cell", "cell rim", "cell core"),
    }


def test_the_core_of_a_ring_is_within_its_wall():
    level, found = interpolate_difficulty(0.3), 0
    for seed in range(30):
        generator = np.random.default_rng(seed)
        task = draw_anatomy(3, 96, level, generator)
        labels = draw_subject(task, 96, level, generator)
        assert labels.max() < task.numbers
        names = task.classes()
        for number, name in names.items():
            core = labels == number + 1
            if name == "ring wall" and core.sum() > 40:
                ring = ndimage.binary_dilation(core, iterations=1) & ~core
                assert (labels[ring] == number).mean() > 0.3  # others may lie on top
                found += 1
    assert found > 5


def test_label_maps_of_micrographs_hold_many_cells():
    level = interpolate_difficulty(0.2)
    counts = []
    for seed in range(10):
        generator = np.random.default_rng(seed)
        task = draw_cells(2, 128, level, generator)
        labels = draw_label_map(task, 128, level, generator)
        assert labels.max() < task.numbers
        assert len(task.classes()) >= 2
        counts.append(ndimage.label(labels > 0)[1])
    assert min(counts) >= 8
    assert max(counts) > 60


def test_distractors_look_like_classes_as_often_as_stated():
    alike = []
    for seed in range(150):
        generator = np.random.default_rng(seed)
        task = draw_anatomy(1, 32, HARDEST, generator)
        pairs = task.draw_lookalikes(HARDEST, generator)
        classes = task.classes()
        assert not set(pairs) & set(classes)
        alike.append(len(pairs) / 2 / (len(task.structures) - task.foreground))
        assert task.draw_lookalikes(EASIEST, generator) == {}
    assert np.mean(alike) == pytest.approx(HARDEST.resemblance, abs=0.05)
    looks = draw_appearance(9, 1, 7, {8: 7}, EASIEST, generator)
    assert looks.means[8] == looks.means[7]


@pytest.mark.parametrize("plain_numbers", [1, 7])
def test_a_core_never_looks_like_its_wall(plain_numbers):
    for seed in range(100):
        generator = np.random.default_rng(seed)
        for level in (EASIEST, HARDEST):
            looks = draw_appearance(plain_numbers + 6, 1, plain_numbers, {}, level, generator)
            walls, cores = (looks.means[plain_numbers + core :: 2, 0] for core in (0, 1))
            assert abs(walls - cores).min() > 0.5 * level.contrast


def test_rendering_shows_the_means_it_was_given():
    generator = np.random.default_rng(0)
    labels = np.zeros((128, 128), np.uint8)
    labels[32:96, 32:96] = 7
    means = np.array([[0.3], *[[0.0]] * 6, [0.6]], np.float32)
    looks = Appearance(means, np.full((3, 8), 0.02, np.float32))
    images = torch.stack([render(labels, looks, EASIEST, generator) for _ in range(20)])
    for number, part in ((7, images[..., 40:88, 40:88]), (0, images[..., :24, :24])):
        assert part.mean() == pytest.approx(means[number, 0], abs=0.03)


@pytest.mark.parametrize(
    "changes",
    [
        {"way": 0},
        {"way": 11},
        {"shot": 0},
        {"query": 0},
        {"size": 16},
        {"size": 5000},
        {"channel": 2},
        {"difficulty": 2.0},
        {"microscopy": -0.1},
        {"min_area_fraction": 0.5},
    ],
)
def test_settings_that_make_no_sense(changes):
    with pytest.raises(EpisodeError, match=f"{next(iter(changes))} is .*expected"):
        SyntheticSettings(**changes)


def test_a_task_that_cannot_be_drawn_is_told(monkeypatch):
    monkeypatch.setattr("episodes.synthetic.sampler._TRIES", 2)
    wanted = SyntheticSettings(way=10, shot=2, difficulty=1.0, min_area_fraction=0.049, **SMALL)
    with pytest.raises(EpisodeError, match="none of 2 tasks had 10 structures"):
        SyntheticSampler(wanted).episode(0)
