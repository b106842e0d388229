import numpy as np
import pytest
import torch

from episodes.errors import DataError, ModelError
from episodes.io.write import write_image, write_mask
from fewshot.inference.resolution import upsampling_factor
from fewshot.inference.segmenter import Segmenter
from fewshot.inference.support_set import read_support_set
from fewshot.metrics.overlap import confusion_matrix, dice
from tests.fewshot.conftest import disc_scene


def test_one_annotated_image_segments_another(segmenter):
    image, labels = disc_scene(0)
    support = segmenter.learn(image, labels, {1: "disc", 2: "bar"})
    other, truth = disc_scene(1)
    result = segmenter.segment(other, support)
    scores = dice(confusion_matrix(result.mask, truth, 3))
    assert result.class_names == ("disc", "bar")
    assert scores[1] > 0.8
    assert scores[2] > 0.6
    assert result.areas()["disc"] == (result.mask == 1).sum()


def test_many_shots_and_partial_annotation(segmenter):
    scenes = [disc_scene(seed) for seed in range(3)]
    images = [image for image, _ in scenes]
    masks = [np.where(labels == 2, 255, labels) for _, labels in scenes]
    masks[1][:] = 0  # one image is not annotated at all, and is not used
    support = segmenter.learn(images, masks, {1: "disc", 255: "unknown"})
    other, truth = disc_scene(7)
    found = segmenter.segment(other, support).mask
    assert dice(confusion_matrix(found, (truth == 1).astype(np.uint8), 2))[1] > 0.5


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64, bool])
def test_any_number_type(segmenter, dtype):
    image, labels = disc_scene(0)
    if dtype is bool:
        image = image > 100
    elif dtype is np.uint16:
        image = image.astype(np.uint16) * 200
    support = segmenter.learn(image.astype(dtype), labels == 1)
    assert segmenter.segment(image.astype(dtype), support).mask.shape == labels.shape


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (33, 5), (200, 301), (64, 64, 3), (64, 64, 4)])
def test_any_size_comes_back_at_its_own_size(segmenter, shape):
    image, labels = disc_scene(0)
    support = segmenter.learn(image, labels == 1)
    query = np.random.default_rng(0).integers(0, 255, shape, np.uint8)
    if len(shape) == 3:
        query[..., 3:] = 255  # opaque
    result = segmenter.segment(query, support, other_magnification=True)
    assert result.mask.shape == shape[:2]
    assert result.confidence.shape == shape[:2]
    assert result.overlay().shape == (*shape[:2], 3)


def test_tensors_have_their_channel_first(segmenter):
    image, labels = disc_scene(0)
    tensor = torch.from_numpy(image)[None].expand(3, -1, -1)
    support = segmenter.learn(tensor, torch.from_numpy(labels == 1))
    expected = segmenter.segment(np.stack([image] * 3, axis=2), support)
    np.testing.assert_array_equal(segmenter.segment(tensor, support).mask, expected.mask)


def test_a_volume_is_its_slices(segmenter):
    image, labels = disc_scene(0)
    support = segmenter.learn(image, labels == 1)
    volume = np.stack([image, image[::-1], image])
    whole = segmenter.segment(volume, support, axes="ZYX")
    assert whole.mask.shape == volume.shape
    np.testing.assert_array_equal(whole.mask[0], whole.mask[2])
    assert whole.probabilities.shape == (2, *volume.shape)
    np.testing.assert_allclose(whole.probabilities.sum(axis=0), 1, atol=2e-3)


def test_results_do_not_depend_on_the_queries_before(segmenter):
    image, labels = disc_scene(0)
    support = segmenter.learn(image, labels == 1)
    first = segmenter.segment(disc_scene(1)[0], support).probabilities
    segmenter.segment(disc_scene(2)[0], support)
    again = segmenter.segment(disc_scene(1)[0], support).probabilities
    np.testing.assert_array_equal(first, again)


def test_masks_keep_the_numbers_of_the_support(segmenter, tmp_path):
    image, labels = disc_scene(0)
    write_image(tmp_path / "image.png", image)
    for name, values in (("black_white", 255), ("seven", 7), ("deep", 40_000)):
        mask = np.where(labels == 1, values, 0).astype(np.uint16 if values > 255 else np.uint8)
        path = write_mask(tmp_path / f"{name}.png", mask[None])
        names = None if values == 255 else {values: "disc"}
        support = segmenter.learn(tmp_path / "image.png", path, names)
        result = segmenter.segment(tmp_path / "image.png", support)
        assert set(np.unique(result.mask)) == {0, values}
        assert result.mask.dtype == mask.dtype


def test_a_support_of_another_model_is_refused(segmenter, own_segmenter):
    image, labels = disc_scene(0)
    support = own_segmenter.learn(image, labels == 1)
    with pytest.raises(ModelError, match="another model made this support"):
        segmenter.segment(image, support)


def test_bad_supports_are_refused(segmenter):
    image, labels = disc_scene(0)
    bad = [
        (image, np.zeros_like(labels), "all background"),
        (image, np.full_like(labels, 255) * (labels == 9), "all background"),
        (image, labels[:-1], "expected the same size"),
        ([image, image], labels, "one mask an image"),
        (image, labels * 0.7, "whole numbers"),
        (image, labels.astype(int) - 1, "from 0 upwards"),
        (image, labels.astype(int) * 300, "values without names"),
        (np.stack([[image] * 5] * 5), labels, "whose axes are not certain"),
        (np.full((20, 20), np.nan), np.ones((20, 20), bool), "no finite number"),
        (np.zeros((0, 5)), np.zeros((0, 5)), "at least one pixel"),
        (image.astype("U3"), labels, "expected numbers"),
    ]
    for images, masks, said in bad:
        with pytest.raises(DataError, match=said):
            segmenter.learn(images, masks)


def test_nan_pixels_are_read_as_the_smallest_value_with_a_warning(segmenter):
    image, labels = disc_scene(0)
    support = segmenter.learn(image, labels == 1)
    broken = image.astype(np.float32)
    broken[:5] = np.nan
    with pytest.warns(UserWarning, match="480 of 9,216 pixels are NaN"):
        result = segmenter.segment(broken, support)
    assert np.isfinite(result.probabilities).all()


def test_thin_structures_are_compared_larger():
    wide, thin = np.zeros((2, 1, 256, 256), np.uint8)
    wide[0, 50:150, 50:150] = 1
    thin[0, 50:53] = 1
    assert upsampling_factor([wide], 256, 8) == 1
    assert upsampling_factor([thin], 256, 8) == 3
    assert upsampling_factor([wide, thin], 256, 8) in (1, 2, 3)
    assert upsampling_factor([np.ones((1, 16, 16), np.uint8)], 256, 8) == 1
    both = wide.copy()
    both[thin > 0] = 2
    assert upsampling_factor([both], 256, 8) == 3


def test_a_loaded_network_keeps_its_size_and_tells_of_thin_structures(own_segmenter, tmp_path):
    thin = np.zeros((96, 96), np.uint8)
    thin[40:42] = 1
    shots = read_support_set(thin, thin)
    assert own_segmenter.size_for(shots) == 192
    loaded = Segmenter.from_pretrained(own_segmenter.save_pretrained(tmp_path / "model"))
    with pytest.warns(UserWarning, match="try size 192"):
        assert loaded.size_for(shots) == 64
