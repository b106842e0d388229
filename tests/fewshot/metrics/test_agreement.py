"""Oracle: scikit-learn."""

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from fewshot.metrics import agreement
from fewshot.metrics.overlap import confusion_matrix, iou


def pair(seed, classes=4, size=200):
    generator = np.random.default_rng(seed)
    reference = generator.integers(0, classes, size)
    wrong = generator.random(size) < 0.4
    return np.where(wrong, generator.integers(0, classes, size), reference), reference


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("classes", [2, 5])
def test_agrees_with_scikit_learn(seed, classes):
    labels, reference = pair(seed, classes)
    confusion = confusion_matrix(labels, reference, classes)
    oracles = {
        agreement.pixel_accuracy: sklearn_metrics.accuracy_score,
        agreement.balanced_accuracy: sklearn_metrics.balanced_accuracy_score,
        agreement.cohen_kappa: sklearn_metrics.cohen_kappa_score,
        agreement.matthews_correlation: sklearn_metrics.matthews_corrcoef,
    }
    for ours, theirs in oracles.items():
        np.testing.assert_allclose(ours(confusion), theirs(reference, labels), rtol=1e-12)
    weighted = agreement.frequency_weighted(iou(confusion), confusion)
    expected = sklearn_metrics.jaccard_score(reference, labels, average="weighted")
    np.testing.assert_allclose(weighted, expected)


def test_balanced_accuracy_leaves_out_classes_that_the_reference_lacks():
    confusion = confusion_matrix([0, 1, 2], [0, 1, 1], 4)
    assert agreement.balanced_accuracy(confusion) == 0.75


def test_kappa_and_mcc_are_undefined_only_where_one_class_occurs():
    one_class = confusion_matrix([1, 1], [1, 1], 3)
    never_agree = confusion_matrix([1, 1], [0, 0], 3)
    constant = confusion_matrix([1, 1, 1], [0, 0, 1], 3)
    for score in (agreement.cohen_kappa, agreement.matthews_correlation):
        assert np.isnan(score(one_class))
        assert np.isnan(score(np.zeros((3, 3), int)))
        assert score(never_agree) == 0
        assert score(constant) == 0


def test_disagreement_scikit_learn_gives_mcc_0_where_one_class_occurs():
    # scikit-learn answers 0, as if the method were no better than chance; we answer undefined
    with pytest.warns(UserWarning, match="single label"):
        assert sklearn_metrics.matthews_corrcoef([1, 1], [1, 1]) == 0
    assert np.isnan(agreement.matthews_correlation(confusion_matrix([1, 1], [1, 1], 2)))


def test_perfect_inverted_and_independent_predictions():
    perfect, inverted = np.diag([3, 4]), np.array([[0, 3], [3, 0]])
    for score in (agreement.cohen_kappa, agreement.matthews_correlation):
        np.testing.assert_allclose([score(perfect), score(inverted)], [1, -1])
        np.testing.assert_allclose(score(np.outer([2, 3], [1, 4])), 0, atol=1e-15)


def test_billions_of_voxels_do_not_overflow():
    small = np.array([[3, 2], [1, 4]])
    large = small * 10**11
    for score in (agreement.cohen_kappa, agreement.matthews_correlation):
        np.testing.assert_allclose(score(large), score(small), rtol=1e-12)


def test_fb_iou_merges_all_foreground_and_survives_its_absence():
    confusion = confusion_matrix([0, 1, 2, 2], [0, 2, 1, 0], 3)
    np.testing.assert_allclose(agreement.fb_iou(confusion), (1 / 2 + 2 / 3) / 2)
    assert agreement.fb_iou(confusion_matrix([0, 0], [0, 0], 3)) == 1
    assert agreement.fb_iou(confusion_matrix([0, 1], [0, 0], 3)) == 0.25
    assert np.isnan(agreement.fb_iou(np.zeros((3, 3), int)))
    with pytest.raises(ValueError, match="at least two classes"):
        agreement.fb_iou(np.ones((1, 1)))


def test_leading_axes_are_cases():
    cases = np.stack([confusion_matrix(*pair(seed), 4) for seed in range(3)])
    scores = [
        agreement.pixel_accuracy,
        agreement.balanced_accuracy,
        agreement.fb_iou,
        agreement.cohen_kappa,
        agreement.matthews_correlation,
        lambda counts: agreement.frequency_weighted(iou(counts), counts),
    ]
    for score in scores:
        np.testing.assert_array_equal(score(cases), [score(each) for each in cases])
