from dataclasses import replace

import numpy as np
import pytest

from episodes.catalog.duplicates import Pair, find_duplicates, thumbnail
from episodes.catalog.quality import duplicate_problems
from episodes.readers import read_catalog


def texture(seed, size=(48, 64)):
    coarse = np.random.default_rng(seed).integers(20, 220, (6, 8)).astype(float)
    return np.kron(coarse, np.ones((size[0] // 6, size[1] // 8))).astype(np.uint8)


@pytest.fixture
def folder(tmp_path, make_png):
    """Eight textures; 8 is 3 again, 9 is 5 brighter with noise, 10 is 2 at another size."""
    pictures = [texture(seed) for seed in range(8)]
    noise = np.random.default_rng(0).integers(-3, 4, pictures[5].shape)
    brighter = (pictures[5] * 1.1 + 5 + noise).clip(0, 255).astype(np.uint8)
    pictures += [pictures[3], brighter, texture(2, (96, 128))]
    pictures += [np.zeros((48, 64), np.uint8)] * 2  # empty ones say nothing
    for number, pixels in enumerate(pictures):
        make_png(tmp_path / "images" / f"{number:02}.png", pixels)
        make_png(tmp_path / "masks" / f"{number:02}.png", np.ones(pixels.shape, np.uint8))
    return tmp_path


def test_copies_are_found_and_nothing_else(folder):
    found = find_duplicates(read_catalog(folder))
    assert found == (Pair(3, 8, same=True), Pair(2, 10, same=False), Pair(5, 9, same=False))


def test_what_is_said_of_them(folder):
    catalog = read_catalog(folder)
    pairs = find_duplicates(catalog)
    apart = duplicate_problems(catalog, pairs)
    assert apart[0].startswith(
        "1 pair(s) of images of different subjects are the same: images/03.png and images/08.png; a"
    )
    assert "2 pair(s) of images of different subjects are nearly the same" in apart[1]
    one = replace(catalog, samples=tuple(replace(s, subject="x") for s in catalog.samples))
    assert duplicate_problems(one, pairs)[1].endswith("images/05.png and images/09.png")
    assert "and 1 more" in duplicate_problems(one, pairs, max_pairs=1)[1]
    assert duplicate_problems(one, ()) == []


def test_slices_of_one_volume_are_not_compared(nifti_set):
    catalog = read_catalog(nifti_set)
    paths = [sample.image.path for sample in catalog.samples]
    assert all(paths[p.first] != paths[p.second] for p in find_duplicates(catalog))


def test_many_copies_are_all_in_some_pair(tmp_path, make_png):
    for number in range(30):
        make_png(tmp_path / "images" / f"{number:02}.png", texture(1))
        make_png(tmp_path / "masks" / f"{number:02}.png", np.ones((48, 64), np.uint8))
    found = find_duplicates(read_catalog(tmp_path))
    assert {p.first for p in found} | {p.second for p in found} == set(range(30))
    assert len(found) < 30 * 9


def test_thumbnails_do_not_depend_on_scale_type_or_colour():
    grey = texture(4)
    plain = thumbnail(grey).astype(int)
    for other in (grey.astype(np.uint16) * 100, grey / 255.0, np.stack([grey] * 3, axis=2)):
        assert np.abs(thumbnail(other) - plain).max() <= 1
    assert np.abs(thumbnail(255 - grey) - plain).mean() > 30
    assert np.ptp(thumbnail(np.full((9, 9), 7))) == 0


def test_no_image_and_one_image(folder):
    catalog = read_catalog(folder)
    for count in (0, 1, 2):
        assert find_duplicates(replace(catalog, samples=catalog.samples[:count])) == ()
