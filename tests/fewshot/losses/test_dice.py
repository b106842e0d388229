import monai.losses
import pytest
import segmentation_models_pytorch.losses as smp
import torch

from fewshot.losses import dice_loss

from .family import LossContract
from .references import region_loss
from .samples import IGNORE, batch, gradient


class TestDice(LossContract):
    loss = staticmethod(dice_loss)
    reference = staticmethod(region_loss(lambda tp, fp, fn: 1 - 2 * tp / (2 * tp + fp + fn)))


def of_monai(**settings):
    return monai.losses.DiceLoss(
        softmax=True, to_onehot_y=True, smooth_nr=0, smooth_dr=0, reduction="none", **settings
    )


@pytest.mark.parametrize("space", [(6, 7), (4, 5, 3)])
@pytest.mark.parametrize("include_background", [True, False])
def test_agrees_with_monai_where_all_classes_are_present(space, include_background):
    logits, target = batch(space)
    theirs = of_monai(include_background=include_background)(logits, target.unsqueeze(1))
    ours = dice_loss(logits, target, reduction="none", include_background=include_background)
    torch.testing.assert_close(ours, theirs.flatten(1).mean(1))


def test_agrees_with_monai_on_ignored_pixels():
    logits, target = batch((6, 7), ignored=0.3)
    theirs = of_monai(ignore_index=IGNORE)(logits, target.unsqueeze(1)).flatten(1).mean(1)
    torch.testing.assert_close(dice_loss(logits, target, reduction="none"), theirs)


def test_agrees_with_smp_on_one_image():
    # SMP counts the whole batch as one image.
    logits, target = batch((6, 7), images=1, ignored=0.3)
    peer = smp.DiceLoss("multiclass", ignore_index=IGNORE)
    torch.testing.assert_close(gradient(dice_loss, logits, target), gradient(peer, logits, target))


def test_trap_smp_has_no_gradient_on_an_empty_foreground():
    logits, target = batch((64, 64), classes=2, images=1, present=[0])
    _, theirs = gradient(smp.DiceLoss("multiclass", classes=[1]), logits, target)
    assert (theirs == 0).all()
    value, ours = gradient(dice_loss, logits, target, include_background=False)
    torch.testing.assert_close(value, logits.softmax(1)[:, 1].mean())
    assert (ours[:, 1] > 0).all()


def test_trap_monai_does_not_see_the_size_of_a_false_alarm():
    target = torch.zeros(1, 64, 64, dtype=torch.long)
    small, large = torch.zeros(2, 1, 2, 64, 64)
    small[:, 0], large[:, 0] = 4.0, -4.0
    peer = monai.losses.DiceLoss(softmax=True, to_onehot_y=True, include_background=False)
    assert peer(large, target[:, None]) - peer(small, target[:, None]) < 1e-6
    _, theirs = gradient(peer, small, target[:, None])
    assert theirs.abs().max() < 1e-9
    slope = gradient(dice_loss, small, target, include_background=False)[1]
    assert slope[:, 1].min() > 1e-6
    assert dice_loss(large, target) - dice_loss(small, target) > 0.9


def test_trap_monai_and_smp_overflow_in_float16():
    logits, target = batch((512, 512), images=1)
    right = 4.0 * torch.nn.functional.one_hot(target, 3).movedim(-1, 1)
    peer = monai.losses.DiceLoss(softmax=True, to_onehot_y=True)
    for scores in (right.half(), logits.half()):
        assert smp.DiceLoss("multiclass")(scores, target).isnan()
        theirs, flat = gradient(lambda x, t: peer(x, t.unsqueeze(1)), scores, target)
        assert theirs == 1  # the denominator is infinite, whatever is predicted
        assert (flat == 0).all()
        value, slope = gradient(dice_loss, scores, target)
        exact = dice_loss(scores.double(), target)
        torch.testing.assert_close(value.double(), exact, rtol=0, atol=5e-7)  # eps is 1.2e-7
        assert slope.isfinite().all()
        assert (slope != 0).any()
    one_hot = torch.nn.functional.one_hot(target, 3).movedim(-1, 1).half()
    assert monai.losses.DiceLoss(softmax=True)(right.half(), one_hot).isnan()


def test_trap_monai_without_smoothing_is_no_number_on_an_ignored_image():
    logits, target = batch((6, 7))
    target[0] = IGNORE
    assert of_monai(ignore_index=IGNORE)(logits, target.unsqueeze(1))[0].isnan().all()
    assert dice_loss(logits, target, reduction="none")[0] == 0
