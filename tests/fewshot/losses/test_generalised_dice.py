import monai.losses
import pytest
import torch

from fewshot.losses import generalised_dice_loss

from .family import LossContract
from .references import generalised_dice
from .samples import batch, gradient


class TestGeneralisedDice(LossContract):
    loss = staticmethod(generalised_dice_loss)
    reference = staticmethod(generalised_dice)


@pytest.mark.parametrize(("power", "kind"), [(2, "square"), (1, "simple"), (0, "uniform")])
@pytest.mark.parametrize("present", [None, [0, 2]])
@pytest.mark.parametrize("include_background", [True, False])
def test_agrees_with_monai(power, kind, present, include_background):
    logits, target = batch((6, 7), present=present)
    peer = monai.losses.GeneralizedDiceLoss(
        softmax=True,
        to_onehot_y=True,
        w_type=kind,
        include_background=include_background,
        smooth_nr=0,
        smooth_dr=0,
    )
    torch.testing.assert_close(
        gradient(
            generalised_dice_loss,
            logits,
            target,
            power=power,
            include_background=include_background,
        ),
        gradient(lambda x, t: peer(x, t.unsqueeze(1)), logits, target),
    )


def test_disagrees_with_monai_where_the_foreground_is_empty():
    logits, target = batch((6, 7), present=[0])
    peer = monai.losses.GeneralizedDiceLoss(
        softmax=True, to_onehot_y=True, include_background=False
    )
    value, theirs = gradient(lambda x, t: peer(x, t.unsqueeze(1)), logits, target)
    assert value == 0  # all weights are 0 there: false positives are free
    assert (theirs == 0).all()
    value, ours = gradient(generalised_dice_loss, logits, target, include_background=False)
    torch.testing.assert_close(value, 1 - logits.softmax(1)[:, 0].mean())
    assert (ours[:, 0] < 0).all()


def test_nothing_predicted_where_nothing_is_has_a_gradient_of_zero():
    target = torch.zeros(1, 6, 7, dtype=torch.long)
    logits = torch.stack([target + 1e4, target - 1e4], 1).float()
    value, slope = gradient(generalised_dice_loss, logits, target, include_background=False)
    assert value == 0
    assert (slope == 0).all()


def test_weights_of_huge_classes_do_not_underflow():
    logits, target = batch((64, 64), images=1, dtype=torch.float32)
    value, slope = gradient(generalised_dice_loss, logits, target, power=20.0)
    assert value.isfinite()
    assert (slope != 0).any()


@pytest.mark.parametrize("power", [-1.0, float("inf"), float("nan")])
def test_wrong_power_is_named(power):
    with pytest.raises(ValueError, match=f"power is {power}"):
        generalised_dice_loss(*batch((6, 7)), power=power)
