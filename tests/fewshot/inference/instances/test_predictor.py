"""Objects that are learned from numbered masks with any predictor."""

import numpy as np
import pytest

from episodes.errors import DataError
from fewshot.baselines.threshold import ThresholdPredictor
from fewshot.inference.inputs import image_planes
from fewshot.inference.instances.predictor import InstancePredictor
from fewshot.inference.instances.search import Annotated, choose_splitting
from fewshot.inference.instances.sizes import measure_objects
from fewshot.inference.predictors.self_configuring import (
    SelfConfiguringPredictor,
    SelfConfiguringSettings,
)
from fewshot.inference.segmenter import Segmenter
from fewshot.inference.support_set import read_support_set


def cells(seed, pairs=5, size=(80, 100)):
    """Bright pairs of touching discs on dark ground, numbered in no order, and crumbs."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[: size[0], : size[1]]
    numbers = np.zeros(size, np.uint16)
    values = iter(generator.permutation(2 * pairs) + 1)
    for place in range(pairs):
        row, column = 15 + 25 * (place // 3), 14 + 32 * (place % 3)
        for shift in (-6, 6):
            disc = (rows - row) ** 2 + (columns - column - shift) ** 2 <= 49
            numbers[disc & (numbers == 0)] = next(values)
    image = np.where(numbers > 0, 180, 40) + generator.integers(-8, 8, size)
    image[70:72, 5:95:10] = 180  # crumbs
    return image.astype(np.uint8), numbers


@pytest.fixture(scope="module")
def learned():
    image, numbers = cells(0)
    with pytest.warns(UserWarning, match="numbered objects of one class"):
        shots = read_support_set(image, numbers, instances=True)
    maker = InstancePredictor(ThresholdPredictor(), "distance")
    return maker, maker.learn(shots)


def test_touching_objects_are_split_and_crumbs_removed(learned):
    maker, model = learned
    found = maker.instances(image_planes(cells(1, pairs=4)[0]), model)
    assert len(found) == 8
    assert found.counts == {"object": 8}
    assert found.scores.min() > 0.5
    assert found.areas.min() > 100
    assert "10 annotated objects" in model.describe()
    assert model.models["dark"].sizes[0].radius == pytest.approx(7, abs=1)
    assert model.record()["dark"]["classes"]["object"]["splitting"]["method"] == "distance"


def test_an_image_of_background_has_no_object(learned):
    maker, model = learned
    assert len(maker.instances(image_planes(np.full((40, 50), 40, np.uint8)), model)) == 0


def test_a_class_mask_has_its_parts_for_objects_and_they_are_not_split():
    image, numbers = cells(0)
    shots = read_support_set(image, (numbers > 0).astype(np.uint8) * 255)
    assert shots.objects is None
    maker = InstancePredictor(ThresholdPredictor())
    model = maker.learn(shots)
    assert "number them in the mask" in model.describe()
    assert len(maker.instances(image_planes(image), model)) == 5
    with pytest.raises(DataError, match="learns from numbered objects"):
        InstancePredictor(ThresholdPredictor(), "border").learn(shots)


def test_the_named_class_of_numbers_keeps_its_mask_and_its_objects():
    image, numbers = cells(0)
    shots = read_support_set(image, numbers, "cell")
    np.testing.assert_array_equal(shots.maps[0][0], numbers > 0)
    np.testing.assert_array_equal(shots.objects[0][0], numbers)


def test_long_objects_are_not_split_by_what_is_chosen():
    numbers = np.zeros((60, 60), np.int32)
    for place in range(5):
        numbers[4 + 11 * place : 9 + 11 * place, 5:55] = place + 1
    foreground = (numbers > 0).astype(np.float32)
    chosen, score = choose_splitting(
        "distance", [Annotated(numbers, foreground)], measure_objects([numbers])
    )
    assert score == 1
    assert chosen.least_area < 250


def test_one_annotated_image_does_not_tell_how_small_objects_of_others_are():
    """Squares of 121 pixels, and parts of 36 that are no objects."""
    numbers = np.zeros((60, 60), np.int32)
    for place in range(4):
        top, left = 30 * (place // 2) + 4, 30 * (place % 2) + 4
        numbers[top : top + 11, left : left + 11] = place + 1
    foreground = (numbers > 0).astype(np.float32)
    foreground[20:26, 20:26] = foreground[50:56, 20:26] = 1
    sizes, one = measure_objects([numbers]), Annotated(numbers, foreground)
    alone, _ = choose_splitting("distance", [one], sizes)
    several, _ = choose_splitting("distance", [one, one], sizes)
    assert alone.least_area <= 20
    assert several.least_area == round(0.6 * 121)


def test_a_segmenter_numbers_objects_by_the_methods_that_it_chose(monkeypatch):
    image, numbers = cells(0)
    shots = read_support_set(image, numbers, "cell")
    settings = SelfConfiguringSettings(method=("perceptron",))
    support = SelfConfiguringPredictor(settings=settings).learn(shots)
    monkeypatch.setattr(SelfConfiguringPredictor, "learn", None)  # would choose anew
    segmenter = Segmenter()
    found = segmenter.instances(cells(1, pairs=4)[0], support, "distance")
    assert len(found) == 8
    again = segmenter.instances(np.full((40, 50), 40, np.uint8), support, "distance")
    assert len(again) == 0
