"""Oracles: torchmetrics and scikit-learn."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import brier_score_loss
from torchmetrics.functional.classification import multiclass_calibration_error

from fewshot.metrics.calibration import (
    brier_score,
    calibration_counts,
    expected_calibration_error,
    maximum_calibration_error,
)


def predictions(seed, classes, size=500):
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=(classes, size)) * 2
    reference = (logits + generator.gumbel(size=logits.shape)).argmax(axis=0)
    sharp = np.exp(1.7 * logits)
    return sharp / sharp.sum(axis=0), reference


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("bins", [1, 10, 15])
def test_agrees_with_torchmetrics(classes, bins):
    probabilities, reference = predictions(0, classes)
    counts = calibration_counts(probabilities, reference, bins)
    arguments = (torch.from_numpy(probabilities.T), torch.from_numpy(reference), classes, bins)
    oracles = {expected_calibration_error: "l1", maximum_calibration_error: "max"}
    for score, norm in oracles.items():
        expected = multiclass_calibration_error(*arguments, norm=norm).item()
        assert score(counts) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("classes", [2, 4])
def test_brier_score_agrees_with_scikit_learn(classes):
    probabilities, reference = predictions(1, classes)
    settings = {"scale_by_half": False, "labels": list(range(classes))}
    expected = brier_score_loss(reference, probabilities.T, **settings)
    assert brier_score(calibration_counts(probabilities, reference)) == pytest.approx(expected)


def test_deliberate_brier_is_the_sum_over_classes():
    # scikit-learn halves it for two classes by default; Brier's own definition does not
    probabilities, reference = predictions(2, 2)
    halved = brier_score_loss(reference, probabilities[1])
    score = brier_score(calibration_counts(probabilities, reference))
    assert score == pytest.approx(2 * halved)


def test_perfect_and_worst_and_bounds_of_bins():
    certain = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert expected_calibration_error(calibration_counts(certain, [0, 1])) == 0
    assert brier_score(calibration_counts(certain, [0, 1])) == 0
    assert expected_calibration_error(calibration_counts(certain, [1, 0])) == 1
    assert brier_score(calibration_counts(certain, [1, 0])) == 2
    counts = calibration_counts([[0.5, 0.75, 1.0], [0.5, 0.25, 0.0]], [0, 0, 0], bins=4)
    assert counts[:, 0].tolist() == [0, 1, 1, 1]  # 0.5 closes its bin, 0.75 closes the next


def test_ignored_pixels_are_dropped_and_nothing_left_is_nan():
    probabilities, reference = predictions(3, 3)
    reference[::3] = 255
    kept = reference != 255
    expected = calibration_counts(probabilities[:, kept], reference[kept])
    np.testing.assert_array_equal(calibration_counts(probabilities, reference), expected)
    nothing = calibration_counts(probabilities, np.full_like(reference, 255))
    for score in (expected_calibration_error, maximum_calibration_error, brier_score):
        assert math.isnan(score(nothing))


def test_images_and_half_precision():
    probabilities, reference = predictions(4, 3, size=64)
    image = torch.from_numpy(probabilities.reshape(3, 8, 8))
    expected = brier_score(calibration_counts(probabilities, reference))
    for dtype in (torch.float16, torch.bfloat16):
        counts = calibration_counts(image.to(dtype), reference.reshape(8, 8))
        assert brier_score(counts) == pytest.approx(expected, abs=0.02)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="take the softmax"):
        calibration_counts([[2.0], [-1.0]], [0])
    with pytest.raises(ValueError, match="do not sum to 1"):
        calibration_counts([[0.5], [0.1]], [0])
    with pytest.raises(ValueError, match=r"shape \(2, 1\) and reference has \(2,\)"):
        calibration_counts([[0.5], [0.5]], [0, 1])
    with pytest.raises(ValueError, match=r"reference reaches from 2 to 2, expected 0\.\.1 or"):
        calibration_counts([[0.5], [0.5]], [2])
