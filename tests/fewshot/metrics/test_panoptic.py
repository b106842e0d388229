"""Oracles: the rule of panopticapi as a loop, torchmetrics.

panopticapi is not on the package index, and its light edition asks for NumPy 1; so its published
rule (evaluation.py, pq_compute_single_core) stands here as a slow loop written anew.
"""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torchmetrics.functional.detection import panoptic_quality as torchmetrics_panoptic_quality

from fewshot.metrics.averages import average
from fewshot.metrics.instances import count_matches
from fewshot.metrics.instances import panoptic_quality as instance_quality
from fewshot.metrics.panoptic import panoptic_counts, panoptic_quality, stuff_and_things

CATEGORIES = 3


def slow_counts(labels, reference, label_categories, reference_categories, crowd=()):
    area = lambda *masks: int(np.logical_and.reduce(masks).sum())  # noqa: E731
    counts = np.zeros((CATEGORIES, 4))
    predicted = [each for each in np.unique(labels).tolist() if each]
    true = [each for each in np.unique(reference).tolist() if each]
    matched_labels, matched_truth = set(), set()
    for truth in true:
        for label in predicted:
            kind = reference_categories[truth]
            if truth in crowd or kind != label_categories[label]:
                continue
            shared = area(reference == truth, labels == label)
            union = area(labels == label) + area(reference == truth) - shared
            union -= area(reference == 0, labels == label)
            if shared / union > 0.5:
                counts[kind, :2] += shared / union, 1
                matched_labels.add(label)
                matched_truth.add(truth)
    for truth in true:
        if truth not in matched_truth and truth not in crowd:
            counts[reference_categories[truth], 3] += 1
    for label in predicted:
        if label not in matched_labels:
            kind = label_categories[label]
            excuses = [each for each in crowd if reference_categories.get(each) == kind]
            excused = area(np.isin(reference, [0, *excuses]), labels == label)
            if excused / area(labels == label) <= 0.5:
                counts[kind, 2] += 1
    return counts


segment_maps = arrays(np.int64, (4, 6), elements=st.integers(0, 5))
crowds = st.sampled_from([(), (2,), (1, 4)])
category_tables = st.lists(st.integers(0, CATEGORIES - 1), min_size=5, max_size=5).map(
    lambda kinds: dict(enumerate(kinds, start=1))
)


@settings(max_examples=200)
@given(
    segment_maps,
    segment_maps,
    category_tables,
    category_tables,
    st.sampled_from([(), (2,), (1, 4)]),
)
def test_is_the_rule_of_panopticapi(labels, reference, label_kinds, kinds, crowd):
    # one crowd a category, as in COCO: panopticapi would forget all but the last
    crowd = tuple({kinds[each]: each for each in crowd}.values())
    found = panoptic_counts(labels, reference, label_kinds, kinds, CATEGORIES, crowd)
    expected = slow_counts(labels, reference, label_kinds, kinds, crowd)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def scene(seed):
    """Stuff 0 and 1 in bands, things of category 2 as boxes."""
    generator = np.random.default_rng(seed)
    kinds = np.repeat([0, 1], 16)[:, None] * np.ones((1, 40), int)
    things = np.zeros((32, 40), int)
    for identity in range(1, 9):
        row, column = generator.integers(0, 26), generator.integers(0, 33)
        things[row : row + 6, column : column + 7] = identity
    return np.where(things > 0, 2, kinds), things


@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_torchmetrics_and_the_loop_on_stuff_and_things(seed):
    kinds, things = scene(seed)
    moved = [np.roll(each, 1, axis=1) for each in (kinds, things)]
    moved[0][moved[1] == 3] = 0  # a thing is missed
    moved[1][moved[1] == 3] = 0
    scenes = (moved, (kinds, things))
    tensors = [torch.from_numpy(np.stack(each, axis=-1))[None] for each in scenes]
    segments, label_kinds = stuff_and_things(*moved, stuff=(0, 1))
    reference, reference_kinds = stuff_and_things(kinds, things, stuff=(0, 1))
    counts = panoptic_counts(segments, reference, label_kinds, reference_kinds, CATEGORIES)
    expected = slow_counts(segments, reference, label_kinds, reference_kinds)
    np.testing.assert_allclose(counts, expected, rtol=1e-12)
    theirs = torchmetrics_panoptic_quality(
        *tensors, things={2}, stuffs={0, 1}, return_per_class=True, return_sq_and_rq=True
    )
    quality = panoptic_quality(counts)
    for ours, column in zip(quality, theirs.T.numpy(), strict=True):
        np.testing.assert_allclose(ours[[2, 0, 1]], column, rtol=1e-6)  # things first; float32
    assert average(quality.pq).mean == pytest.approx(theirs[:, 0].mean().item(), rel=1e-6)


