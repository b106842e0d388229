"""Objects of a predictor that is taught insides and rims alone."""

import numpy as np
import pytest

from episodes.errors import DataError
from fewshot.inference.inputs import image_planes
from fewshot.inference.instances.border_objects import BorderObjectsPredictor
from fewshot.inference.instances.predictor import InstancePredictor
from fewshot.inference.instances.rims import NAMES
from fewshot.inference.predictors.build import build_predictor
from fewshot.inference.support_set import read_support_set

from .test_predictor import cells


class Counting:
    """A pixel forest that remembers what it was taught."""

    def __init__(self):
        self.inner = build_predictor(None, "pixel-forest")
        self.settings, self.taught, self.segmented = self.inner.settings, [], 0

    def learn(self, support_set):
        self.taught.append(support_set)
        return self.inner.learn(support_set)

    def segment(self, image, support):
        self.segmented += 1
        return self.inner.segment(image, support)


def annotated(count):
    images, numbers = zip(*map(cells, range(count)), strict=True)
    return read_support_set(list(images), list(numbers), "cell")


def test_few_images_are_left_out_in_turn_and_the_class_is_inside_and_rim():
    inner = Counting()
    predictor = BorderObjectsPredictor(inner)
    support = predictor.learn(annotated(2))
    assert [len(each.pictures) for each in inner.taught] == [1, 1, 2]
    assert {each.names for each in inner.taught} == {NAMES}
    assert "each in turn" in support.describe()
    image, numbers = cells(7)
    picture, before = image_planes(image), inner.segmented
    answer = predictor.segment(picture, support)
    assert (answer.class_names, answer.values) == (("cell",), (1,))
    overlap = 2 * ((answer.labels[0] > 0) & (numbers > 0)).sum()
    assert overlap / ((answer.labels > 0).sum() + (numbers > 0).sum()) > 0.9
    maker = InstancePredictor(predictor)
    learned = maker.learn(annotated(2), support)
    found = maker.instances(picture, learned, answer)
    assert inner.segmented == before + 1  # what was computed for the class is used again
    assert len(found) == numbers.max()
    assert learned.describe() == support.describe()


def test_of_many_images_every_fifth_is_kept_back_and_nothing_is_learned_twice():
    inner = Counting()
    support = BorderObjectsPredictor(inner).learn(annotated(11))
    (taught,) = inner.taught
    assert len(taught.pictures) == 8
    assert support.kept_back == 3
    assert "3 of them, which were kept back" in support.describe()


def test_objects_have_to_be_numbered():
    image, numbers = cells(0)
    shots = read_support_set(image, (numbers > 0).astype(np.uint8))
    with pytest.raises(DataError, match="learned from numbered objects"):
        BorderObjectsPredictor(Counting()).learn(shots)
