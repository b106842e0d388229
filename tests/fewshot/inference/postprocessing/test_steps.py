"""Each cue by itself: where it must help, where it must change nothing, and its formula."""

import itertools

import numpy as np
import pytest
import torch

from episodes.errors import FewshotError
from fewshot.inference.postprocessing.connected_components import (
    filter_components,
    swap_label_probabilities,
)
from fewshot.inference.postprocessing.feature_affinity import smooth_by_similarity
from fewshot.inference.postprocessing.flip_tta import flip_consistent, mirrored
from fewshot.inference.postprocessing.location_prior import add_prior, position_prior
from fewshot.inference.postprocessing.settings import PostprocessSettings
from fewshot.inference.postprocessing.slice_smoothing import depth_weights, smooth_depth
from fewshot.models.coordinates import append_coordinates


def probabilities(seed: int, labels: int = 2, rows: int = 5, columns: int = 6) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(labels, rows, columns, generator=generator).softmax(dim=0)


def picture(seed: int, rows: int = 5, columns: int = 6) -> np.ndarray:
    return np.random.default_rng(seed).random((1, rows, columns))


# -- similarity ----------------------------------------------------------------------------------


def test_similarity_is_what_a_slow_loop_computes(monkeypatch):
    monkeypatch.setattr(
        "fewshot.inference.postprocessing.feature_affinity._ROWS", 7
    )  # several chunks, the last shorter
    given, features = (
        probabilities(0, 3),
        torch.randn(4, 5, 6, generator=torch.Generator().manual_seed(1)),
    )
    found = smooth_by_similarity(given, features, 0.3, 0.2)
    p, f = given.flatten(1).T.numpy(), features.flatten(1).T.numpy()
    expected = np.zeros_like(p)
    for i in range(30):
        affinity = np.array(
            [
                np.exp(f[i] @ f[j] / np.linalg.norm(f[i]) / np.linalg.norm(f[j]) / 0.2)
                for j in range(30)
            ]
        )
        expected[i] = 0.7 * p[i] + 0.3 * (affinity / affinity.sum()) @ p
    np.testing.assert_allclose(found.flatten(1).T, expected, atol=1e-6)
    torch.testing.assert_close(found.sum(dim=0), torch.ones(5, 6))


def test_similarity_repairs_a_position_that_looks_like_the_others():
    features = torch.zeros(2, 4, 4)
    features[0, :, :2], features[1, :, 2:] = 1, 1
    foreground = torch.full((4, 4), 0.1)
    foreground[:, :2] = 0.9
    foreground[1, 1] = 0.2  # wrong, though it looks like its half
    given = torch.stack([1 - foreground, foreground])
    found = smooth_by_similarity(given, features, 1.0)
    assert (found[1, :, :2] > 0.5).all()
    assert (found[1, :, 2:] < 0.5).all()


def test_similarity_of_weight_zero_changes_nothing():
    given = probabilities(0)
    assert smooth_by_similarity(given, torch.zeros(3, 5, 6), 0.0) is given


# -- proximity -----------------------------------------------------------------------------------


def test_the_prior_is_the_distance_to_the_nearest_border():
    mask = torch.zeros(1, 1, 7, 9, dtype=torch.uint8)
    mask[..., 2:5, 3:7] = 1
    mask[..., 0, 0] = 255
    found = position_prior(mask, 0.2)
    inside = mask[0, 0] == 1
    for row, column in itertools.product(range(7), range(9)):
        others = [
            np.hypot(row - r, column - c)
            for r, c in itertools.product(range(7), range(9))
            if inside[r, c] != inside[row, column]
        ]
        signed = (min(others) - 0.5) * (1 if inside[row, column] else -1)
        expected = 0 if (row, column) == (0, 0) else np.tanh(signed / (0.2 * 9))
        assert found[1, row, column] == pytest.approx(expected, abs=1e-6)
    assert (found[0] == 0).all()


def test_shots_that_lack_a_class_say_nothing_about_it():
    masks = torch.zeros(2, 2, 6, 6, dtype=torch.uint8)
    masks[0, 0, 2:4, 2:4] = 1
    found = position_prior(masks)
    torch.testing.assert_close(found[1], position_prior(masks[:1, :1])[1])
    assert (found[2] == 0).all()
    full = position_prior(torch.ones(1, 1, 4, 4, dtype=torch.uint8))
    assert (full[1] == 1).all()


def test_a_prior_decides_between_two_places_that_look_alike():
    mask = torch.zeros(1, 1, 8, 8, dtype=torch.uint8)
    mask[..., 1:4, 1:4] = 1
    logits = torch.full((2, 8, 8), 0.0)
    logits[1] = -2
    logits[1, 1:4, 1:4] = logits[1, 5:8, 5:8] = 0.5
    found = add_prior(logits, position_prior(mask), 2.0)
    assert (found[1] > found[0])[1:4, 1:4].all()
    assert not (found[1] > found[0])[5:, 5:].any()
    assert add_prior(logits, position_prior(mask), 0.0) is logits
    assert add_prior(logits[None], position_prior(mask)[:, ::2, ::2], 1.0).shape == (1, 2, 8, 8)


