"""In every image one principle tells the area, and what else could tell it is equal."""

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial import cKDTree

from episodes.errors import EpisodeError
from episodes.synthetic.grouping import PRINCIPLES, draw_scene

SEEDS = range(3)
DARK = 128


def parts(marked, diagonal=True):
    """Connected parts, each as a mask."""
    labels, count = ndimage.label(marked, np.ones((3, 3)) if diagonal else None)
    return [labels == number for number in range(1, count + 1)]


@pytest.mark.parametrize("principle", PRINCIPLES)
def test_a_seed_gives_one_image_and_another_gives_another(principle):
    scene, again, other = (draw_scene(principle, seed) for seed in (3, 3, 4))
    assert np.array_equal(scene.image, again.image)
    assert np.array_equal(scene.mask, again.mask)
    assert not np.array_equal(scene.image, other.image)
    assert not np.array_equal(scene.mask, other.mask)
    assert scene.image.dtype == scene.mask.dtype == np.uint8
    assert scene.image.shape[:2] == scene.mask.shape == (128, 128)
    assert set(np.unique(scene.mask)) == {0, 1}
    assert 0.01 < scene.mask.mean() < 0.25


def test_bad_arguments_name_the_way_out():
    with pytest.raises(EpisodeError, match="expected one of similarity_of_colour"):
        draw_scene("pragnanz", 0)
    with pytest.raises(EpisodeError, match="at least 96"):
        draw_scene("proximity", 0, side=64)


@pytest.mark.parametrize("seed", SEEDS)
def test_similar_areas_have_the_luma_of_their_surroundings(seed):
    scene = draw_scene("similarity_of_colour", seed)
    luma, inside = scene.image @ np.array([0.299, 0.587, 0.114]), scene.mask > 0
    assert luma[inside].mean() == pytest.approx(luma[~inside].mean(), rel=0.01)
    assert luma[inside].std() == pytest.approx(luma[~inside].std(), rel=0.05)
    scene = draw_scene("similarity_of_texture", seed)
    inside = scene.mask > 0
    assert scene.image[inside].mean() == pytest.approx(scene.image[~inside].mean(), rel=0.01)
    assert scene.image[inside].std() == pytest.approx(scene.image[~inside].std(), rel=0.01)


@pytest.mark.parametrize("seed", SEEDS)
def test_near_dots_are_equal_to_far_ones(seed):
    scene = draw_scene("proximity", seed)
    dots = [each for each in parts(scene.image < DARK) if not each[[0, -1]].any()]
    dots = [each for each in dots if not each[:, [0, -1]].any()]
    assert np.ptp([each.sum() for each in dots]) <= 6  # of 12: where they lie between pixels
    near = np.array([scene.mask[each].any() for each in dots])
    places = np.array([ndimage.center_of_mass(each) for each in dots])
    distances = cKDTree(places).query(places, 2)[0][:, 1]
    assert near.sum() >= 10
    assert distances[near].max() < 11
    assert distances[~near].min() > 7
    assert np.median(distances[~near]) > 15


@pytest.mark.parametrize("seed", SEEDS)
def test_only_the_frame_is_closed(seed):
    scene = draw_scene("common_region", seed)
    areas = [each for each in parts(scene.image >= DARK, diagonal=False) if each.sum() > 60]
    core = ndimage.binary_erosion(scene.mask, iterations=4)
    (within,) = [each for each in areas if (each & core).any()]
    assert not (within & ~(scene.mask > 0)).sum() > 20
    ink = scene.image < DARK
    outside = ndimage.binary_erosion(scene.mask == 0, iterations=4)
    assert ink[core].mean() < 1.3 * ink[outside].mean()  # outside are the arcs, too


@pytest.mark.parametrize("seed", SEEDS)
def test_the_curves_are_one_piece_of_one_ink(seed):
    scene = draw_scene("continuity", seed)
    ink = scene.image < DARK
    assert len(parts(ink)) == 1
    rest = ink & ~ndimage.binary_dilation(scene.mask, iterations=2)
    assert sorted(each.sum() > 20 for each in parts(rest)) == [True, True]
    inner = ndimage.binary_erosion(scene.mask)
    assert scene.image[inner].mean() == pytest.approx(
        scene.image[ndimage.binary_erosion(ink & (scene.mask == 0))].mean(), rel=0.05
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_one_blob_is_its_mirror_image(seed):
    scene = draw_scene("symmetry", seed)
    blobs = parts(scene.image < DARK)
    assert len(blobs) == 4
    areas = [each.sum() for each in blobs]
    assert max(areas) < 1.25 * min(areas)
    for blob in blobs:
        columns = np.flatnonzero(blob.any(axis=0))
        cut = blob[:, columns[0] : columns[-1] + 1]
        overlap = (cut & cut[:, ::-1]).sum() / (cut | cut[:, ::-1]).sum()
        assert (overlap > 0.93) == bool(scene.mask[blob].all()), overlap


@pytest.mark.parametrize("seed", SEEDS)
def test_motion_alone_tells_the_area(seed):
    scene, moving = (
        draw_scene(each, seed) for each in ("common_fate", "common_fate_moving_ground")
    )
    inside = scene.mask > 0
    first, second, _ = np.moveaxis(scene.image, 2, 0)
    core = ndimage.binary_erosion(inside, iterations=4)
    assert np.array_equal(second[core], np.roll(first, 3, axis=1)[core])
    assert np.array_equal(first[~inside], second[~inside])
    for frame in (first, second):
        assert frame[inside].mean() == pytest.approx(frame[~inside].mean(), rel=0.06)
        assert frame[inside].std() == pytest.approx(frame[~inside].std(), rel=0.15)
    first, second, _ = np.moveaxis(moving.image.astype(int), 2, 0)
    change = np.abs(first - second)
    assert change[inside].mean() == pytest.approx(change[~inside].mean(), rel=0.15)


@pytest.mark.parametrize("seed", SEEDS)
def test_most_of_an_illusory_contour_has_no_edge(seed):
    scene = draw_scene("illusory_contours", seed)
    inside = scene.mask > 0
    assert scene.image[ndimage.binary_erosion(inside)].min() > 170  # nothing dark within
    ring = ndimage.binary_dilation(inside, iterations=3) & ~ndimage.binary_dilation(inside)
    paper = ring & (scene.image > 170)
    assert 0.4 < paper.sum() / ring.sum() < 0.75
    assert scene.image[paper].mean() == pytest.approx(scene.image[inside].mean(), rel=0.01)
