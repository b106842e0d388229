import monai.losses
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fewshot.losses import boundary_loss, signed_distances

from . import references
from .family import LossContract
from .samples import IGNORE, batch, gradient


def maps(target, classes, **settings):
    each = [signed_distances(labels, classes, **settings) for labels in target.numpy()]
    return torch.from_numpy(np.stack(each))


def with_maps(logits, target, ignore_index=IGNORE, **settings):
    """`boundary_loss` with the maps that a loader would have computed."""
    distances = maps(target, logits.shape[1], ignore_index=ignore_index)
    return boundary_loss(logits, target, distances=distances, ignore_index=ignore_index, **settings)


class TestBoundary(LossContract):
    loss = staticmethod(with_maps)
    reference = staticmethod(references.boundary)
    pixels_are_a_set, bounded, minimum = False, False, None

    def function(self):
        return boundary_loss

    def tensors(self, target, classes):
        if target.numel() == 0:
            return {"distances": torch.zeros(target.shape[0], classes, *target.shape[1:])}
        return {"distances": maps(target, max(classes, 2))}


@pytest.mark.parametrize("space", [(9,), (6, 7), (4, 5, 3)])
@pytest.mark.parametrize("present", [None, [0], [2]])
@pytest.mark.parametrize("ignored", [0.0, 0.3])
def test_distances_agree_with_all_pairs_of_pixels(space, present, ignored):
    _, target = batch(space, images=1, present=present, ignored=ignored)
    labels = target[0].numpy().astype(np.uint8)
    expected = references.distances(labels, 3)
    np.testing.assert_allclose(signed_distances(labels, 3), expected, rtol=1e-6)


@settings(max_examples=30, deadline=None, derandomize=True, database=None)
@given(seed=st.integers(0, 10**6), density=st.sampled_from([0.0, 0.1, 0.5, 1.0]))
def test_a_class_and_its_complement_are_opposite(seed, density):
    generator = np.random.default_rng(seed)
    labels = (generator.random((7, 9)) < density).astype(np.int16)
    labels[generator.random((7, 9)) < 0.2] = IGNORE
    zero, one = signed_distances(labels, 2)
    np.testing.assert_array_equal(zero, -one)
    assert (one[labels == 1] < 0).all()
    assert (one[labels == 0] > 0).all()
    assert (one[labels == IGNORE] == 0).all()


def test_spacing_scales_each_axis():
    labels = np.array([[1, 0, 0], [0, 0, 0]])
    expected = [[-2, 3, 6], [2, 13**0.5, 40**0.5]]
    np.testing.assert_allclose(
        signed_distances(labels, 2, spacing=(2.0, 3.0))[1], expected, rtol=1e-6
    )
    twice = signed_distances(labels, 2, spacing=2.0)
    np.testing.assert_array_equal(twice, 2 * signed_distances(labels, 2))


def test_an_absent_class_is_a_diagonal_away():
    maps = signed_distances(np.zeros((3, 4), int), 2, spacing=2.0)
    assert (maps[0] == -10).all()
    assert (maps[1] == 10).all()


@pytest.mark.parametrize("space", [(6, 7), (4, 5, 3)])
def test_agrees_with_monai_but_for_the_rim(space):
    logits, target = batch(space)
    theirs = monai.losses.BoundaryLoss(softmax=True, to_onehot_y=True)(logits, target)
    # MONAI shifts the inside by one pixel, so that its rim is at 0 while the outside starts at 1.
    shift = logits.softmax(1).gather(1, target.unsqueeze(1)).mean() / 3
    torch.testing.assert_close(with_maps(logits, target), (theirs - shift).double())


@pytest.mark.parametrize("label", [0, 1])
def test_disagrees_with_monai_on_empty_and_full_masks(label):
    logits, target = batch((6, 7), classes=2, present=[label])
    peer = monai.losses.BoundaryLoss(softmax=True, to_onehot_y=True)
    value, theirs = gradient(peer, logits, target)
    assert value == 0  # nothing to learn, whatever is predicted
    assert (theirs == 0).all()
    _, ours = gradient(with_maps, logits, target)
    assert (ours[:, label] < 0).all()


def test_trap_no_distances_are_computed_inside_forward(monkeypatch):
    logits, target = batch((6, 7))
    distances = maps(target, 3)

    def refuse(*_, **__):
        raise AssertionError("a distance transform ran inside the loss")

    monkeypatch.setitem(signed_distances.__globals__, "distance_transform_edt", refuse)
    assert boundary_loss(logits, target, distances=distances).isfinite()
    with pytest.raises(AssertionError, match="inside the loss"):
        with_maps(logits, target)


@pytest.mark.parametrize(
    ("labels", "settings", "error", "message"),
    [
        (np.zeros((3, 3)), {}, TypeError, "integer dtype was expected"),
        (np.full((3, 3), 2), {}, ValueError, r"label 2, but 2 classes allow 0\.\.1"),
        (np.full((3, 3), -1), {}, ValueError, "label -1"),
        (np.zeros((3, 3), int), {"classes": 1}, ValueError, "at least 2"),
        (np.zeros((3, 3), int), {"spacing": (1, 1, 1)}, ValueError, "each of the 2 axes"),
        (np.zeros((3, 3), int), {"spacing": 0}, ValueError, "spacing is 0"),
    ],
)
def test_wrong_maps_are_named(labels, settings, error, message):
    with pytest.raises(error, match=message):
        signed_distances(labels, **({"classes": 2} | settings))


def test_distances_of_ignored_pixels_do_not_matter():
    # Pixels may be hidden after the maps were made.
    logits, target = batch((6, 7))
    distances = maps(target, 3)
    target[:, :3] = IGNORE
    expected = boundary_loss(logits[:, :, 3:], target[:, 3:], distances=distances[:, :, 3:])
    torch.testing.assert_close(boundary_loss(logits, target, distances=distances), expected)


def test_wrong_distances_are_named():
    logits, target = batch((6, 7))
    with pytest.raises(ValueError, match="signed_distances"):
        boundary_loss(logits, target, distances=torch.zeros(2, 2, 6, 7))
