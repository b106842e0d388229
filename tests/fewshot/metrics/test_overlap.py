"""Oracles: a loop over pixels, scikit-learn, torchmetrics, MONAI."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.metrics import compute_dice, compute_iou
from sklearn import metrics as sklearn_metrics
from torchmetrics.functional import classification as torchmetrics

from fewshot.metrics import overlap
from fewshot.metrics.overlap import confusion_matrix, dice, iou

SCORES = [
    overlap.dice,
    overlap.iou,
    overlap.precision,
    overlap.recall,
    overlap.specificity,
    overlap.volumetric_similarity,
]


def slow_confusion(labels, reference, classes, ignore_index):
    table = np.zeros((classes, classes), np.int64)
    for label, truth in zip(labels.ravel().tolist(), reference.ravel().tolist(), strict=True):
        if truth != ignore_index:
            table[truth, label] += 1
    return table


def random_pair(seed, classes=5, shape=(13, 17), dtype=np.uint8):
    generator = np.random.default_rng(seed)
    draw = lambda: generator.integers(0, classes, shape).astype(dtype)  # noqa: E731
    return draw(), draw()


def label_pairs(classes=4):
    labels = st.integers(0, classes - 1)
    pairs = st.lists(st.tuples(labels, labels | st.just(255)), max_size=40)
    return pairs.map(lambda rows: np.array(rows, np.int64).reshape(-1, 2).T)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int16, np.uint32, np.int64, np.uint64])
@pytest.mark.parametrize("ignore_index", [255, None, 1])
def test_confusion_is_the_loop(dtype, ignore_index):
    labels, reference = random_pair(0, dtype=dtype)
    if ignore_index == 255 and dtype != np.int8:
        reference[np.random.default_rng(1).random(reference.shape) < 0.2] = 255
    expected = slow_confusion(labels, reference, 5, ignore_index)
    np.testing.assert_array_equal(confusion_matrix(labels, reference, 5, ignore_index), expected)


@pytest.mark.parametrize("shape", [(0,), (1,), (3, 0), (2, 3, 4, 5), (600, 600)])
def test_any_shape_and_more_than_one_chunk(shape):
    labels, reference = random_pair(2, shape=shape)
    expected = np.zeros((5, 5), np.int64)
    np.add.at(expected, (reference.ravel(), labels.ravel()), 1)
    for kind in (np.uint8, np.int32):
        found = confusion_matrix(labels.astype(kind), reference.astype(kind), 5)
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == np.int64


def test_lists_tensors_booleans_and_views_count_alike():
    labels, reference = random_pair(3, classes=2)
    expected = confusion_matrix(labels, reference, 2)
    forms = [
        (labels.tolist(), reference.tolist()),
        (torch.from_numpy(labels), torch.from_numpy(reference).long()),
        (labels.astype(bool), torch.from_numpy(reference).bool()),
        (labels.T.copy().T, np.asfortranarray(reference)),
    ]
    for first, second in forms:
        np.testing.assert_array_equal(confusion_matrix(first, second, 2), expected)


def test_256_classes_of_bytes_have_no_room_for_an_ignored_one():
    labels = np.arange(256, dtype=np.uint8)
    assert np.trace(confusion_matrix(labels, labels, 256, ignore_index=None)) == 256
    assert np.trace(confusion_matrix(labels, labels, 256)) == 255
    wide = confusion_matrix([300, 255], [300, 255], 400, ignore_index=None)
    assert wide.shape == (400, 400)
    assert wide[300, 300] == wide[255, 255] == 1


def test_ignored_pixels_may_be_predicted_as_anything_even_out_of_range():
    for dtype in (np.uint8, np.int64):
        labels, reference = np.array([0, 77], dtype), np.array([0, 255], dtype)
        np.testing.assert_array_equal(confusion_matrix(labels, reference, 1, 255), [[1]])


@pytest.mark.parametrize("dtype", [np.uint8, np.int64])
@pytest.mark.parametrize(
    ("labels", "reference", "message"),
    [
        ([0, 3], [0, 1], r"labels holds 3, expected 0\.\.2"),
        ([0, 1], [0, 9], r"reference holds 9, expected 0\.\.2 .* ignore_index=255"),
        ([0, 255], [0, 1], r"labels holds 255"),
    ],
)
def test_out_of_range_is_an_error_that_names_the_value(dtype, labels, reference, message):
    with pytest.raises(ValueError, match=message):
        confusion_matrix(np.array(labels, dtype), np.array(reference, dtype), 3)


def test_other_bad_input_is_named():
    with pytest.raises(ValueError, match=r"labels holds -1"):
        confusion_matrix([0, -1], [0, 0], 2)
    with pytest.raises(ValueError, match=r"\(2,\) and reference has shape \(3,\)"):
        confusion_matrix([0, 1], [0, 1, 1], 2)
    with pytest.raises(TypeError, match=r"labels has dtype float64.*argmax"):
        confusion_matrix([0.5, 1.0], [0, 1], 2)
    with pytest.raises(ValueError, match=r"classes is 0"):
        confusion_matrix([0], [0], 0)
    with pytest.raises(ValueError, match=r"confusion has shape \(2, 3\)"):
        dice(np.zeros((2, 3)))


def test_class_in_neither_is_nan_and_class_in_one_is_zero():
    confusion = confusion_matrix([0, 0, 1], [0, 0, 0], classes=4)
    np.testing.assert_array_equal(dice(confusion), [0.8, 0, np.nan, np.nan])
    np.testing.assert_array_equal(iou(confusion), [2 / 3, 0, np.nan, np.nan])
    np.testing.assert_array_equal(overlap.precision(confusion), [1, 0, np.nan, np.nan])
    np.testing.assert_array_equal(overlap.recall(confusion), [2 / 3, 0, np.nan, np.nan])
    # nothing is not class 0 in the reference, but something was said not to be
    np.testing.assert_array_equal(overlap.specificity(confusion), [0, 2 / 3, 1, 1])
    np.testing.assert_array_equal(
        overlap.volumetric_similarity(confusion), [0.8, 0, np.nan, np.nan]
    )


@pytest.mark.parametrize("score", SCORES)
def test_nothing_counted_is_undefined(score):
    everything_ignored = confusion_matrix([0, 1], [255, 255], 2)
    assert np.isnan(score(everything_ignored)).all()


@pytest.mark.parametrize("score", SCORES)
def test_leading_axes_are_cases(score):
    cases = np.stack([confusion_matrix(*random_pair(seed), 5) for seed in range(6)])
    expected = np.stack([score(each) for each in cases])
    np.testing.assert_array_equal(score(cases), expected)
    np.testing.assert_array_equal(score(cases.reshape(2, 3, 5, 5)), expected.reshape(2, 3, 5))


@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_scikit_learn(seed):
    labels, reference = random_pair(seed, classes=7)
    labels[labels == 6] = 0  # class 6 is never predicted, class 5 never true
    reference[reference == 5] = 0
    confusion = confusion_matrix(labels, reference, 7)
    flat = (reference.ravel(), labels.ravel())
    expected = sklearn_metrics.confusion_matrix(*flat, labels=np.arange(7))
    np.testing.assert_array_equal(confusion, expected)
    # zero_division=0 is our policy for classes in one of the two, and every class is in one here
    precision, recall, f1, _ = sklearn_metrics.precision_recall_fscore_support(
        *flat, labels=np.arange(7), zero_division=0
    )
    np.testing.assert_allclose(overlap.precision(confusion), precision)
    np.testing.assert_allclose(overlap.recall(confusion), recall)
    np.testing.assert_allclose(dice(confusion), f1)
    jaccard = sklearn_metrics.jaccard_score(*flat, labels=np.arange(7), average=None)
    np.testing.assert_allclose(iou(confusion), jaccard)


@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_torchmetrics_on_ignored_pixels(seed):
    labels, reference = random_pair(seed)
    reference[np.random.default_rng(seed).random(reference.shape) < 0.3] = 255
    arguments = (torch.from_numpy(labels).long(), torch.from_numpy(reference).long(), 5)
    confusion = confusion_matrix(labels, reference, 5)
    expected = torchmetrics.multiclass_confusion_matrix(*arguments, ignore_index=255)
    np.testing.assert_array_equal(confusion, expected.numpy())
    specificity = torchmetrics.multiclass_specificity(*arguments, average=None, ignore_index=255)
    np.testing.assert_allclose(overlap.specificity(confusion), specificity.numpy(), rtol=1e-6)


def test_disagreement_torchmetrics_gives_0_to_a_class_in_neither():
    labels = torch.tensor([0, 0, 1])
    score = torchmetrics.multiclass_f1_score(labels, labels, num_classes=3, average=None)
    assert score[2] == 0
    assert np.isnan(dice(confusion_matrix(labels, labels, 3))[2])


def test_disagreement_monai_gives_nan_to_an_invented_class():
    labels = np.zeros((1, 1, 4, 4), np.float32)
    labels[..., :2] = 1
    invented = confusion_matrix(labels[0, 0].astype(int), np.zeros((4, 4), int), 2)
    nothing = torch.zeros(1, 1, 4, 4)
    assert torch.isnan(compute_dice(torch.from_numpy(labels), nothing)).all()
    assert torch.isnan(compute_iou(torch.from_numpy(labels), nothing)).all()
    assert dice(invented)[1] == 0
    assert iou(invented)[1] == 0


@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_monai_where_every_class_is_true(seed):
    pair = random_pair(seed)
    one_hot = [torch.from_numpy(np.eye(5)[each].transpose(2, 0, 1)[None]) for each in pair]
    confusion = confusion_matrix(*pair, 5)
    np.testing.assert_allclose(dice(confusion), compute_dice(*one_hot)[0].numpy(), rtol=1e-6)
    np.testing.assert_allclose(iou(confusion), compute_iou(*one_hot)[0].numpy(), rtol=1e-6)


@given(label_pairs())
def test_ignoring_is_cropping(pair):
    labels, reference = pair
    kept = reference != 255
    expected = confusion_matrix(labels[kept], reference[kept], 4, ignore_index=None)
    np.testing.assert_array_equal(confusion_matrix(labels, reference, 4, 255), expected)
    as_bytes = confusion_matrix(labels.astype(np.uint8), reference.astype(np.uint8), 4, 255)
    np.testing.assert_array_equal(as_bytes, expected)


@given(label_pairs())
def test_scores_stay_in_range_and_hold_their_identities(pair):
    confusion = confusion_matrix(*pair, 4, 255)
    for score in SCORES:
        values = score(confusion)
        defined = values[~np.isnan(values)]
        assert ((defined >= 0) & (defined <= 1)).all()
    f1, jaccard = dice(confusion), iou(confusion)
    np.testing.assert_allclose(f1, 2 * jaccard / (1 + jaccard))
    parts = overlap.precision(confusion) + overlap.recall(confusion)
    product = 2 * overlap.precision(confusion) * overlap.recall(confusion)
    np.testing.assert_allclose(f1[parts > 0], product[parts > 0] / parts[parts > 0])
    np.testing.assert_array_equal(dice(confusion.T), f1)  # symmetric
    np.testing.assert_array_equal(overlap.precision(confusion.T), overlap.recall(confusion))


@settings(max_examples=50)
@given(label_pairs(), st.permutations(range(4)))
def test_renaming_classes_renames_scores(pair, order):
    table = np.append(np.array(order), [0] * 252)
    table[255] = 255
    renamed = confusion_matrix(table[pair[0]], table[pair[1]], 4, 255)
    np.testing.assert_array_equal(dice(renamed)[order], dice(confusion_matrix(*pair, 4, 255)))


def test_importing_metrics_loads_nothing_heavy():
    code = (
        "import sys; import fewshot.metrics, fewshot.metrics.overlap, fewshot.metrics.bootstrap; "
        "import fewshot.metrics.instances, fewshot.metrics.surface, fewshot.metrics.report; "
        "import fewshot.metrics.plots, fewshot.metrics.coco, fewshot.metrics.stability; "
        "heavy = {'torch', 'matplotlib', 'pandas', 'sklearn', 'scipy', 'skimage'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
