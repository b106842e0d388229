"""Oracles: a loop over windows, and the boundary of faster-coco-eval."""

import math

import numpy as np
import pytest
from faster_coco_eval.core import mask as codec

from fewshot.metrics.boundary import boundary_iou, inner_band


def slow_band(mask, width):
    padded = np.pad(mask, width)
    band = np.zeros(mask.shape, bool)
    for index in np.argwhere(mask):
        window = padded[tuple(slice(each, each + 2 * width + 1) for each in index)]
        band[tuple(index)] = not window.all()
    return band


@pytest.mark.parametrize("shape", [(12, 17), (7, 8, 9)])
@pytest.mark.parametrize("width", [1, 2, 4])
def test_band_is_the_loop(shape, width):
    mask = np.random.default_rng(width).random(shape) < 0.97
    np.testing.assert_array_equal(inner_band(mask, width), slow_band(mask, width))


def test_agrees_with_the_boundary_of_faster_coco_eval():
    rows, columns = np.mgrid[:120, :90]
    reference = (rows - 60) ** 2 + (columns - 45) ** 2 < 30**2
    labels = np.roll(reference, 3, axis=1)
    encoded = [
        codec.rleToBoundary(
            codec.encode(np.asfortranarray(each.view(np.uint8))), backend="mask_api"
        )
        for each in (labels, reference)
    ]
    expected = codec.iou([encoded[0]], [encoded[1]], [0]).item()
    assert boundary_iou(labels, reference) == pytest.approx(expected, rel=1e-12)
    assert boundary_iou(labels, reference, width=3) == boundary_iou(labels, reference)  # 2 % of 150


def test_empty_full_and_ignored():
    empty, full = np.zeros((10, 10), int), np.ones((10, 10), int)
    assert math.isnan(boundary_iou(empty, empty))
    assert boundary_iou(full, empty) == boundary_iou(empty, full) == 0
    assert boundary_iou(full, full, width=99) == 1
    reference = full.copy()
    reference[:, 5:] = 255
    cut = full.copy()
    cut[:, 5:] = 0
    assert boundary_iou(cut, full, width=1) < 1
    assert boundary_iou(full, reference, width=1, class_index=1) < 1
    assert math.isnan(boundary_iou(full, np.full((10, 10), 255)))


def test_wide_bands_make_it_iou():
    generator = np.random.default_rng(0)
    labels, reference = generator.integers(0, 2, (2, 9, 9))
    expected = (labels & reference).sum() / (labels | reference).sum()
    assert boundary_iou(labels, reference, width=9) == expected
    with pytest.raises(ValueError, match="width is 0"):
        boundary_iou(labels, reference, width=0)
