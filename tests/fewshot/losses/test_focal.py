import math
from functools import partial

import monai.losses
import pytest
import segmentation_models_pytorch.losses as smp
import torch
from torchvision.ops import sigmoid_focal_loss

from fewshot.losses import cross_entropy_loss, focal_loss

from .family import LossContract
from .references import pixel_loss
from .samples import batch, gradient


class TestFocal(LossContract):
    loss = staticmethod(focal_loss)
    reference = staticmethod(
        pixel_loss(lambda p, label: -((1 - p[label]) ** 2) * math.log(p[label]))
    )
    pixelwise, bounded = True, False


class TestFocalBelowOne(LossContract):
    """The derivative of x^gamma is infinite at 0 for gamma < 1."""

    loss = partial(focal_loss, gamma=0.5)
    reference = staticmethod(
        pixel_loss(lambda p, label: -math.sqrt(1 - p[label]) * math.log(p[label]))
    )
    pixelwise, bounded = True, False


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("weights", [None, [0.5, 2.0, 1.0]])
def test_gamma_zero_is_cross_entropy(reduction, weights):
    logits, target = batch((6, 7), ignored=0.3)
    settings = {"reduction": reduction, "class_weights": weights}
    torch.testing.assert_close(
        gradient(focal_loss, logits, target, gamma=0.0, **settings),
        gradient(cross_entropy_loss, logits, target, **settings),
    )


@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.0, 3.5])
def test_two_classes_agree_with_torchvision(gamma):
    logits, target = batch((6, 7), classes=2)
    logits[:, 0] = 0
    theirs = sigmoid_focal_loss(logits[:, 1], target.double(), alpha=-1, gamma=gamma)
    torch.testing.assert_close(focal_loss(logits, target, gamma=gamma, reduction="none"), theirs)


@pytest.mark.parametrize("space", [(6, 7), (4, 5, 3)])
def test_agrees_with_monai(space):
    logits, target = batch(space, dtype=torch.float32)
    peer = monai.losses.FocalLoss(use_softmax=True, to_onehot_y=True, reduction="none")
    theirs = peer(logits, target.unsqueeze(1)).sum(1)
    torch.testing.assert_close(focal_loss(logits, target, reduction="none"), theirs)


def test_trap_monai_with_ignore_index_is_as_many_times_larger_as_there_are_classes():
    logits, target = batch((6, 7), dtype=torch.float32)
    settings = {"use_softmax": True, "to_onehot_y": True}
    plain = monai.losses.FocalLoss(**settings)(logits, target.unsqueeze(1))
    ignoring = monai.losses.FocalLoss(**settings, ignore_index=255)(logits, target.unsqueeze(1))
    torch.testing.assert_close(ignoring, 3 * plain)  # although no pixel is ignored
    # Ours is the mean over pixels in both cases; MONAI's plain mean divides by the classes too.
    ours = focal_loss(logits, target)
    torch.testing.assert_close(ours, 3 * plain)
    torch.testing.assert_close(focal_loss(logits, target, ignore_index=77), ours)


def test_disagrees_with_smp_which_takes_sigmoids_of_single_classes():
    logits, target = batch((6, 7))
    one_vs_rest = [
        sigmoid_focal_loss(logits[:, c], (target == c).double(), alpha=-1, reduction="mean")
        for c in range(3)
    ]
    theirs = smp.FocalLoss("multiclass")(logits, target)
    torch.testing.assert_close(theirs, sum(one_vs_rest) / 3)
    assert abs(focal_loss(logits, target) - theirs) > 0.01


@pytest.mark.parametrize("gamma", [-0.5, math.inf, math.nan])
def test_wrong_gamma_is_named(gamma):
    with pytest.raises(ValueError, match=f"gamma is {gamma}"):
        focal_loss(*batch((6, 7)), gamma=gamma)
