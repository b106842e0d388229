from functools import partial

import monai.losses
import pytest
import segmentation_models_pytorch.losses as smp
import torch

from fewshot.losses import dice_loss, focal_tversky_loss, tversky_loss
from fewshot.losses.focal_tversky import root

from .family import LossContract
from .references import region_loss
from .samples import IGNORE, batch, gradient


def formula(tp, fp, fn):
    return (0.3 * fp + 0.7 * fn) / (tp + 0.3 * fp + 0.7 * fn)


class TestTversky(LossContract):
    loss = staticmethod(tversky_loss)
    reference = staticmethod(region_loss(formula))


class TestFocalTversky(LossContract):
    loss = staticmethod(focal_tversky_loss)
    reference = staticmethod(partial(region_loss(formula), finish=lambda value: value**0.75))


@pytest.mark.parametrize("present", [None, [0], [1, 2]])
def test_halves_are_dice_and_gamma_one_is_tversky(present):
    logits, target = batch((6, 7), ignored=0.3, present=present)
    torch.testing.assert_close(
        gradient(tversky_loss, logits, target, ignore_index=255, alpha=0.5, beta=0.5),
        gradient(dice_loss, logits, target, ignore_index=255),
    )
    torch.testing.assert_close(
        gradient(focal_tversky_loss, logits, target, ignore_index=255, gamma=1.0),
        gradient(tversky_loss, logits, target, ignore_index=255),
    )


@pytest.mark.parametrize(("alpha", "beta"), [(0.3, 0.7), (1.0, 1.0), (0.0, 1.0)])
@pytest.mark.parametrize("space", [(6, 7), (4, 5, 3)])
def test_agrees_with_monai_and_smp(alpha, beta, space):
    logits, target = batch(space, images=1)
    ours = tversky_loss(logits, target, alpha=alpha, beta=beta)
    settings = {"softmax": True, "to_onehot_y": True, "smooth_nr": 0, "smooth_dr": 0}
    peer = monai.losses.TverskyLoss(alpha=alpha, beta=beta, **settings)
    torch.testing.assert_close(peer(logits, target.unsqueeze(1)), ours)
    peer = smp.TverskyLoss("multiclass", alpha=alpha, beta=beta)
    torch.testing.assert_close(peer(logits, target), ours)


def test_focal_tversky_agrees_with_smp_on_one_class():
    logits, target = batch((6, 7), classes=2, images=1, ignored=0.3)
    peer = smp.TverskyLoss(
        "multiclass", classes=[1], alpha=0.3, beta=0.7, gamma=0.75, ignore_index=IGNORE
    )
    ours = focal_tversky_loss(logits, target, include_background=False)
    torch.testing.assert_close(peer(logits, target), ours)


def test_focal_tversky_disagrees_with_smp_which_takes_the_root_of_the_mean():
    logits, target = batch((6, 7), images=1)
    peer = smp.TverskyLoss("multiclass", alpha=0.3, beta=0.7, gamma=0.75)
    torch.testing.assert_close(peer(logits, target), tversky_loss(logits, target) ** 0.75)
    # The paper sums the roots of the classes; a root is concave.
    assert focal_tversky_loss(logits, target) < peer(logits, target)


def test_trap_the_root_of_a_perfect_class_has_no_gradient_in_smp():
    _, target = batch((6, 7), images=1, dtype=torch.float32)
    right = 200.0 * torch.nn.functional.one_hot(target, 3).movedim(-1, 1).float()
    _, theirs = gradient(smp.TverskyLoss("multiclass", gamma=0.75), right, target)
    assert theirs.isnan().any()
    value, ours = gradient(focal_tversky_loss, right, target)
    assert value == 0
    assert ours.isfinite().all()


@pytest.mark.parametrize("power", [0.25, 0.75, 1.0, 2.0])
def test_the_line_below_the_root_is_continuous(power):
    smallest = torch.finfo(torch.float64).eps
    values = smallest * torch.tensor([0.0, 0.5, 1 - 1e-9, 1.0, 1 + 1e-9, 2.0], dtype=torch.float64)
    zero, half, below, at, above, double = root(values, power).tolist()
    assert zero == 0
    assert zero < half < below < at < above < double
    assert above - below < 1e-8 * at
    assert double == pytest.approx((2 * smallest) ** power)


@pytest.mark.parametrize("prices", [(-0.1, 0.5), (0.5, 0.0), (0.5, float("nan"))])
@pytest.mark.parametrize("loss", [tversky_loss, focal_tversky_loss])
def test_wrong_prices_are_named(loss, prices):
    with pytest.raises(ValueError, match=f"alpha is {prices[0]} and beta {prices[1]}"):
        loss(*batch((6, 7)), alpha=prices[0], beta=prices[1])


@pytest.mark.parametrize("gamma", [0.0, -1.0, float("inf")])
def test_wrong_gamma_is_named(gamma):
    with pytest.raises(ValueError, match=f"gamma is {gamma}"):
        focal_tversky_loss(*batch((6, 7)), gamma=gamma)
