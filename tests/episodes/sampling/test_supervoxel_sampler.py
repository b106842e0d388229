import itertools
from collections import Counter

import nibabel as nib
import numpy as np
import pytest
import torch

from episodes.catalog.catalog import Catalog
from episodes.catalog.loader import Loader
from episodes.errors import DataError, EpisodeError
from episodes.readers import read_catalog
from episodes.sampling.superpixel_sampler import SuperpixelSettings
from episodes.sampling.supervoxel_sampler import SupervoxelSampler, contiguous_runs

DEPTH, SIDE = 10, 64


def parts():
    """Three supervoxels: in all slices, in slices 3 to 6, and in the last two."""
    regions = np.zeros((DEPTH, SIDE, SIDE), np.uint16)
    regions[:, 4:24, 4:60] = 1
    regions[3:7, 30:60, 4:30] = 2
    regions[8:, 30:60, 34:60] = 3
    regions[5, 30:60, 34:40] = 3  # 180 pixels: too few
    return regions


def cut(volume, spacing):
    assert spacing == (5.0, 1.0, 1.0)
    assert volume.shape == (DEPTH, SIDE, SIDE)
    return parts()


@pytest.fixture
def scans(tmp_path):
    """Two volumes whose slices tell their number by their brightness."""
    for name in ("a", "b"):
        ramp = np.broadcast_to(np.arange(DEPTH) + 1.0, (SIDE, SIDE, DEPTH)).copy()
        ramp[0] = 0
        ramp += np.random.default_rng(0).random(ramp.shape) / 10
        image = nib.Nifti1Image(ramp.astype(np.float32), np.diag([-1.0, -1.0, 5.0, 1.0]))
        nib.save(image, tmp_path / f"image_{name}.nii.gz")
    return read_catalog(tmp_path)


def still(image, labels, generator):
    return image, labels


def plane(key):
    return int(key.split("#")[1])


def sampler(scans, **settings):
    return SupervoxelSampler(
        scans,
        SuperpixelSettings(**settings),
        loader=Loader(SIDE),
        segment_regions=cut,
        transform=still,
        seed=4,
    )


def test_every_supervoxel_and_every_pair_of_slices_is_drawn(scans):
    source, drawn = sampler(scans), Counter()
    regions = parts()
    for index in range(400):
        episode = source.episode(index).check()
        ((support,),), (query,) = episode.plan.support, episode.plan.query
        first, second = plane(support), plane(query)
        assert abs(first - second) == 1
        assert support.split("#")[0] == query.split("#")[0]
        mask, labels = episode.support_masks[0, 0].numpy(), episode.query_labels[0].numpy()
        (region,) = np.unique(regions[first][mask == 1]).tolist()
        assert (mask == (regions[first] == region)).all()
        assert (labels == (regions[second] == region)).all()
        assert min(mask.sum(), labels.sum()) >= 200
        drawn[region, first, second] += 1
    assert {key[0] for key in drawn} == {1, 2, 3}
    pairs = {1: range(9), 2: range(3, 6), 3: [8]}
    both = {(r, z, z + 1) for r, starts in pairs.items() for z in starts}
    assert set(drawn) == both | {(r, b, a) for r, a, b in both}
    by_region = Counter()
    for (region, _, _), count in drawn.items():
        by_region[region] += count
    assert min(by_region.values()) > 95  # 133 expected, standard deviation 9


def test_shots_are_neighbouring_slices_of_one_supervoxel(scans):
    source = sampler(scans, shot=3)
    for index in range(40):
        episode = source.episode(index).check()
        planes = [plane(key) for key in (*episode.plan.support[0], episode.plan.query[0])]
        assert abs(planes[3] - planes[0]) == 3
        assert len({b - a for a, b in itertools.pairwise(planes)}) == 1
        brightness = [image.mean().item() for image in episode.support_images[0]]
        assert len(set(brightness)) == 3


def test_several_ways_are_different_supervoxels(scans):
    source = sampler(scans, way=2, query=3)
    regions, seen = parts(), set()
    for index in range(40):
        episode = source.episode(index).check()
        assert episode.support_images.shape == (2, 1, 1, SIDE, SIDE)
        numbers = []
        for way in (1, 2):
            z = plane(episode.plan.support[way - 1][0])
            (region,) = np.unique(regions[z][episode.support_masks[way - 1, 0] == 1]).tolist()
            numbers.append(region)
        assert len(set(numbers)) == 2
        seen.add(tuple(sorted(numbers)))
        for q, key in enumerate(episode.plan.query):
            expected = np.zeros((SIDE, SIDE), np.uint8)
            for way, region in enumerate(numbers, start=1):
                expected[regions[plane(key)] == region] = way
            assert (episode.query_labels[q].numpy() == expected).all()
            assert (expected == q % 2 + 1).sum() >= 200
    # Supervoxel 3 spans two slices: never a shot and two queries of it.
    assert seen == {(1, 2)}


