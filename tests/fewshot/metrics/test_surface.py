"""Oracles: all pairs of surface pixels, MONAI, MedPy, surface-distance."""

import math

import numpy as np
import pytest
import surface_distance
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from medpy.metric import binary as medpy
from monai.metrics import (
    compute_average_surface_distance,
    compute_hausdorff_distance,
    compute_surface_dice,
)
from scipy import ndimage

from fewshot.metrics import surface
from fewshot.metrics.surface import surface_distances

SCORES = [
    surface.hausdorff,
    surface.hd_directed,
    surface.hd_pooled,
    surface.assd,
    surface.masd,
]
MONAI_DEPRECATES = pytest.mark.filterwarnings(
    "ignore:.*Argument `always_return_as_numpy` has been deprecated:FutureWarning"
)
SHAPES = {"2-D": ((40, 31), (1.5, 0.7)), "3-D": ((18, 21, 16), (3.0, 0.8, 1.25))}


def blob(shape, seed):
    """A wrinkled body, and now and then an island or a hole."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 2)
    return noise > np.quantile(noise, 0.8)


def slow_surface(mask):
    edge = np.zeros(mask.shape, bool)
    for index in np.argwhere(mask):
        for axis in range(mask.ndim):
            for step in (-1, 1):
                neighbour = index.copy()
                neighbour[axis] += step
                inside = 0 <= neighbour[axis] < mask.shape[axis]
                edge[tuple(index)] |= not inside or not mask[tuple(neighbour)]
    return edge


def slow_distances(labels, reference, spacing):
    points = [np.argwhere(slow_surface(each)) * spacing for each in (labels, reference)]
    apart = np.linalg.norm(points[0][:, None] - points[1][None], axis=-1)
    return apart.min(axis=1), apart.min(axis=0)


@pytest.mark.parametrize("case", SHAPES)
@pytest.mark.parametrize("seed", range(4))
def test_distances_are_those_of_all_pairs(case, seed):
    shape, spacing = SHAPES[case]
    labels, reference = blob(shape, seed), blob(shape, seed + 100)
    found = surface_distances(labels, reference, spacing)
    expected = slow_distances(labels, reference, spacing)
    np.testing.assert_allclose(found.to_reference, expected[0], rtol=1e-12)
    np.testing.assert_allclose(found.to_prediction, expected[1], rtol=1e-12)


def test_two_squares_by_hand():
    reference = np.zeros((9, 9), int)
    reference[2:5, 2:5] = 1  # 8 surface pixels
    labels = np.zeros((9, 9), int)
    labels[2:5, 2:7] = 1  # 12 surface pixels, two columns too many
    found = surface_distances(labels, reference)
    # columns 2 and 3 of the prediction lie on the surface, its last two columns 1 and 2 beside;
    # column 4 holds two shared pixels; of the reference, the right middle one lies 1 from the rim
    assert sorted(found.to_reference.tolist()) == [0] * 7 + [1, 1, 2, 2, 2]
    assert sorted(found.to_prediction.tolist()) == [0] * 7 + [1]
    assert surface.hausdorff(found) == 2
    assert surface.hd_directed(found) == 2
    assert surface.hd_pooled(found) == 2
    assert surface.assd(found) == 9 / 20
    assert surface.masd(found) == (8 / 12 + 1 / 8) / 2
    assert surface.nsd(found, 0) == 14 / 20
    assert surface.nsd(found, 1) == 17 / 20
    assert surface.nsd(found, 2) == 1


@MONAI_DEPRECATES
@pytest.mark.parametrize("case", SHAPES)
@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_monai(case, seed):
    shape, spacing = SHAPES[case]
    labels, reference = blob(shape, seed), blob(shape, seed + 50)
    found = surface_distances(labels, reference, spacing)
    tensors = [torch.from_numpy(each)[None, None] for each in (labels, reference)]
    keywords = {"include_background": True, "spacing": spacing}
    hausdorff = compute_hausdorff_distance(*tensors, **keywords)
    directed = compute_hausdorff_distance(*tensors, percentile=95, **keywords)
    average = compute_average_surface_distance(*tensors, symmetric=True, **keywords)
    pairs = [
        (surface.hausdorff(found), hausdorff),
        (surface.hd_directed(found), directed),
        (surface.assd(found), average),
        (surface.nsd(found, 1.1), compute_surface_dice(*tensors, [1.1], **keywords)),
    ]
    for ours, theirs in pairs:
        np.testing.assert_allclose(ours, float(theirs), rtol=1e-5)  # MONAI works in float32


@pytest.mark.parametrize("case", SHAPES)
@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_medpy(case, seed):
    shape, spacing = SHAPES[case]
    labels, reference = blob(shape, seed), blob(shape, seed + 50)
    found = surface_distances(labels, reference, spacing)
    np.testing.assert_allclose(surface.hausdorff(found), medpy.hd(labels, reference, spacing))
    np.testing.assert_allclose(surface.hd_pooled(found), medpy.hd95(labels, reference, spacing))
    np.testing.assert_allclose(surface.assd(found), medpy.assd(labels, reference, spacing))
    directed = [medpy.asd(*pair, spacing) for pair in ((labels, reference), (reference, labels))]
    np.testing.assert_allclose(surface.masd(found), np.mean(directed))


def test_disagreement_the_two_conventions_of_hd95_differ():
    reference = np.zeros((60, 60), bool)
    reference[5:55, 5:55] = True
    labels = reference.copy()
    labels[30:32, 55:59] = True  # a thin spur: 2 % of one surface
    labels[20:25, 20:25] = False  # and a hole
    found = surface_distances(labels, reference)
    assert surface.hd_pooled(found) < surface.hd_directed(found) < surface.hausdorff(found)


@pytest.mark.filterwarnings("ignore:Please import:DeprecationWarning")  # SciPy's old namespaces
@pytest.mark.parametrize("case", SHAPES)
def test_disagreement_surface_distance_puts_the_surface_between_the_pixels(case):
    # it places surface elements on pixel corners and weighs them by area: no equality, but each
    # point moves by half a pixel diagonal at most, so each distance by a diagonal at most
    shape, spacing = SHAPES[case]
    labels, reference = blob(shape, 0), blob(shape, 50)
    ours = surface_distances(labels, reference, spacing)
    theirs = surface_distance.compute_surface_distances(reference, labels, spacing)
    expected = surface_distance.compute_robust_hausdorff(theirs, 100)
    assert abs(surface.hausdorff(ours) - expected) <= math.hypot(*spacing)
    assert surface.hausdorff(ours) != expected


@pytest.mark.parametrize("form", [bool, int])
def test_empty_masks(form):
    empty, full = np.zeros((4, 5), form), np.ones((4, 5), form)
    both, one, other = (
        surface_distances(*pair) for pair in ((empty, empty), (full, empty), (empty, full))
    )
    for score in SCORES:
        assert math.isnan(score(both))
        assert score(one) == score(other) == math.inf
    assert math.isnan(surface.nsd(both, 1))
    assert surface.nsd(one, math.inf) == surface.nsd(other, 1e9) == 0


@MONAI_DEPRECATES
@pytest.mark.filterwarnings("ignore:the prediction of class 0 is all 0:UserWarning")
def test_disagreement_monai_gives_nan_or_inf_to_a_missed_structure():
    empty, full = torch.zeros(1, 1, 4, 4), torch.ones(1, 1, 4, 4)
    settings = {"include_background": True, "percentile": 95}
    theirs = compute_hausdorff_distance(empty, full, **settings)
    assert not torch.isfinite(theirs)  # so its reduction drops the case and a miss costs nothing
    ours = surface.hd_directed(surface_distances(empty[0, 0].int(), full[0, 0].int()))
    assert ours == math.inf


def test_disagreement_medpy_raises_on_empty_masks():
    with pytest.raises(RuntimeError, match="does not contain any binary object"):
        medpy.hd95(np.zeros((4, 4)), np.ones((4, 4)))


def test_identical_masks_and_single_pixels():
    mask = blob((20, 20), 3)
    same = surface_distances(mask, mask)
    assert all(score(same) == 0 for score in SCORES)
    assert surface.nsd(same, 0) == 1
    corners = np.zeros((2, 4, 6), int), np.zeros((2, 4, 6), int)
    corners[0][0, 0, 0] = corners[1][1, 3, 5] = 1
    found = surface_distances(*corners, spacing=(2, 1, 0.5))
    assert all(math.isclose(score(found), math.hypot(2, 3, 2.5)) for score in SCORES)


def test_classes_and_ignored_pixels():
    reference = np.array([[1, 1, 1, 2, 2, 255, 255, 0, 0]])
    labels = np.array([[1, 1, 2, 2, 2, 2, 2, 2, 0]])
    found = surface_distances(labels, reference, class_index=2, ignore_index=None)
    assert found.to_reference.tolist() == [1, 0, 0, 1, 2, 3]
    found = surface_distances(labels, reference, class_index=2)
    # the two ignored pixels are no surface; column 7 still is
    assert found.to_reference.tolist() == [1, 0, 0, 3]
    assert found.to_prediction.tolist() == [0, 0]


def test_an_object_cut_by_ignored_pixels_has_no_surface_there():
    mask = np.zeros((7, 7), int)
    mask[1:6, 1:6] = 1
    reference = mask.copy()
    reference[:, 4:] = 255
    found = surface_distances(mask, reference)
    # without the ignored right part: rows 1 and 5 and column 1 of the square, 5 + 2 + 2 pixels
    assert len(found.to_prediction) == len(found.to_reference) == 9
    left_open = np.where(reference == 255, 0, mask)  # nothing is predicted there: no surface either
    found = surface_distances(left_open, reference)
    assert len(found.to_prediction) == len(found.to_reference) == 9
    ignored = np.full_like(mask, 255)
    assert surface_distances(mask, ignored).undefined


def test_bad_input_is_named():
    mask = np.ones((3, 3), int)
    with pytest.raises(ValueError, match=r"spacing is \(1, 2, 3\), expected one number or 2"):
        surface_distances(mask, mask, (1, 2, 3))
    with pytest.raises(ValueError, match="above 0"):
        surface_distances(mask, mask, (1, 0))
    found = surface_distances(mask, mask)
    with pytest.raises(ValueError, match="percent is 101"):
        surface.hd_pooled(found, 101)
    with pytest.raises(ValueError, match="tolerance is nan"):
        surface.nsd(found, math.nan)


masks = arrays(bool, array_shapes(min_dims=2, max_dims=3, max_side=6)).flatmap(
    lambda first: st.tuples(st.just(first), arrays(bool, first.shape))
)


@settings(max_examples=150)
@given(masks, st.floats(0.1, 10))
def test_properties(pair, scale):
    there = surface_distances(*pair)
    back = surface_distances(pair[1], pair[0])
    larger = surface_distances(*pair, spacing=scale)
    padded = surface_distances(*(np.pad(each, 2) for each in pair))
    for score in SCORES:
        value = score(there)
        np.testing.assert_allclose(score(back), value, rtol=1e-12)  # symmetric
        np.testing.assert_allclose(score(larger), value * scale, rtol=1e-9)  # in the unit given
        np.testing.assert_array_equal(score(padded), value)  # the frame does not matter
        assert math.isnan(value) or 0 <= value <= surface.hausdorff(there)
    if not there.undefined and not there.missing:
        assert surface.nsd(there, surface.hausdorff(there)) == 1
        rising = [surface.nsd(there, tolerance) for tolerance in (0, 1, 2, 3)]
        assert rising == sorted(rising)


@settings(max_examples=50)
@given(masks)
def test_surface_is_what_scipy_erodes(pair):
    for mask in pair:
        expected = mask & ~ndimage.binary_erosion(mask)
        np.testing.assert_array_equal(surface.surface(mask), expected)
