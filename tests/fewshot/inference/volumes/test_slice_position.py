"""Slice positions against scikit-learn's ridge; monotone paths against every possible path."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from episodes.errors import DataError
from fewshot.inference.volumes.slice_alignment import FeatureStandardizer, align_slices
from fewshot.inference.volumes.slice_assignment import (
    assign_supports,
    nearest_support,
    viterbi_assignment,
)
from fewshot.inference.volumes.slice_position import (
    fit_best_positions,
    fit_positions,
    grid_pooled_features,
    isotonic_positions,
    relative_slice_position,
)


def body(seed, first=0.0, last=1.0, depth=24, features=40):
    """Features that change smoothly along a body, of which a volume shows a part."""
    generator = np.random.default_rng(seed)
    correspondences = first + (last - first) * relative_slice_position(depth)
    curve = np.random.default_rng(0)
    waves, phases = curve.normal(size=features) * 2, curve.random(features) * 6
    values = np.sin(correspondences[:, None] * waves + phases)
    return values + 0.05 * generator.normal(size=values.shape), correspondences


def test_the_dual_form_is_scikit_learns_ridge():
    volumes = [body(seed, depth=depth)[0] for seed, depth in enumerate((5, 9, 12))]
    model = fit_positions(volumes, 0.3)
    features = np.concatenate(volumes)
    share = np.concatenate([np.full(len(v), 1 / (3 * len(v))) for v in volumes])
    centred = features - share @ features
    alpha = 0.3 * (share @ (centred**2).sum(axis=1)) / len(features) + 1e-12
    theirs = Ridge(alpha=alpha).fit(
        features,
        np.concatenate([relative_slice_position(len(v)) for v in volumes]),
        sample_weight=share,
    )
    np.testing.assert_allclose(model.weights, theirs.coef_, atol=1e-8)
    np.testing.assert_allclose(model.predict(features), theirs.predict(features), atol=1e-8)


def test_positions_see_where_a_cropped_volume_lies():
    """Training volumes show the whole body up to small differences, the test one its lower half."""
    generator = np.random.default_rng(1)
    ends = generator.uniform(0, 0.1, (12, 2))
    volumes = [body(10 + n, a, 1 - b)[0] for n, (a, b) in enumerate(ends)]
    model = fit_best_positions(volumes)
    features, correspondences = body(99, 0.1, 0.55)
    found = model.volume(features)
    # What was learned is the place in a typical volume, which reaches from 0.05 to 0.95.
    expected = (correspondences - 0.05) / 0.9
    assert np.abs(found - expected).mean() < 0.05
    assert np.abs(relative_slice_position(len(features)) - expected).mean() > 0.15
    assert (np.diff(found) >= 0).all()


def test_pyramid_averages_cells():
    maps = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert grid_pooled_features(maps, 2).tolist() == [[2.5, 4.5, 10.5, 12.5]]
    assert grid_pooled_features(torch.ones(2, 3, 8, 8)).shape == (2, 3 * 16)


def test_rising_of_nothing_and_of_what_falls():
    assert isotonic_positions(np.zeros(0)).tolist() == []
    assert isotonic_positions(np.array([3.0, 2.0, 1.0])).tolist() == [2.0, 2.0, 2.0]


def test_what_cannot_be_fitted_is_told():
    with pytest.raises(DataError, match="0 volumes of two or more slices"):
        fit_positions([np.ones((1, 3))])
    with pytest.raises(DataError, match="1 volumes; expected at least two"):
        fit_best_positions([np.ones((4, 3))])
    constant = fit_positions([np.ones((4, 3)), np.ones((5, 3))])
    np.testing.assert_allclose(constant.predict(np.ones((2, 3))), 0.5)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 5))
def test_the_path_is_the_best_of_all_that_never_go_back(seed, queries, supports):
    costs = np.random.default_rng(seed).integers(0, 6, (queries, supports)).astype(float)
    path = viterbi_assignment(costs)
    total = costs[np.arange(queries), path].sum()
    every = itertools.combinations_with_replacement(range(supports), queries)
    assert total == min(sum(costs[q, s] for q, s in enumerate(each)) for each in every)
    assert (np.diff(path) >= 0).all()


def test_the_ends_of_a_path_are_free():
    """A query volume that shows the middle of the support volume starts and ends there."""
    support, query = np.arange(10), np.array([4, 5, 6])
    costs = np.abs(np.subtract.outer(query, support)).astype(float)
    assert viterbi_assignment(costs).tolist() == [4, 5, 6]
    assert viterbi_assignment(np.zeros((0, 3))).tolist() == []


def test_choices():
    costs = np.array([[5.0, 1, 2, 3], [0.0, 2, 2, 9]])
    assert nearest_support(costs).tolist() == [1, 0]
    assert assign_supports(costs, 2).tolist() == [[1, 2], [0, 1]]
    assert assign_supports(costs, 2, ordered=True).tolist() == [[1, 2], [1, 0]]
    assert assign_supports(costs, 9).shape == (2, 4)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 10), st.integers(8, 14))
def test_a_crop_is_laid_where_it_was_cut_from(seed, first, depth):
    generator = np.random.default_rng(seed)
    whole = generator.normal(size=(24, 16))
    part = whole[first : first + depth] + 0.1 * generator.normal(size=(depth, 16))
    np.testing.assert_array_equal(
        align_slices(part, whole, FeatureStandardizer.of([whole])), np.arange(first, first + depth)
    )
    back = align_slices(whole, part, FeatureStandardizer.of([whole]))
    np.testing.assert_array_equal(back, np.arange(24) - first)


def test_alignment_counts_in_slices_of_the_support():
    """Every second slice of the support volume, from slice 4: a spacing twice as large."""
    whole = np.random.default_rng(0).normal(size=(30, 16))
    found = align_slices(whole[4:20:2], whole, FeatureStandardizer.of([whole]), spacing=(2.0, 1.0))
    np.testing.assert_array_equal(found, np.arange(4, 20, 2))


def test_without_any_difference_middle_lies_on_middle():
    same = np.ones((9, 3))
    np.testing.assert_array_equal(
        align_slices(same[:5], same, FeatureStandardizer.of([same])), np.arange(2, 7)
    )
    with pytest.raises(DataError, match="0 and 9 slices"):
        align_slices(same[:0], same, FeatureStandardizer.of([same]))
    with pytest.raises(DataError, match="no slice"):
        FeatureStandardizer.of([])


def test_a_spacing_of_0_is_refused():
    slices = np.eye(4)
    with pytest.raises(DataError, match="distances above 0"):
        align_slices(slices, slices, FeatureStandardizer.of([slices]), spacing=(0.0, 1.0))
