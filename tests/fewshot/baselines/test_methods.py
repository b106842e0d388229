"""Where each baseline succeeds, on small pictures made for it, and where a simpler one does not."""

import numpy as np
import pytest

from episodes.errors import DataError
from fewshot.baselines.atlas import AtlasPredictor, AtlasStaplePredictor
from fewshot.baselines.edge_filling import fill_edges
from fewshot.baselines.histogram_valleys import HistogramValleysPredictor
from fewshot.baselines.image_registration import as_image, register_affine, register_demons
from fewshot.baselines.multi_otsu import MultiOtsuPredictor
from fewshot.baselines.shapes import fit_shape, learn_shape
from fewshot.inference.inputs import ImageStack
from fewshot.inference.predictors.build import build_predictor
from fewshot.inference.support_set import SupportSet

from .scenes import QUICK, dice, shots, stack

ROWS, COLUMNS = np.mgrid[:64, :64]
LIMITS = (0.0, 255.0)


def disc(row: float, column: float, radius: float) -> np.ndarray:
    return (ROWS - row) ** 2 + (COLUMNS - column) ** 2 < radius**2


def noisy(image: np.ndarray, sigma: float, seed: int = 0) -> np.ndarray:
    found = image + np.random.default_rng(seed).normal(0, sigma, image.shape)
    return found.clip(0, 255).astype(np.uint8)


def score(name: str, pairs, query: np.ndarray, truth: np.ndarray, **values) -> float:
    """Dice of a method that is fitted to annotated pairs; intensities keep their meaning."""
    predictor = build_predictor(None, name, {**QUICK.get(name, {}), **values})
    learned = predictor.learn(shots(*((a, m.astype(np.uint8)) for a, m in pairs), limits=LIMITS))
    return dice(predictor.segment(stack(query, limits=LIMITS), learned).labels[0] == 1, truth)


def test_a_local_threshold_follows_uneven_light():
    spots = disc(15, 12, 4) | disc(40, 30, 4) | disc(20, 52, 4)
    other = disc(45, 12, 4) | disc(12, 30, 4) | disc(50, 55, 4)
    light = 20 + 2.6 * COLUMNS
    annotated, query = ((noisy(light + 40 * each, 2), each) for each in (spots, other))
    assert score("local-threshold", [annotated], *query) > 0.9
    assert score("threshold", [annotated], *query) < 0.6


@pytest.mark.parametrize("name", ["multi-otsu", "histogram-valleys"])
def test_bands_find_what_lies_between(name):
    """The class is neither the brightest nor the darkest, which one threshold cannot find."""
    mask, bright = disc(20, 20, 12), disc(45, 45, 13)
    annotated = noisy(np.select([mask, bright], [120, 220], 40), 5), mask
    other, shine = disc(40, 18, 12), disc(18, 44, 13)
    query = noisy(np.select([other, shine], [120, 220], 40), 5, 1)
    assert score(name, [annotated], query, other, sigmas=(0.0,)) > 0.95
    assert score("threshold", [annotated], query, other) < 0.8


def test_bands_of_multi_otsu_follow_another_contrast():
    mask, bright = disc(20, 20, 12), disc(45, 45, 13)
    image = np.select([mask, bright], [120, 220], 40)
    annotated = noisy(image, 4), mask
    query = noisy(0.5 * image + 10, 2)
    assert score("multi-otsu", [annotated], query, mask, sigmas=(0.0,)) > 0.95
    # Two modes, a valley between them: the bands have the means of the modes.
    view = np.array([[0.2, 0.2, 0.8, 0.8]])
    found = HistogramValleysPredictor().bands(view, {"smoothing of the histogram": 2.0})
    assert found.tolist() == [[25, 25, 102, 102]]
    assert MultiOtsuPredictor().bands(view, {"bands of the image": 3}).tolist() == [[0, 0, 1, 1]]


def test_a_region_grows_to_its_edge_and_no_further():
    """Spots as bright as the class, which hang together with no seed of it, stay out."""
    mask = disc(24, 24, 13)
    image = np.where(mask, 150 + 1.5 * (COLUMNS - 24), 60)
    annotated = noisy(image, 3), mask
    query = noisy(np.where(disc(38, 36, 13), 150 + 1.5 * (COLUMNS - 36), 60), 3, 1)
    assert score("region-growing", [annotated], query, disc(38, 36, 13)) > 0.9
    gap = np.where(disc(38, 36, 13) | (abs(ROWS - 38) < 3), 150.0, 60.0)
    assert score("region-growing", [annotated], noisy(gap, 3), disc(38, 36, 13)) < 0.85  # it leaks


