import itertools
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from episodes.catalog.letterbox import Letterbox
from episodes.errors import DataError, EpisodeError
from episodes.io.write import write_mask
from episodes.sampling.superpixel_cache import RegionCache, fingerprint, load_regions, save_regions
from episodes.sampling.superpixels import Felzenszwalb, Slic, number_regions
from episodes.sampling.supervoxels import (
    MergedVoxels,
    SlicVoxels,
    merge,
    neighbours,
    read_supervoxels,
)


def boxes():
    """Two bright boxes of different levels in the dark, through all 12 slices."""
    volume = torch.zeros(12, 48, 48)
    volume[:, 6:22, 6:42] = 0.4
    volume[:, 26:42, 6:42] = 0.9
    return volume


@pytest.mark.parametrize("cut", [Felzenszwalb(min_area_fraction=0.02), Slic(40)])
@pytest.mark.parametrize("channel", [1, 3])
def test_superpixels_keep_to_the_edges(cut, channel):
    image = boxes()[0].expand(channel, 48, 48)
    regions = cut(image)
    assert regions.dtype == np.uint16
    assert set(np.unique(regions)) == set(range(regions.max() + 1))
    assert (regions[:4] == 0).all()
    inside = set(np.unique(regions[8:20, 8:40]))
    below = set(np.unique(regions[28:40, 8:40]))
    assert 0 not in inside | below
    assert not inside & below


@pytest.mark.parametrize(("least", "expected"), [(5, [0, 0, 1, 2]), (6, [0, 0, 1, 1])])
def test_regions_of_the_least_size_stay_and_smaller_ones_are_joined(least, expected):
    """Two of one intensity, and two far from all others, the last of five voxels."""
    means, sizes = np.array([0.1, 0.11, 0.9, 0.5]), np.array([4, 4, 7, 5])
    edges = np.array([[0, 1], [1, 2], [2, 3]])
    assert merge(means, sizes, edges, 0.05, least).tolist() == expected


def test_a_region_that_grew_is_harder_to_join():
    """The limit is the largest difference inside, and the scale over the number of parts."""
    means, sizes = np.array([0.0, 0.04, 0.1]), np.array([9, 9, 9])
    edges = np.array([[0, 1], [1, 2]])
    for scale, expected in ((0.03, [0, 1, 2]), (0.055, [0, 0, 1]), (0.065, [0, 0, 0])):
        assert merge(means, sizes, edges, scale, 1).tolist() == expected
    grown = np.array([0.0, 0.01, 0.06])  # 0.05 is within 0.05 of one, and not of two
    assert merge(grown, sizes, edges, 0.051, 1).tolist() == [0, 0, 1]


@pytest.mark.parametrize("cut", [SlicVoxels(100), MergedVoxels(300, min_voxels=200)])
def test_supervoxels_keep_to_the_edges_and_run_through_slices(cut):
    regions = cut(boxes(), (2.0, 1.0, 1.0))
    assert regions.dtype == np.uint16
    assert regions.shape == (12, 48, 48)
    assert set(np.unique(regions)) == set(range(regions.max() + 1))
    inside, below = regions[:, 8:20, 8:40], regions[:, 28:40, 8:40]
    assert not set(np.unique(inside)) & set(np.unique(below))
    assert any(((regions == n).any((1, 2)).sum() > 1) for n in np.unique(inside))


def test_merged_supervoxels_find_the_boxes_whole():
    regions = MergedVoxels(300, min_voxels=200)(boxes(), (2.0, 1.0, 1.0))
    assert len(np.unique(regions[:, 8:20, 8:40])) == 1
    assert len(np.unique(regions[:, 28:40, 8:40])) == 1


def test_small_supervoxels_are_joined():
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(8, 40, 40, generator=generator) * 0.5 + 0.3
    regions = MergedVoxels(200, min_voxels=500, scale=0.0)(noise, (3.0, 1.0, 1.0))
    assert np.bincount(regions.ravel())[1:].min() >= 500
    assert regions.min() == 1  # nothing is dark


def test_spacing_decides_how_far_supervoxels_reach():
    noise = torch.from_numpy(np.random.default_rng(0).random((16, 32, 32), np.float32)) * 0.2 + 0.4
    reach = []
    for spacing in ((1.0, 1.0, 1.0), (8.0, 1.0, 1.0)):
        regions = SlicVoxels(60, compactness=1.0, rounds=10)(noise, spacing)
        depths = [box[0].stop - box[0].start for box in ndimage.find_objects(regions)]
        reach.append(np.mean(depths))
    assert reach[1] < 0.6 * reach[0]


@given(st.integers(0, 2**32))
@settings(max_examples=20, deadline=None)
def test_neighbours_by_a_slow_reference(seed):
    regions = np.random.default_rng(seed).integers(0, 6, (3, 4, 5))
    expected = set()
    for place in itertools.product(range(3), range(4), range(5)):
        for axis in range(3):
            other = tuple(p + (a == axis) for a, p in enumerate(place))
            if all(o < n for o, n in zip(other, regions.shape, strict=True)):
                pair = sorted((regions[place], regions[other]))
                if pair[0] != pair[1]:
                    expected.add((int(pair[0]), int(pair[1])))
    assert {tuple(pair) for pair in neighbours(regions).tolist()} == expected