def test_disagreement_torchmetrics_excuses_void_in_the_prediction():
    # three of six pixels are left void by the method; panopticapi and ours count them as missed
    reference, labels = np.ones((1, 6), int), np.array([[1, 1, 1, 0, 0, 0]])
    counts = panoptic_counts(labels, reference, {1: 0}, {1: 0}, 1)
    np.testing.assert_array_equal(counts, [[0, 0, 1, 1]])
    as_pairs = [
        torch.from_numpy(np.stack([np.where(each > 0, 0, 9), each], axis=-1))[None]
        for each in (labels, reference)
    ]
    theirs = torchmetrics_panoptic_quality(
        *as_pairs, things={0}, stuffs={1}, allow_unknown_preds_category=True, return_per_class=True
    )
    assert theirs[0, 0] == 1


def test_void_of_the_reference_is_excused():
    reference = np.array([[1, 1, 1, 1, 0, 0, 0, 0]])
    labels = np.array([[5, 5, 5, 5, 5, 5, 6, 6]])
    counts = panoptic_counts(labels, reference, {5: 0, 6: 0}, {1: 0}, 1)
    np.testing.assert_array_equal(counts, [[1, 1, 0, 0]])


def test_half_is_not_more_than_half():
    reference, labels = np.array([1, 1, 0, 0]), np.array([5, 6, 6, 6])
    counts = panoptic_counts(labels, reference, {5: 0, 6: 1}, {1: 0}, 2)
    # IoU 1/2 is no match; two thirds of segment 6 on void excuse it
    np.testing.assert_array_equal(counts, [[0, 0, 1, 1], [0, 0, 0, 0]])


def test_background_has_to_be_declared():
    _, things = scene(0)
    labels = np.roll(things, 2, axis=0)
    table = dict.fromkeys(range(1, 9), 2)
    as_void = panoptic_quality(panoptic_counts(labels, things, table, table, CATEGORIES)).pq[2]
    segments, found = stuff_and_things((labels > 0) * 2, labels, stuff=(0,))
    reference, true = stuff_and_things((things > 0) * 2, things, stuff=(0,))
    declared = panoptic_quality(panoptic_counts(segments, reference, found, true, CATEGORIES)).pq
    assert as_void > declared[2]
    assert declared[2] == pytest.approx(instance_quality(count_matches(labels, things))[0])
    assert declared[0] > declared[2]  # and a mean over both is a third number


def test_categories_in_neither_are_nan_and_misses_are_0():
    counts = panoptic_counts([1, 0], [0, 1], {1: 0}, {1: 1}, CATEGORIES)
    quality = panoptic_quality(counts)
    np.testing.assert_array_equal(quality.pq, [np.nan, 0, np.nan])  # 0 lies on void: excused
    np.testing.assert_array_equal(quality.sq, [np.nan, 0, np.nan])
    np.testing.assert_array_equal(quality.rq, [np.nan, 0, np.nan])
    empty = panoptic_counts([0], [0], {}, {}, CATEGORIES)
    assert np.isnan(panoptic_quality(empty).pq).all()


def test_counts_of_images_add_up_to_the_quality_of_the_set():
    scenes = [scene(seed) for seed in range(3)]
    total = np.zeros((CATEGORIES, 4))
    for kinds, things in scenes:
        segments, table = stuff_and_things(kinds, things, stuff=(0, 1))
        moved = np.roll(segments, 1, axis=0)
        total += panoptic_counts(moved, segments, table, table, CATEGORIES)
    assert panoptic_quality(total).pq.shape == (CATEGORIES,)
    np.testing.assert_allclose(
        panoptic_quality(total).pq, np.prod(panoptic_quality(total)[1:], axis=0)
    )


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="label segment 2 has the category None"):
        panoptic_counts([2], [1], {}, {1: 0}, 1)
    with pytest.raises(ValueError, match=r"reference segment 1 has the category 7, .* in 0\.\.0"):
        panoptic_counts([2], [1], {2: 0}, {1: 7}, 1)