def test_edges_are_filled_where_they_close():
    mask = disc(30, 30, 15)
    filled = fill_edges(noisy(np.where(mask, 180, 60), 3) / 255, 2.0, 0.9, 2)
    assert dice(filled, mask) > 0.9
    assert not fill_edges(np.where(COLUMNS > 30, 0.8, 0.2), 1.0, 0.8, 2)[:, 40:].any()
    query = noisy(np.where(disc(36, 24, 13), 180, 60), 3, 1)
    annotated = noisy(np.where(mask, 180, 60), 3), mask
    assert score("edge-filling", [annotated], query, disc(36, 24, 13)) > 0.9


@pytest.mark.parametrize("name", ["k-means", "gaussian-mixture"])
def test_a_class_of_two_colours(name):
    """It is red or blue, on green and grey: no one channel has it."""
    colours = np.array([[90, 90, 90], [40, 160, 40], [200, 40, 40], [40, 40, 200]])
    number = 1 * (COLUMNS > 32)
    number[disc(16, 16, 9)], number[disc(48, 48, 9)] = 2, 3
    turned = np.flipud(number)
    annotated = noisy(colours[number], 5), number > 1
    values = {"components": 2, "counts": (2,)} if name == "gaussian-mixture" else {}
    assert score(name, [annotated], noisy(colours[turned], 5, 1), turned > 1, **values) > 0.9


@pytest.mark.parametrize(
    "name", ["graph-cut", "random-walker", "chan-vese", "felzenszwalb", "grabcut", "watershed"]
)
def test_neighbours_settle_what_noise_leaves_open(name):
    mask, other = disc(26, 28, 16), disc(36, 34, 16)
    annotated = noisy(np.where(mask, 140, 100), 40), mask
    query = noisy(np.where(other, 140, 100), 40, 1)
    alone = score("threshold", [annotated], query, other, sigmas=(0.0,))
    values = {"graph-cut": {"strengths": (8.0,)}, "grabcut": {"strengths": (8.0,)}}
    found = score(name, [annotated], query, other, **values.get(name, {}))
    assert alone < 0.65
    assert found > 0.8


def test_a_geodesic_contour_moves_to_the_edge():
    """The class is textured inside; its contour by appearance misses the rim, the edge is there."""
    mask, other = disc(26, 28, 16), disc(36, 34, 16)
    first, second = (noisy(np.where(each, 150, 60), 12, n) for n, each in enumerate((mask, other)))
    assert score("geodesic-contour", [(first, mask)], second, other) > 0.95


def test_contours_are_the_same_in_every_call():
    """The library alternates two operators from call to call: an odd number of steps is refused."""
    image = noisy(np.where(disc(26, 28, 16), 110, 90), 40)
    pair = image, disc(26, 28, 16).astype(np.uint8)
    for name in ("chan-vese", "geodesic-contour"):
        predictor = build_predictor(None, name, QUICK[name])
        learned = predictor.learn(shots(pair))
        first, second, third = (predictor.segment(stack(image), learned).labels for _ in range(3))
        np.testing.assert_array_equal(first, second)
        np.testing.assert_array_equal(first, third)
    with pytest.raises(DataError, match=r"steps are \(5,\); expected even numbers"):
        build_predictor(None, "chan-vese", {"steps": (5,)})


def test_grabcut_follows_colours_that_differ_from_the_annotated_ones():
    """The class is darker in the query, and more so towards its rim."""
    mask, other = disc(26, 28, 16), disc(36, 34, 16)
    annotated = noisy(np.where(mask, 190, 60), 6), mask
    faded = np.where(other, 165 - 4 * np.hypot(ROWS - 36, COLUMNS - 34), 60)
    query = noisy(faded, 6, 1)
    assert score("grabcut", [annotated], query, other, rounds=(3,)) > 0.97
    assert score("graph-cut", [annotated], query, other) < 0.92


def test_a_shape_is_completed_where_the_image_hides_a_part():
    mask, other = disc(28, 28, 14), disc(36, 34, 14)
    annotated = noisy(np.where(mask, 160, 60), 8), mask
    hidden = other & ~((ROWS > 30) & (COLUMNS > 36))
    query = noisy(np.where(hidden, 160, 60), 8, 1)
    assert score("shape-model", [annotated], query, other) > 0.85
    assert score("gaussian-mixture", [annotated], query, other) < 0.82


