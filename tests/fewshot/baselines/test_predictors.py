"""The simple baselines as predictors: what each finds, and inputs at the edge."""

import numpy as np
import pytest
import torch

from episodes.errors import DataError
from episodes.io.pixels import IGNORE
from fewshot.baselines.copy_mask import copy_mask
from fewshot.baselines.image_predictor import image_at, training_images
from fewshot.baselines.threshold import LEVELS, dice_of_levels, otsu_level
from fewshot.inference.inputs import ImageStack
from fewshot.inference.pixel_features import draw_pixels
from fewshot.inference.predictors.build import build_predictor
from fewshot.inference.predictors.feature_predictor import annotated_slices
from fewshot.inference.support_set import SupportSet
from tests.fewshot.conftest import disc_scene

NAMES = ("copy-mask", "threshold", "pixel-forest")
FEW = {"pixel-forest": {"trees": 10, "pixels": 800, "sigmas": (1.0, 3.5)}}


def stack(pixels: np.ndarray) -> ImageStack:
    return ImageStack(pixels[None], "image")


def shots(*pairs: tuple[np.ndarray, np.ndarray], names=("a",)) -> SupportSet:
    values = tuple(range(1, len(names) + 1))
    maps = tuple(labels[None] for _, labels in pairs)
    return SupportSet(tuple(stack(pixels) for pixels, _ in pairs), maps, names, values)


def build(name: str, **values):
    return build_predictor(None, name, {**FEW.get(name, {}), **values})


def found(name: str, support: SupportSet, query: np.ndarray, **values) -> np.ndarray:
    predictor = build(name, **values)
    return predictor.segment(stack(query), predictor.learn(support)).labels[0]


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


def only(labels: np.ndarray, way: int) -> np.ndarray:
    return (labels == way).astype(np.uint8)


@pytest.mark.parametrize("name", ["threshold", "pixel-forest"])
def test_bright_and_dark_things_are_found(name):
    image, labels = disc_scene(0)
    query, truth = disc_scene(1)
    disc = only(labels, 1)
    assert dice(found(name, shots((image, disc)), query), only(truth, 1)) > 0.9
    assert dice(found(name, shots((255 - image, disc)), 255 - query), only(truth, 1)) > 0.9


def test_a_colour_is_found_that_is_no_brighter_than_others():
    image, labels = disc_scene(0)
    grey = np.full_like(image, 100)
    red = np.stack([grey + 80 * (labels == 1), grey - 40 * (labels == 1), grey], axis=2)
    blue = np.stack([grey, grey - 40 * (labels == 2), grey + 80 * (labels == 2)], axis=2)
    picture = np.where((labels == 2)[..., None], blue, red).astype(np.uint8)
    support = shots((picture, labels), names=("red", "blue"))
    np.testing.assert_array_equal(found("threshold", support, picture), labels)
    flipped = found("threshold", support, picture[:, ::-1].copy())
    np.testing.assert_array_equal(flipped, labels[:, ::-1])
    mixed = shots((picture, labels), (image, labels), names=("red", "blue"))
    assert not build("threshold").learn(mixed).colour  # grey pictures have no colour to compare


