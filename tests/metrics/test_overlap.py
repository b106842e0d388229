import numpy as np
import pytest

from fewshot.metrics.overlap import confusion_matrix, dice, iou


def slow_confusion(labels, reference, classes, ignore_index):
    table = np.zeros((classes, classes), np.int64)
    for label, truth in zip(labels.ravel().tolist(), reference.ravel().tolist(), strict=True):
        if truth != ignore_index:
            table[truth, label] += 1
    return table


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64, np.uint32])
@pytest.mark.parametrize("ignore_index", [255, None, 1])
def test_confusion_is_the_loop(dtype, ignore_index):
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 5, (13, 17)).astype(dtype)
    reference = generator.integers(0, 5, (13, 17)).astype(dtype)
    if ignore_index == 255:
        reference[generator.random(reference.shape) < 0.2] = 255
    expected = slow_confusion(labels, reference, 5, ignore_index)
    np.testing.assert_array_equal(confusion_matrix(labels, reference, 5, ignore_index), expected)


def test_class_in_neither_is_nan_and_class_in_one_is_zero():
    confusion = confusion_matrix([0, 0, 1], [0, 0, 0], classes=4)
    np.testing.assert_array_equal(dice(confusion), [0.8, 0, np.nan, np.nan])
    np.testing.assert_array_equal(iou(confusion), [2 / 3, 0, np.nan, np.nan])