def test_coordinates_make_far_positions_less_alike():
    features = torch.ones(2, 3, 4, 4)
    found = append_coordinates(features, 0.6)
    assert found.shape == (2, 5, 4, 4)
    near = torch.nn.functional.cosine_similarity(found[0, :, 0, 0], found[0, :, 0, 1], dim=0)
    far = torch.nn.functional.cosine_similarity(found[0, :, 0, 0], found[0, :, 3, 3], dim=0)
    assert near > far
    torch.testing.assert_close(found[:, :3].norm(dim=1), torch.ones(2, 4, 4))
    assert append_coordinates(features, 0.0) is features


# -- parts ---------------------------------------------------------------------------------------


def test_parts_are_kept_by_their_area_over_the_whole_volume():
    labels = np.zeros((2, 5, 9), np.uint8)
    labels[:, 0, :3] = 1  # six voxels in two slices
    labels[0, 2, :5] = 1  # five in one
    labels[0, 4, 8] = 1
    labels[1, 4, 0:2] = 2
    largest = filter_components(labels, "largest")
    assert (largest == 1).sum() == 6
    assert (largest[:, 0, :3] == 1).all()
    assert (largest == 2).sum() == 2
    large = filter_components(labels, "large", 0.4)
    assert (large == 1).sum() == 11
    np.testing.assert_array_equal(filter_components(labels), labels)
    assert labels[0, 4, 8] == 1  # the input stays as it is


def test_holes_are_closed_unless_another_class_fills_them():
    labels = np.zeros((1, 5, 10), np.uint8)
    labels[0, 1:4, 1:4] = labels[0, 1:4, 6:9] = 1
    labels[0, 2, 2], labels[0, 2, 7] = 0, 2
    found = filter_components(labels, fill=True)
    assert found[0, 2, 2] == 1
    assert found[0, 2, 7] == 2
    assert (filter_components(np.zeros((1, 3, 3), np.uint8), "largest", fill=True) == 0).all()


def test_exchanged_probabilities_belong_to_the_new_labels():
    given = probabilities(3, 3)
    before = given.argmax(dim=0)
    after = torch.zeros_like(before)
    found = swap_label_probabilities(given, before, after)
    assert (found.argmax(dim=0) == 0).all()
    torch.testing.assert_close(found.sum(dim=0), torch.ones(5, 6))
    torch.testing.assert_close(swap_label_probabilities(given, before, before), given)


# -- symmetry and common fate --------------------------------------------------------------------


def test_flipping_averages_what_the_mirror_says():
    logits = torch.tensor([[[0.0, 0.0]], [[2.0, -1.0]]])
    turned = torch.tensor([[[0.0, 0.0]], [[3.0, 1.0]]])
    found = flip_consistent(logits, turned).softmax(dim=0)[1, 0]
    sigmoid = torch.sigmoid
    expected = torch.stack(
        [
            (sigmoid(torch.tensor(2.0)) + sigmoid(torch.tensor(1.0))) / 2,
            (sigmoid(torch.tensor(-1.0)) + sigmoid(torch.tensor(3.0))) / 2,
        ]
    )
    torch.testing.assert_close(found, expected)
    same = flip_consistent(logits, mirrored(logits))
    torch.testing.assert_close(same.softmax(dim=0), logits.softmax(dim=0))


def test_depth_repairs_the_slice_that_its_neighbours_contradict():
    logits = torch.zeros(5, 2, 3, 3)
    logits[:, 1] = 2.0
    logits[2, 1, 1, 1] = -1.0
    found = smooth_depth(logits, depth_weights(5, 1.0))
    assert (found[:, 1] > found[:, 0]).all()


def test_depth_weights_are_the_formula():
    descriptors = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    found = depth_weights(3, 0.8, descriptors, 0.5)
    for i in range(3):
        row = np.array(
            [
                np.exp(-((i - j) ** 2) / (2 * 0.64))
                * np.exp((float(descriptors[i] @ descriptors[j]) - 1) / 0.5)
                for j in range(3)
            ]
        )
        np.testing.assert_allclose(found[i], row / row.sum(), rtol=1e-5)


def test_depth_leaves_one_slice_no_sigma_and_offsets_alone():
    logits = torch.randn(4, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(smooth_depth(logits[:1], depth_weights(1, 2.0)), logits[:1])
    kept = smooth_depth(logits, depth_weights(4, 0.0))
    torch.testing.assert_close(kept.softmax(dim=1), logits.softmax(dim=1))
    shifted = logits + torch.arange(4.0)[:, None, None, None]
    weights = depth_weights(4, 1.0)
    torch.testing.assert_close(smooth_depth(shifted, weights), smooth_depth(logits, weights))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("similarity", 1.5),
        ("similarity", -0.1),
        ("proximity", float("nan")),
        ("proximity_width", 0.0),
        ("similarity_temperature", 0.0),
        ("smooth_side", 4),
        ("keep_share", 2.0),
        ("depth", float("inf")),
        ("threshold", 0.0),
        ("threshold", 1.0),
        ("walker_across", -1.0),
    ],
)
def test_settings_without_meaning_are_refused(name, value):
    with pytest.raises(FewshotError, match=name):
        PostprocessSettings(**{name: value})
