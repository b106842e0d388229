"""Expected calibration error of subjects, everywhere and near what is sought."""

import numpy as np
import pytest

from episodes import bundled
from episodes.catalog.class_areas import compute_class_areas
from episodes.catalog.loader import Loader
from episodes.readers import read_catalog
from episodes.sampling.sampler import EpisodeSampler
from fewshot.evaluation.calibration import NEAR, Reliability
from fewshot.evaluation.episodic import evaluate
from fewshot.models.calibration import Calibration


def sure(labels: np.ndarray, confidence: float) -> np.ndarray:
    """Probabilities of two labels, with one confidence everywhere."""
    inside = np.where(labels == 1, confidence, 1 - confidence)
    return np.stack([1 - inside, inside]).astype(np.float32)


def test_the_error_is_the_gap_between_confidence_and_being_right():
    truth = np.zeros((8, 8), np.uint8)
    truth[:, :4] = 1
    answer = truth.copy()
    answer[:2] = 1 - answer[:2]  # a quarter is wrong
    found = Reliability()
    found.add("a", sure(answer, 0.95), truth)
    found.add("b", sure(truth, 0.9), truth)
    assert found.error().mean == pytest.approx((0.2 + 0.1) / 2, abs=1e-6)
    assert found.error().subjects == 2
    found.add("b", sure(1 - truth, 0.9), truth)  # a subject's pictures are pooled
    assert found.error().mean == pytest.approx((0.2 + 0.4) / 2, abs=1e-6)


def test_near_is_within_some_pixels_of_a_class_and_nowhere_without_one():
    truth = np.zeros((64, 64), np.uint8)
    truth[30:34, 30:34] = 1
    answer = truth.copy()
    answer[:8] = 1  # wrong, but far away
    found = Reliability()
    found.add("a", sure(answer, 0.9), truth)
    assert found.error_near().mean == pytest.approx(0.1, abs=1e-6)
    rows, columns = np.mgrid[:64, :64]
    away = np.hypot(
        np.maximum(np.maximum(30 - rows, rows - 33), 0),
        np.maximum(np.maximum(30 - columns, columns - 33), 0),
    )
    assert found.near["a"][:, 0].sum() == (away <= NEAR).sum()
    found.add("b", sure(truth, 0.9), np.zeros_like(truth))
    assert found.error_near().subjects == 1
    assert found.error().subjects == 2


def test_unknown_pixels_count_nowhere():
    truth = np.full((8, 8), 255, np.uint8)
    found = Reliability()
    found.add("a", sure(truth, 0.9), truth)
    assert np.isnan(found.error().mean)
    truth[0, 0] = 1
    found.add("a", sure(np.ones_like(truth), 0.9), truth)
    assert found.error().mean == pytest.approx(0.1, abs=1e-6)
    assert found.near["a"][:, 0].sum() == 1


def test_evaluation_reports_calibrated_probabilities(segmenter):
    catalog = compute_class_areas(read_catalog(bundled.path("emoji")))
    sampler = EpisodeSampler(catalog, loader=Loader(64))
    plain = evaluate(segmenter.network, sampler, 4)
    assert "calibration error" in plain.text()
    segmenter.network.calibration = Calibration(temperature=8.0)
    try:
        doubtful = evaluate(segmenter.network, sampler, 4)
    finally:
        segmenter.network.calibration = Calibration()
    assert doubtful.cases == plain.cases

    def confidence(found) -> float:
        pixels, sums, *_ = sum(found.reliability.everywhere.values()).sum(axis=0)
        return sums / pixels

    assert 0.5 < confidence(doubtful) < confidence(plain) - 0.1
