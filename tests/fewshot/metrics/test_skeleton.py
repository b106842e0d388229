"""Oracle: the formula of the paper on skeletons of scikit-image."""

import math

import numpy as np
import pytest
from scipy import ndimage
from skimage.morphology import skeletonize

from fewshot.metrics.overlap import confusion_matrix, dice
from fewshot.metrics.skeleton import cl_dice


@pytest.mark.parametrize("shape", [(40, 50), (16, 18, 20)])
@pytest.mark.parametrize("seed", range(3))
def test_is_the_formula_of_the_paper(shape, seed):
    noise = [
        ndimage.gaussian_filter(np.random.default_rng(seed + extra).normal(size=shape), 2)
        for extra in (0, 100)
    ]
    reference = np.abs(noise[0]) < 0.3 * noise[0].std()
    labels = np.abs(noise[0] + 0.3 * noise[1]) < 0.3 * noise[0].std()
    line, true_line = skeletonize(labels) > 0, skeletonize(reference) > 0
    precision = (line & reference).sum() / line.sum()
    sensitivity = (true_line & labels).sum() / true_line.sum()
    found = cl_dice(labels, reference)
    expected = (2 * precision * sensitivity / (precision + sensitivity), precision, sensitivity)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_width_does_not_matter_and_a_gap_does():
    vessel = np.zeros((11, 60), int)
    vessel[3:8] = 1
    thin = np.zeros_like(vessel)
    thin[5] = 1
    gap = vessel.copy()
    gap[:, 20:30] = 0
    confusions = [confusion_matrix(each, vessel, 2) for each in (thin, gap)]
    assert dice(confusions[0])[1] < 0.4 < 0.9 < dice(confusions[1])[1]  # Dice prefers the gap
    assert cl_dice(thin, vessel).dice > 0.95 > cl_dice(gap, vessel).dice


def test_empty_disjoint_and_ignored():
    empty, line = np.zeros((3, 9), int), np.zeros((3, 9), int)
    line[1] = 1
    assert all(math.isnan(each) for each in cl_dice(empty, empty))
    assert cl_dice(empty, line) == cl_dice(line, empty) == (0, 0, 0)
    other = np.zeros((3, 9), int)
    other[0] = 1
    assert cl_dice(other, line) == (0, 0, 0)
    reference = line.copy()
    reference[:, 5:] = 255
    half = line.copy()
    half[:, 5:] = 0
    assert cl_dice(line, reference).dice == cl_dice(half, reference).dice == 1
    wide = np.ones((3, 9), int)  # its centre line would be another if the ignored part counted
    wide[:, :5] = line[:, :5]
    assert cl_dice(wide, reference).dice == 1
    with pytest.raises(ValueError, match="expected 2 or 3 axes"):
        cl_dice([1, 1], [1, 1])
