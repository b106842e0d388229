"""Oracles: scikit-learn; for mAP of objects a loop over the ranked predictions."""

import math
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from fewshot.metrics import ranking
from fewshot.metrics.coco import COCO_THRESHOLDS, coco_map
from fewshot.metrics.instances import overlap_table

rows = st.lists(
    st.tuples(st.integers(0, 6).map(lambda each: each / 6), st.sampled_from([0, 1, 255])),
    max_size=30,
).map(lambda pairs: np.array(pairs, np.float64).reshape(-1, 2).T)


@pytest.mark.parametrize("levels", [3, 50, 10**9])
@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_scikit_learn(levels, seed):
    generator = np.random.default_rng(seed)
    reference = generator.integers(0, 2, 300)
    scores = np.round((generator.random(300) + 0.3 * reference) * levels) / levels
    area = sklearn_metrics.roc_auc_score(reference, scores)
    assert ranking.roc_auc(scores, reference) == pytest.approx(area, rel=1e-12)
    precision = sklearn_metrics.average_precision_score(reference, scores)
    assert ranking.average_precision(scores, reference) == pytest.approx(precision, rel=1e-12)


@given(rows)
def test_auc_is_the_share_of_ordered_pairs_and_ignoring_is_cropping(pair):
    scores, reference = pair[0], pair[1].astype(int)
    positive, negative = scores[reference == 1], scores[reference == 0]
    wins = (positive[:, None] > negative).sum() + (positive[:, None] == negative).sum() / 2
    pairs = len(positive) * len(negative)
    expected = wins / pairs if pairs else math.nan
    assert ranking.roc_auc(scores, reference, 255) == pytest.approx(expected, nan_ok=True)
    kept = reference != 255
    assert ranking.average_precision(scores, reference, 255) == pytest.approx(
        ranking.average_precision(scores[kept], reference[kept], ignore_index=None), nan_ok=True
    )


def test_one_kind_only():
    assert math.isnan(ranking.roc_auc([0.1, 0.2], [1, 1]))
    assert math.isnan(ranking.roc_auc([0.1, 0.2], [0, 0]))
    assert ranking.average_precision([0.1, 0.2], [1, 1]) == 1
    assert ranking.average_precision([0.1, 0.2], [0, 0]) == 0
    assert math.isnan(ranking.average_precision([0.1], [255]))
    assert math.isnan(ranking.average_precision([], []))


def test_sums_of_counts_are_exact_where_bins_separate_the_scores():
    generator = np.random.default_rng(0)
    reference = generator.integers(0, 2, (4, 100))
    probabilities = (generator.integers(0, 50, (4, 100)) + 0.5) / 50
    counts = sum(
        ranking.score_counts(*each, bins=50) for each in zip(probabilities, reference, strict=True)
    )
    whole = ranking.roc_auc(probabilities, reference)
    assert ranking.roc_auc_of_counts(counts) == pytest.approx(whole, rel=1e-12)
    whole = ranking.average_precision(probabilities, reference)
    assert ranking.average_precision_of_counts(counts) == pytest.approx(whole, rel=1e-12)


def test_half_precision_tensors_and_bad_input():
    scores = torch.tensor([0.1, 0.4, 0.9], dtype=torch.bfloat16)
    assert ranking.roc_auc(scores, torch.tensor([False, True, True])) == 1
    with pytest.raises(ValueError, match="1 scores are NaN"):
        ranking.roc_auc([0.1, math.nan], [0, 1])
    assert ranking.roc_auc([0.1, 0.2, math.nan], [0, 1, 255]) == 1
    with pytest.raises(ValueError, match="reference holds 2, expected 0 and 1"):
        ranking.roc_auc([0.1, 0.2], [0, 2])
    with pytest.raises(ValueError, match=r"reach from 0\.1 to 1\.5"):
        ranking.score_counts([0.1, 1.5], [0, 1])
    with pytest.raises(ValueError, match=r"scores have shape \(1,\)"):
        ranking.roc_auc([0.1], [0, 1])


def boxes(seed, count, shape=(64, 80)):
    generator = np.random.default_rng(seed)
    labels = np.zeros(shape, np.int32)
    for identity in range(1, count + 1):
        row, column = generator.integers(0, shape[0] - 6), generator.integers(0, shape[1] - 7)
        labels[row : row + 6, column : column + 7] = identity * 5
    return labels