def test_merging_by_hand():
    means, sizes = np.array([0.0, 0.1, 0.5, 0.55]), np.array([10, 10, 10, 2])
    chain = np.array([[0, 1], [1, 2], [2, 3]])
    # Differences 0.1, 0.4, 0.05: with 0.08 only the last joins; 2 voxels are too few alone.
    assert merge(means, sizes, chain, 0.08, 1).tolist() == [0, 1, 2, 2]
    assert merge(means, sizes, chain, 0.0, 3).tolist() == [0, 1, 2, 2]
    assert merge(means, sizes, chain, 0.0, 1).tolist() == [0, 1, 2, 3]
    # 0.15 joins both ends; in the middle 0.4 is more than 0.1 + 0.15 / 2.
    assert merge(means, sizes, chain, 0.15, 1).tolist() == [0, 0, 1, 1]
    assert merge(means, sizes, chain, 1.0, 1).tolist() == [0, 0, 0, 0]
    assert merge(means, sizes, np.empty((0, 2), int), 1.0, 99).tolist() == [0, 1, 2, 3]


def test_numbers_have_no_gap_and_no_more_than_two_bytes():
    regions = np.array([[4, 4, 0], [9, 2, 2]])
    pixels = np.array([[1.0, 1.0, 1.0], [0.0, 1.0, 0.3]])
    assert number_regions(regions, pixels, 0.5).tolist() == [[3, 3, 1], [0, 2, 2]]
    many = np.arange(65536)
    assert number_regions(many[:-1], np.ones(65535), 0.5).max() == 65535
    with pytest.raises(EpisodeError, match=r"65,536 regions; .* Raise the smallest region"):
        number_regions(many, np.ones(65536), 0.5)


def test_supervoxels_from_files(tmp_path):
    values = np.zeros((3, 40, 20), np.uint16)
    values[:, 10:20] = 7
    values[1:, 20:30] = 300
    path = tmp_path / "supervoxels.tif"
    write_mask(path, values)
    regions = read_supervoxels(path, 3, Letterbox(40, 20, 80))
    assert regions.shape == (3, 80, 80)
    assert regions[:, :, :20].max() == 0  # padding
    assert (regions[:, 20:40, 20:60] == 1).all()
    assert (regions[1:, 40:60, 20:60] == 2).all()
    assert regions[0].max() == 1
    with pytest.raises(DataError, match="are 3 x 40 x 20; expected 4 x 40 x 20 like the image"):
        read_supervoxels(path, 4, Letterbox(40, 20, 80))
    write_mask(path, values + 1)  # without any 0 every value is a region
    assert read_supervoxels(path, 3, Letterbox(40, 20, 40)).max() == 3


def test_the_cache_keeps_to_its_bytes_and_computes_once():
    calls = []

    def cut(pixels):
        calls.append(float(pixels[0, 0]))
        return np.full((10, 10), int(pixels[0, 0]), np.uint16)

    cache = RegionCache(cache_bytes=400)
    for value in (1, 2, 1, 3, 2, 1):
        pixels = np.full((10, 10), value, np.float32)
        assert (cache.get(str(value), "s", lambda pixels=pixels: pixels, cut) == value).all()
    assert calls == [1, 2, 3, 2, 1]  # two maps of 200 bytes; the least recently used goes


def test_regions_on_disk_are_found_by_pixels_and_settings(tmp_path):
    pixels, other = np.zeros((1, 5, 6), np.float32), np.ones((1, 5, 6), np.float32)
    regions = np.arange(30, dtype=np.uint16).reshape(5, 6)
    first = RegionCache(folder=tmp_path / "cache")
    assert (first.get("a", "s", lambda: pixels, lambda _: regions) == regions).all()
    again = RegionCache(folder=tmp_path / "cache")

    def never(_):
        raise AssertionError("computed again")

    assert (again.get("b", "s", lambda: pixels, never) == regions).all()
    for image, settings_of in ((other, "s"), (pixels, "t")):
        with pytest.raises(AssertionError, match="computed again"):
            again.get(f"c{settings_of}", settings_of, lambda image=image: image, never)
    assert fingerprint(pixels, 1) != fingerprint(pixels.reshape(1, 6, 5), 1)


def test_damaged_cache_files_are_told_and_nothing_large_is_read(tmp_path):
    path = tmp_path / "regions.npz"
    save_regions(path, np.ones((4, 4), np.uint16))
    assert load_regions(path, (1, 4, 4)).tolist() == np.ones((4, 4)).tolist()
    with pytest.raises(DataError, match="Delete it; it will be computed again"):
        load_regions(path, (1, 4, 5))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="holds no regions"):
        load_regions(path, (4, 4))
    for wrong in (np.ones((4, 4)), np.array([["a", 1]], object)):
        np.savez(path, regions=wrong)
        with pytest.raises(DataError, match="holds no regions"):
            load_regions(path, wrong.shape)
    # A header that declares more than the file holds.
    np.savez(path, regions=np.ones((4, 4), np.uint16))
    with zipfile.ZipFile(path) as archive:
        content = archive.read("regions.npy").replace(b"(4, 4)", b"(9, 9)")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("regions.npy", content)
    with pytest.raises(DataError, match="holds no regions"):
        load_regions(path, (9, 9))
