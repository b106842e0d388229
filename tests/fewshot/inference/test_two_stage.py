"""Looking twice."""

import numpy as np
import pytest

from episodes.errors import ModelError
from episodes.io.axes import Reading
from fewshot.inference.inputs import image_planes
from fewshot.inference.postprocessing.settings import PostprocessSettings
from fewshot.inference.support_set import read_support_set
from fewshot.inference.two_stage import Window, learn_two_stage, segment_two_stage, window_around

LARGEST = PostprocessSettings(keep="largest")


def scene(
    row: int, column: int, radius: int = 16, side: int = 192
) -> tuple[np.ndarray, np.ndarray]:
    """A small bright disc with a dark core on a soft background, and its mask."""
    side, generator = 192, np.random.default_rng(row)
    y, x = np.mgrid[:side, :side]
    away = np.hypot(y - row, x - column)
    image = 80 + 20 * np.sin(x / 17) + generator.normal(0, 4, (side, side))
    image[away < radius] = 220
    image[away < radius / 3] = 150
    return image.clip(0, 255).astype(np.uint8), (away < radius).astype(np.uint8)


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return 2 * (one & other).sum() / (one.sum() + other.sum())


def test_a_second_look_outlines_a_small_structure_better(segmenter):
    shots = read_support_set(*scene(90, 60), {1: "disc"})
    query, mask = scene(120, 130)
    truth = mask == 1
    support = learn_two_stage(segmenter, shots, 2.5)
    assert support.share == pytest.approx(2.5 * 31 / 192)
    first = segmenter.segment(query, support.whole, LARGEST)
    second = segment_two_stage(segmenter, query, support, LARGEST)
    once, twice = (dice(found.labels[0] == 1, truth) for found in (first, second))
    assert twice > 0.7
    assert twice > once + 0.1
    assert second.labels.shape == first.labels.shape
    np.testing.assert_allclose(second.probabilities.sum(axis=0), 1, atol=4e-3)
    assert (second.probabilities.argmax(axis=0) == second.labels).all()


def test_volumes_have_one_window_for_all_planes(segmenter):
    shots = read_support_set(*scene(90, 60), {1: "disc"})
    planes = [scene(100 + 4 * z, 110) for z in range(3)]
    found = segment_two_stage(
        segmenter,
        image_planes(np.stack([image for image, _ in planes]), Reading("ZYX")),
        learn_two_stage(segmenter, shots, 2.5),
        LARGEST,
    )
    truth = np.stack([mask for _, mask in planes]) == 1
    assert found.labels.shape == truth.shape
    assert dice(found.labels == 1, truth) > 0.65


def test_what_fills_the_picture_is_looked_at_once(segmenter):
    image, mask = scene(96, 96, radius=70)
    support = learn_two_stage(segmenter, read_support_set(image, mask), 2.5)
    assert support.window is None
    once = segmenter.segment(image, support.whole)
    np.testing.assert_array_equal(segment_two_stage(segmenter, image, support).labels, once.labels)


def test_where_nothing_is_found_the_first_look_stands(segmenter):
    support = learn_two_stage(segmenter, read_support_set(*scene(90, 60)), 2.5)
    certain = PostprocessSettings(threshold=0.9999999)
    found = segment_two_stage(segmenter, np.zeros((50, 70), np.uint8), support, certain)
    assert found.labels.shape == (1, 50, 70)
    assert not found.labels.any()


def test_a_window_beyond_the_rim_repeats_it_and_comes_back():
    whole = np.arange(20).reshape(1, 4, 5)
    window = Window(-2, 3, 4)
    part = window.cut(whole)
    np.testing.assert_array_equal(part[0, :, 0], [3, 3, 3, 8])
    np.testing.assert_array_equal(part[0, 3], [8, 9, 9, 9])
    empty = np.zeros_like(whole)
    window.paste(part, empty)
    assert empty[0, :2, 3:].tolist() == [[3, 4], [8, 9]]
    assert empty.sum() == 24
    colour = window.cut(np.zeros((2, 4, 5, 3)))
    assert colour.shape == (2, 4, 4, 3)


def test_windows_hold_what_they_are_put_around():
    marked = np.zeros((2, 30, 40), bool)
    marked[0, 3:9, 35:40] = marked[1, 20, 30] = True
    window = window_around(marked, 8)
    assert window.side == 20  # 18 rows and a tenth
    back = np.zeros_like(marked)
    window.paste(window.cut(marked), back)
    np.testing.assert_array_equal(back, marked)


def test_a_factor_without_meaning_is_refused(segmenter):
    shots = read_support_set(*scene(90, 60))
    for factor in (0.5, float("nan")):
        with pytest.raises(ModelError, match="zoom is"):
            learn_two_stage(segmenter, shots, factor)