def slow_map(labels, scores, reference, threshold):
    """Rank all predictions, match each to the best free object, interpolate at 101 recalls."""
    ranked = []
    total = 0
    for predicted, confidence, truth in zip(labels, scores, reference, strict=True):
        table = overlap_table(predicted, truth)
        total += len(table.reference_ids)
        free = dict.fromkeys(range(len(table.reference_ids)), True)
        rank = [confidence[int(each)] for each in table.label_ids]
        for position in np.argsort(np.negative(rank), kind="stable"):
            found = [
                each
                for each in np.flatnonzero(table.columns == position)
                if table.iou[each] >= threshold and free[table.rows[each]]
            ]
            best = max(found, key=lambda each: table.iou[each], default=None)
            if best is not None:
                free[table.rows[best]] = False
            ranked.append((rank[position], best is not None))
    hits = np.cumsum([hit for _, hit in sorted(ranked, key=lambda each: -each[0])])
    recall, precision = hits / total, hits / np.arange(1, len(hits) + 1)
    points = [precision[recall >= point - 1e-12].max(initial=0) for point in np.linspace(0, 1, 101)]
    return np.mean(points)


@pytest.mark.parametrize("seed", range(3))
def test_coco_map_is_the_loop(seed):
    generator = np.random.default_rng(seed)
    reference = [boxes(seed * 10 + image, 12) for image in range(4)]
    labels = [np.roll(each, image, axis=1) for image, each in enumerate(reference)]
    labels[1][:4, :4] = 999
    scores = [
        {identity: float(generator.random()) for identity in np.unique(each).tolist() if identity}
        for each in labels
    ]
    result = coco_map(labels, scores, reference)
    expected = {each: slow_map(labels, scores, reference, each) for each in COCO_THRESHOLDS}
    assert result.by_threshold == pytest.approx(expected, abs=1e-9)
    assert result.ap == pytest.approx(np.mean(list(expected.values())), abs=1e-9)
    assert 0.1 < result.ap < 0.9


def test_deliberate_no_limit_of_100_detections_unless_asked():
    reference = np.arange(1, 201).reshape(10, 20)
    scores = {identity: 1 - identity / 500 for identity in range(1, 201)}
    assert coco_map([reference], [scores], [reference]).ap == pytest.approx(1)
    cut = coco_map([reference], [scores], [reference], max_detections=100)
    assert cut.ap == pytest.approx(51 / 101)  # recall 0 .. 0.5


def test_coco_map_of_empty_sides():
    empty, full = np.zeros((4, 4), int), np.ones((4, 4), int)
    assert math.isnan(coco_map([empty], [{}], [empty]).ap)
    assert coco_map([full], [{1: 0.5}], [empty]).ap == 0  # COCO says -1
    assert coco_map([empty], [{}], [full]).ap == 0
    some = coco_map([empty, full], [{}, {1: 0.5}], [empty, full])
    assert some.ap == pytest.approx(1)


def test_coco_map_drops_ignored_pixels():
    reference = np.zeros((6, 12), int)
    reference[1:4, 1:4] = 1
    labels = reference.copy()
    labels[1:4, 7:10] = 2
    ignored = np.zeros((6, 12), bool)
    ignored[:, 6:] = True
    scores = [{1: 0.5, 2: 0.9}]
    assert coco_map([labels], scores, [reference], thresholds=[0.5]).ap == pytest.approx(0.5)
    dropped = coco_map([labels], scores, [reference], thresholds=[0.5], ignored=[ignored])
    assert dropped.ap == pytest.approx(1)


def test_disagreement_coco_excuses_what_lies_mostly_in_a_crowd():
    # COCO would excuse object 2 whole; here its last pixel outside the ignored part counts
    reference, labels = np.zeros((4, 12), int), np.zeros((4, 12), int)
    reference[1:3, 1:3] = labels[1:3, 1:3] = 1
    labels[1, 5:12] = 2
    ignored = np.zeros((4, 12), bool)
    ignored[:, 6:] = True
    result = coco_map([labels], [{1: 0.5, 2: 0.9}], [reference], ignored=[ignored])
    assert result.ap == pytest.approx(0.5)


def test_coco_map_names_bad_input():
    full = np.ones((2, 2), int)
    with pytest.raises(ValueError, match="image 0: the predicted object 1 has no score"):
        coco_map([full], [{}], [full])
    with pytest.raises(ValueError, match=r"one entry an image in each list, got .*'scores': 0"):
        coco_map([full], [], [full])
    with pytest.raises(ValueError, match=r"image 0 has shape \(4,\), expected"):
        coco_map([full.ravel()], [{1: 1}], [full.ravel()])
    with pytest.raises(ValueError, match=r"shape \(2, 2\) and reference has shape \(3, 3\)"):
        coco_map([full], [{1: 1}], [np.ones((3, 3), int)])
    with pytest.raises(ValueError, match="image 0 holds a negative id"):
        coco_map([-full], [{-1: 1}], [full])


def test_coco_map_names_the_extra_that_it_needs(monkeypatch):
    monkeypatch.setitem(sys.modules, "faster_coco_eval", None)
    with pytest.raises(ImportError, match=r"install fewshot-segmentation\[metrics\]"):
        coco_map([], [], [])
