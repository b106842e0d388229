"""What every baseline keeps to: one tester, all names."""

import numpy as np
import pytest

from episodes.errors import DataError, ModelError
from episodes.io.pixels import IGNORE
from episodes.io.read import read_labels
from fewshot import baselines
from fewshot.inference.predictors.build import build_predictor
from fewshot.inference.settings import InferenceSettings
from fewshot.registry import PREDICTORS

from .scenes import QUICK, dice, scene, shots, stack

NAMES = baselines.names()
LEAST = {"copy-mask": 0.75}  # Dice
UNTRAINED = ("mask-rcnn",)  # takes hundreds of steps: its answers are checked for form alone
EARLIER = ("copy-mask", "pixel-forest", "threshold")  # which answer where nothing can be learned


def build(name):
    return build_predictor(None, name, QUICK.get(name))


@pytest.mark.parametrize("name", NAMES)
def test_two_classes_are_found_and_the_answer_is_always_the_same(name, tmp_path):
    image, labels = scene(0)
    query, truth = scene(1)
    labels = labels.copy()
    labels[:4, :4] = IGNORE
    support, predictor = shots((image, labels), names=("disc", "bar")), build(name)
    learned = predictor.learn(support)
    result = predictor.segment(stack(query), learned)
    least = LEAST.get(name, 0.85)
    for way in () if name in UNTRAINED else (1, 2):
        assert dice(result.labels[0] == way, truth == way) > least, way
    np.testing.assert_allclose(result.probabilities.sum(axis=0, dtype=float), 1, atol=5e-3)
    again = build(name)
    repeated = again.segment(stack(query), again.learn(support))
    np.testing.assert_array_equal(repeated.probabilities, result.probabilities)
    np.testing.assert_array_equal(read_labels(result.save(tmp_path / "m.png"))[0], result.mask)
    assert result.summary()["classes"]["bar"]["pixels"] == (result.labels == 2).sum()
    chosen = learned.configuration
    if chosen is not None:  # chosen on the annotated images, and reported
        assert chosen.describe()
        assert set(chosen.record()) == {"values", "dice", "tried"}
    flat = predictor.segment(stack(np.full((20, 30), 9, np.uint8)), learned)
    assert name in EARLIER or not flat.labels.any()


@pytest.mark.parametrize("name", NAMES)
def test_colour_of_16_bits_and_real_numbers(name):
    """A coloured support, one that is nearly all marked, and a query of another size."""
    image, labels = scene(0)
    query, truth = scene(1)
    coloured = np.stack([image, 255 - image, image // 2], axis=2).astype(np.uint16) * 257
    other = np.stack([query, 255 - query, query // 2], axis=2).astype(np.float32)[:60]
    predictor = build(name)
    learned = predictor.learn(shots((coloured, (labels > 0).astype(np.uint8))))
    result = predictor.segment(stack(other / 255), learned)
    assert learned.colour
    assert result.labels.shape == (1, 60, 64)
    # One class that is both bright and dark is no single range of intensities.
    least = {"region-growing": 0.35}.get(name, 0.5)
    assert name in UNTRAINED or dice(result.labels[0] == 1, truth[:60] > 0) > least


@pytest.mark.parametrize("name", sorted({*NAMES} - {*EARLIER}))
def test_what_cannot_be_learned_is_told(name):
    image, labels = scene(0)
    predictor = build(name)
    with pytest.raises(DataError, match="no annotated plane of image shows c; mark it in one, or"):
        predictor.learn(shots((image, labels), names=("a", "b", "c")))
    flat = np.full_like(image, 7)
    with pytest.raises(DataError, match=r"one intensity throughout.*annotate another image"):
        predictor.learn(shots((flat, labels), names=("a", "b")))
    with pytest.warns(UserWarning, match="all that is known of image is a, so every pixel will be"):
        learned = predictor.learn(shots((image, np.ones_like(labels))))
    assert (predictor.segment(stack(image), learned).labels == 1).all()


def test_the_namespace_gives_the_object_of_the_command(tmp_path):
    image, labels = scene(0)
    query, _ = scene(1)
    fitted = baselines.fit("watershed", image, labels, {1: "disc", 2: "bar"}, **QUICK["watershed"])
    predictor = build("watershed")
    expected = predictor.segment(
        stack(query), predictor.learn(shots((image, labels), names=("disc", "bar")))
    )
    np.testing.assert_array_equal(fitted.segment(query).mask, expected.labels[0])
    assert fitted.configuration.values == {"sigmas": 1.0, "certainties": 0.95, "weights": 1.0}
    with pytest.raises(ModelError, match="no baseline 'watersheds'; did you mean 'watershed'"):
        baselines.fit("watersheds", image, labels)
    with pytest.raises(ModelError, match="has no setting sigma; expected some of"):
        baselines.fit("watershed", image, labels, sigma=1.0)


def test_the_help_of_the_command_lists_every_baseline():
    import ast
    import inspect

    tree = ast.parse(inspect.getsource(InferenceSettings))
    texts = [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)]
    (text,) = (each for each in texts if isinstance(each, str) and "(docs/baselines.md)" in each)
    words = {word.strip("(),.") for word in text.split()}
    assert set(NAMES) <= words
    assert set(NAMES) <= set(PREDICTORS.names())