def test_otsu_follows_the_brightness_of_each_image():
    image, labels = disc_scene(0)
    disc = only(labels, 1)
    support = shots((image, disc))
    darker = ImageStack((image // 3)[None], "darker", limits=(0.0, 255.0))

    def score(**values):
        predictor = build("threshold", **values)
        return dice((predictor.segment(darker, predictor.learn(support)).labels[0] == 1), disc == 1)

    assert score() > 0.9
    assert score(otsu_margin=-1.0) < 0.1


def test_dice_of_every_threshold_is_that_of_a_loop():
    generator = np.random.default_rng(0)
    levels, inside = generator.integers(0, LEVELS, 300), generator.random(300) < 0.3
    of_class = np.bincount(levels[inside], minlength=LEVELS)
    known = np.bincount(levels, minlength=LEVELS)
    for bright in (True, False):
        ours = dice_of_levels(of_class, known, bright)
        for level in (0, 1, 500, LEVELS - 1, LEVELS):
            mask = levels >= level if bright else levels < level
            expected = 2 * (mask & inside).sum() / (mask.sum() + inside.sum())
            assert ours[level] == pytest.approx(expected)


def test_otsu_lies_between_two_peaks():
    counts = np.zeros(LEVELS, int)
    counts[[100, 101, 700]] = 50, 50, 30
    assert 101 < otsu_level(counts) <= 700
    assert otsu_level(np.eye(1, LEVELS, 3, dtype=int)[0]) == 0


def test_masks_are_pasted_as_the_function_does():
    generator = np.random.default_rng(0)
    masks = generator.integers(0, 3, (3, 20, 20)).astype(np.uint8)
    masks[0, :3] = IGNORE
    image = generator.random((20, 20)).astype(np.float32)
    support = shots(*((image, mask) for mask in masks), names=("a", "b"))
    ways = torch.from_numpy(np.stack([masks == 1, masks == 2]).astype(np.uint8))
    np.testing.assert_array_equal(found("copy-mask", support, image), copy_mask(ways).numpy())
    assert found("copy-mask", support, np.zeros((31, 50), np.float32)).shape == (31, 50)


@pytest.mark.parametrize("name", NAMES)
def test_a_class_of_one_pixel(name):
    image, labels = disc_scene(0)
    one = np.zeros_like(labels)
    one[labels.shape[0] // 2, 7] = 1
    assert found(name, shots((image, one)), image).shape == image.shape


@pytest.mark.parametrize("name", NAMES)
def test_a_fully_marked_image_is_told_and_all_is_the_class(name):
    image, labels = disc_scene(0)
    with pytest.warns(UserWarning, match="all that is known of image is a, so every pixel will be"):
        assert (found(name, shots((image, np.ones_like(labels))), image) == 1).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_constant_image(name):
    _, labels = disc_scene(0)
    flat = np.full(labels.shape, 7, np.uint8)
    result = found(name, shots((flat, only(labels, 1))), flat)
    assert name == "copy-mask" or len(np.unique(result)) == 1
    assert name != "threshold" or (result == 1).all()  # Dice is higher than that of nothing


@pytest.mark.parametrize("name", NAMES)
def test_a_class_in_one_of_two_supports(name):
    image, labels = disc_scene(0)
    other, truth = disc_scene(1)
    support = shots((image, labels), (other, only(truth, 1)), names=("disc", "bar"))
    result = found(name, support, image)
    if name == "copy-mask":
        assert not (result == 2).any()  # half of the masks are no majority
    else:
        assert dice(only(result, 2), only(labels, 2)) > 0.5


@pytest.mark.parametrize("name", ["threshold", "pixel-forest"])
def test_unknown_pixels_teach_nothing(name):
    image, labels = disc_scene(0)
    disc = only(labels, 1)
    disc[labels == 2] = IGNORE
    changed = np.where(labels == 2, 255 - image, image)
    limits = (0.0, 255.0)
    predictor = build(name, sigmas=(0.0,)) if name == "threshold" else build(name)
    if name == "threshold":
        stacks = (ImageStack(each[None], "x", limits=limits) for each in (image, changed))
        one, other = (
            predictor.learn(SupportSet((each,), (disc[None],), ("a",), (1,))).model[0]
            for each in stacks
        )
        assert (one.level, one.dice) == (other.level, other.dice)
    else:
        drawn = draw_pixels([disc], 10**6, np.random.default_rng(0))[0]
        np.testing.assert_array_equal(drawn, np.flatnonzero(disc != IGNORE))


def test_pixels_are_drawn_equally_and_repeatably():
    maps = [np.repeat(np.array([0, 1, 255], np.uint8), (90, 5, 5))[None], np.zeros((1, 50), "u1")]
    first, second = draw_pixels(maps, 20, np.random.default_rng(1))
    assert (maps[0].ravel()[first] == 1).sum() == 5
    assert (maps[0].ravel()[first] == 0).sum() + len(second) == 10
    again = draw_pixels(maps, 20, np.random.default_rng(1))
    np.testing.assert_array_equal(np.concatenate([first, second]), np.concatenate(again))


def test_large_images_are_scaled_and_no_class_is_lost():
    image = np.zeros((300, 100), np.float32)
    labels = np.zeros((300, 100), np.uint8)
    labels[1, 1] = 1
    learned = annotated_slices(shots((image, labels)))
    ((small, marked),) = training_images(learned, False, 30)
    assert small.shape == (30, 10, 1)
    assert marked.shape == (30, 10)
    assert np.argwhere(marked == 1).tolist() == [[0, 0]]
    picture = stack(np.random.default_rng(0).random((40, 40, 3)).astype(np.float32))
    assert image_at(picture, 0, True, 20).shape == (20, 20, 3)
    assert image_at(picture, 0, False, 40).shape == (40, 40, 1)
    result = found("pixel-forest", shots((image, labels)), image, max_side=30)
    assert result.shape == image.shape


def test_settings_out_of_range_are_refused():
    with pytest.raises(DataError, match="trees is 0; expected at least 1"):
        build("pixel-forest", trees=0)
    with pytest.raises(DataError, match=r"sigmas are \(0\.0,\)"):
        build("pixel-forest", sigmas=(0.0,))
    with pytest.raises(DataError, match="no plane of image is annotated"):
        build("threshold").learn(shots((np.zeros((9, 9)), np.full((9, 9), IGNORE, np.uint8))))