def test_a_pure_function_of_seed_and_number(scans):
    def make(seed):
        return SupervoxelSampler(scans, loader=Loader(SIDE), segment_regions=cut, seed=seed)

    first, again, other = make(1), make(1), make(2)
    episodes = [first.episode(i) for i in range(6)]
    torch.manual_seed(3)
    for i in (4, 1, 5, 0, 3, 2):
        repeated = again.episode(i)
        assert repeated.plan == episodes[i].plan
        assert torch.equal(repeated.support_images, episodes[i].support_images)
        assert torch.equal(repeated.query_labels, episodes[i].query_labels)
    assert [other.episode(i).plan for i in range(6)] != [e.plan for e in episodes]


def test_missing_slices_split_a_volume(scans):
    some = scans.filter(lambda sample: sample.image.plane not in (4, 7))
    runs = contiguous_runs(some)
    planes = [[sample.image.plane for sample in run] for run in runs]
    assert planes == 2 * [[0, 1, 2, 3], [5, 6], [8, 9]]
    seen = []
    source = SupervoxelSampler(
        some,
        loader=Loader(SIDE),
        transform=still,
        segment_regions=lambda v, s: seen.append(len(v)) or ones(v),
    )
    pairs = {
        (plane(e.plan.support[0][0]), plane(e.plan.query[0]))
        for e in map(source.episode, range(200))
    }
    assert sorted(seen) == [2, 2, 2, 2, 4, 4]
    assert {tuple(sorted(pair)) for pair in pairs} == {(0, 1), (1, 2), (2, 3), (5, 6), (8, 9)}


def ones(volume):
    return np.ones(volume.shape, np.uint16)


def test_supervoxels_from_files(scans, tmp_path):
    folder = tmp_path / "supervoxels"
    folder.mkdir()
    files = {}
    for sample in scans.samples:
        path = folder / f"regions_{sample.image.path.name}"
        values = parts().transpose(2, 1, 0).astype(np.int16)
        nib.save(nib.Nifti1Image(values, np.diag([-1.0, -1.0, 5.0, 1.0])), path)
        files[sample.image.path] = path
    source = SupervoxelSampler(scans, loader=Loader(SIDE), files=files, transform=still, seed=4)
    assert (source.regions(0) == parts()).all()
    plain = sampler(scans)
    for index in range(5):
        assert source.episode(index).plan == plain.episode(index).plan
    files.popitem()
    with pytest.raises(DataError, match="has no file of supervoxels; name one for every image"):
        SupervoxelSampler(scans, files=files)


def test_the_transform_changes_the_chosen_side_alone(scans):
    def black(image, labels, generator):
        return torch.zeros_like(image), labels

    loader = Loader(SIDE)
    source = SupervoxelSampler(scans, loader=loader, segment_regions=cut, transform=black, seed=4)
    for index in (0, 1):  # the support and the queries in turn
        episode = source.episode(index)
        assert bool(episode.support_images.any()) == (index == 1)
        assert bool(episode.query_images.any()) == (index == 0)


def test_nothing_to_draw_from(scans):
    with pytest.raises(EpisodeError, match="no volume of several slices; take SuperpixelSampler"):
        SupervoxelSampler(scans.filter(lambda sample: sample.image.plane == 3))
    with pytest.raises(EpisodeError, match="no volume of several slices"):
        SupervoxelSampler(Catalog((), (), "none"))
    with pytest.raises(EpisodeError, match=r"less than 4 supervoxels with 200 pixels in 2"):
        sampler(scans, way=4).episode(0)
    with pytest.raises(EpisodeError, match=r"in 11 neighbouring slices; lower min_area"):
        sampler(scans, shot=10).episode(0)
    with pytest.raises(EpisodeError, match="min_area is 0"):
        SupervoxelSampler(scans, min_area=0)


def test_published_supervoxels_of_real_scans(real_data):
    root = real_data("chaos_t2")
    catalog = read_catalog(root).of_subjects(["1"])
    path = catalog.samples[0].image.path
    files = {path: root / "supervoxels_5000" / "superpix-MIDDLE_1.nii.gz"}
    for settings in ({"files": files}, {}):
        source = SupervoxelSampler(catalog, SuperpixelSettings(way=2, shot=2), **settings)
        episode = source.episode(0).check()
        assert (episode.support_masks == 1).sum(dim=(-2, -1)).min() > 50
        sizes = np.bincount(source.regions(0).ravel())[1:]
        assert len(sizes) > 15
        assert sizes.min() >= (5000 if not settings else 1)
