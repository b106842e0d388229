"""The search of a baseline over its parameters."""

import numpy as np
import pytest

from episodes.io.pixels import IGNORE
from fewshot.baselines.bands import best_range
from fewshot.baselines.search import Chosen, best_setting, mean_dice
from fewshot.inference.predictors.build import build_predictor

from .scenes import dice, scene, shots, stack


def test_the_first_of_equal_settings_is_kept():
    tried = []

    def score(values):
        tried.append(dict(values))
        return float(values["a"] > 1)

    chosen = best_setting({"a": (1, 2, 3), "b": (5, 6)}, score)
    assert chosen == Chosen({"a": 2, "b": 5}, 1.0, 6)
    assert tried[:3] == [{"a": 1, "b": 5}, {"a": 1, "b": 6}, {"a": 2, "b": 5}]
    unknown = best_setting({"a": (4, 5)}, None)
    assert (unknown.values, unknown.tried, unknown.record()["dice"]) == ({"a": 4}, 0, None)
    assert "not searched, which takes two annotated images: a 4" in unknown.describe()
    assert "a 2, b 5 (Dice there 100, best of 6)" in chosen.describe()


def test_dice_leaves_unknown_pixels_out_and_is_the_mean_of_the_classes():
    truth = np.array([[1, 1, 2, 0, IGNORE]], np.uint8)
    found = np.array([[1, 0, 2, 2, 1]], np.uint8)
    assert mean_dice([found], [truth], 2) == pytest.approx((2 / 3 + 2 / 3) / 2)
    assert mean_dice([found, found], [truth, truth], 3) == pytest.approx(2 / 3)  # no third class


def test_the_best_range_of_bands_is_that_of_a_loop():
    counts = np.random.default_rng(0).integers(0, 9, (3, 12))
    rule = best_range(counts, 2)
    every = {}
    for first in range(12):
        for last in range(first, 12):
            tp, marked = counts[2, first : last + 1].sum(), counts[:, first : last + 1].sum()
            every[first, last] = 2 * tp / (marked + counts[2].sum())
    assert rule.dice == pytest.approx(max(every.values()))
    assert every[rule.first, rule.last] == pytest.approx(rule.dice)


def test_a_better_value_is_chosen_on_the_annotated_image():
    """A tolerance far too small grows hardly anything."""
    (image, labels), (query, truth) = scene(0), scene(1)
    values = {"certainties": (0.8,), "tolerances": (0.01, 4.0), "pixels": 1000, "components": 1}
    predictor = build_predictor(None, "region-growing", values)
    learned = predictor.learn(shots((image, (labels == 1).astype(np.uint8))))
    assert learned.configuration.values["tolerances"] == 4.0
    assert learned.configuration.dice > 0.9
    assert learned.configuration.tried == 2
    found = predictor.segment(stack(query), learned)
    assert dice(found.labels[0] == 1, truth == 1) > 0.9


def test_what_memorises_is_searched_with_images_left_out():
    pairs = [scene(seed) for seed in range(2)]
    predictor = build_predictor(None, "atlas", {"smoothings": (1.5, 3.0), "max_side": 48})
    one = predictor.learn(shots(pairs[0], names=("a", "b"))).configuration
    assert (one.values, one.tried) == ({"smoothings": 1.5}, 0)
    two = predictor.learn(shots(*pairs, names=("a", "b"))).configuration
    assert two.tried == 2
    assert 0.5 < two.dice < 1  # no image was registered with itself