def test_modes_are_those_of_the_annotated_shapes():
    """Ellipses that grow taller: one mode, and an unseen one between is met by it."""
    ellipses = {
        tall: ((ROWS - 32) / tall) ** 2 + ((COLUMNS - 32) / 12) ** 2 < 1 for tall in (8, 12, 20, 24)
    }
    shape = learn_shape([ellipses[8], ellipses[12], ellipses[24]], 2)
    assert shape.modes.shape[0] == 2
    truth = ellipses[20]
    odds = np.where(truth, 3.0, -3.0)
    with_modes = dice(fit_shape(shape, odds, np.zeros((64, 64)), 0.0, 2), truth)
    assert with_modes > 0.93
    assert with_modes > dice(fit_shape(shape, odds, np.zeros((64, 64)), 0.0, 0), truth)
    empty = learn_shape([np.zeros((64, 64), bool)], 2)
    assert not fit_shape(empty, odds, odds, 0.0, 2).any()


def body(shift: float, stretch: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """A round body with two organs of which only the place tells which one is marked."""
    rows = (ROWS - 32 - shift) / stretch + 32
    whole = (rows - 32) ** 2 + (COLUMNS - 32) ** 2 < 28**2
    organs = [(rows - 32) ** 2 + (COLUMNS - at) ** 2 < 8**2 for at in (20, 44)]
    image = 60.0 * whole + 90 * (organs[0] | organs[1])
    return noisy(image, 4), organs[0]


def test_an_atlas_tells_by_place_and_follows_the_deformation():
    query, truth = body(5, 0.85)
    annotated = body(0)
    assert score("atlas", [annotated], query, truth) > 0.85
    assert score("copy-mask", [annotated], query, truth) < 0.8
    assert score("gaussian-mixture", [annotated], query, truth) < 0.75  # both organs, or neither


def test_a_registration_brings_an_image_onto_another():
    fixed, moving = (as_image(body(shift)[0] / np.float32(255), (1, 1)) for shift in (4, 0))
    affine = register_affine(fixed, moving)
    place = affine.TransformPoint((20.0, 36.0))
    np.testing.assert_allclose(place, (20, 32), atol=1)
    full = register_demons(fixed, moving, affine, 1.5)
    np.testing.assert_allclose(full.TransformPoint((20.0, 36.0)), (20, 32), atol=1)


def test_votes_are_counted_and_staple_trusts_those_that_agree():
    truth = disc(30, 30, 12)
    votes = [truth.astype(np.uint8), disc(30, 31, 12).astype(np.uint8), np.zeros((64, 64), "u1")]
    votes[2][:3] = 255
    shares = AtlasPredictor().fuse(votes, 1)
    assert shares[:, 30, 30].tolist() == pytest.approx([1 / 3, 2 / 3])
    assert shares[:, 0, 0].tolist() == [1, 0]
    unknown = AtlasPredictor().fuse([np.full((2, 2), 255, np.uint8)], 1)
    assert (unknown[0] == 1).all()
    assert dice(AtlasStaplePredictor().fuse(votes, 1).argmax(axis=0) == 1, truth) > 0.95
    np.testing.assert_array_equal(
        AtlasStaplePredictor().fuse(votes[:1], 1), AtlasPredictor().fuse(votes[:1], 1)
    )


def test_whole_volumes_are_registered_in_three_dimensions():
    """Slices are shifted along the depth, which no slice by itself could tell."""
    depth = np.arange(16)[:, None, None]
    rows, columns = np.mgrid[:32, :32]

    def volume(at):
        near = (depth - at) ** 2 * 2 + (rows - 16) ** 2 + (columns - 12) ** 2 < 49
        whole = (depth - at) ** 2 * 2 + (rows - 16) ** 2 + (columns - 16) ** 2 < 196
        return noisy(70.0 * whole + 80 * near, 3), near.astype(np.uint8)

    (image, labels), (query, truth) = volume(7), volume(9)
    support = SupportSet((ImageStack(image, "a", volume=True),), (labels,), ("x",), (1,))
    predictor = build_predictor(None, "atlas", {"smoothings": (1.5,)})
    learned = predictor.learn(support)
    assert learned.model.learned.volumes
    result = predictor.segment(ImageStack(query, "b", volume=True), learned)
    assert dice(result.labels == 1, truth == 1) > 0.85
    assert dice(labels == 1, truth == 1) < 0.75
    part = ImageStack(query, "b", volume=True, selected=(9, 3))
    some = predictor.segment(part, learned).labels
    np.testing.assert_array_equal(some, result.labels[[9, 3]])
    plane = predictor.segment(stack(query[9], limits=(0.0, 150.0)), learned)  # an image: in 2-D
    assert plane.labels.shape == (1, 32, 32)
