"""The best of several segmenters, for each look of images."""

import numpy as np
import pytest

from episodes.errors import DataError
from fewshot.inference.inputs import image_planes
from fewshot.inference.instances.predictor import InstancePredictor
from fewshot.inference.predictors.best_objects import BestObjectsPredictor, BestObjectsSettings
from fewshot.inference.predictors.build import build_predictor
from fewshot.inference.support_set import read_support_set
from tests.fewshot.inference.instances.test_predictor import cells


def looks(seed):
    """Bright discs on dark ground, and the same with a bright ground and dark discs."""
    image, numbers = cells(seed)
    return [image, 255 - image], numbers


class OnlySeesDark:
    """Finds the objects of dark images, and marks nothing of others."""

    def __init__(self, other):
        self.other, self.inner = other, build_predictor(None, "threshold")

    def learn(self, support_set):
        return self.inner.learn(support_set)

    def segment(self, image, support):
        found = self.inner.segment(image, support)
        if (np.median(image.pixels) > 127) != self.other:
            found.probabilities[0], found.probabilities[1:] = 1, 0
            found.labels[:] = 0
        return found


@pytest.fixture(scope="module")
def learned():
    (images, numbers), (more, others) = looks(0), looks(5)
    shots = read_support_set([*images, *more], [numbers, numbers, others, others], "cell")
    predictor = BestObjectsPredictor()
    predictor.candidates = {"of dark": OnlySeesDark(False), "of bright": OnlySeesDark(True)}
    return predictor, predictor.learn(shots)


def test_each_look_is_segmented_by_what_is_best_on_it(learned):
    predictor, support = learned
    chosen = {look: list(model.support) for look, model in support.models.items()}
    assert chosen == {"dark": ["of dark"], "bright": ["of bright"]}
    assert support.reached["dark"]["of bright"] == 0 < 0.9 <= support.reached["dark"]["of dark"]
    assert support.record()["bright"]["segmented_by"] == ["of bright"]
    assert (
        "bright images: segmented by of bright, of what was tried: of dark 0.00"
        in support.describe()
    )
    images, numbers = looks(1)
    for image in images:
        picture = image_planes(image)
        answer = predictor.segment(picture, support)
        overlap = 2 * ((answer.labels[0] > 0) & (numbers > 0)).sum()
        assert overlap / ((answer.labels > 0).sum() + (numbers > 0).sum()) > 0.95
        assert len(predictor.instances(picture, support)) == numbers.max()
        assert len(predictor.instances(picture, support, answer)) == numbers.max()


def test_an_image_of_another_look_is_told(learned):
    predictor, support = learned
    colours = np.zeros((40, 50, 3), np.uint8)
    colours[..., 0] = np.arange(50) * 5
    found = predictor.instances(image_planes(colours), support)
    assert "is coloured and the annotated images are dark and bright" in found.doubt


def test_it_finds_objects_for_whoever_asks():
    images, numbers = looks(2)
    shots = read_support_set(images[0], numbers, "cell")
    predictor = build_predictor(None, "best-objects", {"candidates": ("k-means", "threshold")})
    maker = InstancePredictor(predictor)
    model = maker.learn(shots)
    assert len(maker.instances(image_planes(looks(3)[0][0]), model)) == 10
    assert "segmented by " in model.describe()
    tried = {"k-means", "k-means + threshold"}  # one image; the first takes part
    assert model.record()["dark"]["tried"].keys() == tried
    assert "trying k-means, threshold on 1 annotated images" in predictor.cost(shots)


class Constant:
    """Gives every pixel of an image the probability that it holds, shifted."""

    def __init__(self, shift):
        self.shift, self.inner = shift, build_predictor(None, "threshold")

    def learn(self, support_set):
        return self.inner.learn(support_set)

    def segment(self, image, support):
        found = self.inner.segment(image, support)
        chance = np.clip(image.pixels / 255 + self.shift(image.pixels.shape), 0, 1)
        found.probabilities[:] = np.stack([1 - chance, chance])
        return found


def test_segmenters_whose_errors_differ_are_averaged():
    """Either adds stripes that the other takes away; the mean of both has none."""
    image, numbers = cells(0)
    stripes = lambda shape: 0.9 * (np.arange(shape[2]) // 4 % 2 - 0.5)  # noqa: E731
    predictor = BestObjectsPredictor()
    predictor.candidates = {
        "odd": Constant(lambda shape: -stripes(shape)),
        "even": Constant(stripes),
    }
    shots = read_support_set(image, numbers, "cell")
    support = predictor.learn(shots)
    assert list(support.models["dark"].support) == ["odd", "even"]
    other, true = cells(1)
    answer = predictor.segment(image_planes(other), support)
    np.testing.assert_allclose(answer.probabilities.sum(axis=0), 1, atol=2e-3)
    np.testing.assert_array_equal(answer.labels, answer.probabilities.argmax(axis=0))
    assert len(predictor.instances(image_planes(other), support)) == true.max()


def test_candidates_segment_and_are_some():
    with pytest.raises(DataError, match="0 candidates; expected 1 to 5"):
        BestObjectsSettings(candidates=())
    with pytest.raises(DataError, match="mask-rcnn finds objects by itself, and is no candidate"):
        build_predictor(None, "best-objects", {"candidates": ("threshold", "mask-rcnn")})


def test_of_many_images_all_are_learned_and_two_dozen_are_tried():
    class Counts:
        def __init__(self):
            self.inner, self.sizes, self.segmented = build_predictor(None, "threshold"), [], 0

        def learn(self, support_set):
            self.sizes.append(len(support_set.pictures))
            return self.inner.learn(support_set)

        def segment(self, image, support):
            self.segmented += 1
            return self.inner.segment(image, support)

    pairs = [cells(seed) for seed in range(50)]
    shots = read_support_set(*map(list, zip(*pairs, strict=True)), "cell")
    predictor = BestObjectsPredictor()
    predictor.candidates = {"counted": Counts()}
    predictor.learn(shots)
    counted = predictor.candidates["counted"]
    assert counted.sizes == [50, 8, 9]  # every third is tried, each half by the other
    assert counted.segmented == 17
