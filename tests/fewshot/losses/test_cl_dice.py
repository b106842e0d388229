import itertools

import monai.losses
import numpy as np
import pytest
import torch
from monai.losses.cldice import soft_skel

from fewshot.losses import cl_dice_loss, dice_loss
from fewshot.losses.skeleton import soft_skeleton

from . import references
from .family import LossContract
from .samples import batch, gradient


class TestClDice(LossContract):
    loss = staticmethod(cl_dice_loss)
    reference = staticmethod(references.cl_dice)
    pixels_are_a_set = False


@pytest.mark.parametrize("space", [(12, 13), (6, 7, 8)])
@pytest.mark.parametrize("iterations", [0, 1, 4])
def test_skeletons_agree_with_monai_and_with_loops(space, iterations):
    image = torch.rand(1, 2, *space, generator=torch.Generator().manual_seed(0)).double()
    known = np.ones(space, bool)
    ours = gradient(lambda x, _: soft_skeleton(x, iterations), image, None)
    torch.testing.assert_close(ours, gradient(lambda x, _: soft_skel(x, iterations), image, None))
    loops = references.skeleton(image[0, 0].numpy(), iterations, known)
    np.testing.assert_allclose(ours[0][0, 0].numpy(), loops)


def test_tied_pixels_share_the_gradient():
    # Max pooling gives all of it to the first of them, so that a flat image learns lopsidedly.
    flat = torch.full((1, 1, 9, 9), 0.5, dtype=torch.float64)
    flat[..., 4, :] = 0.9
    _, slope = gradient(lambda x, _: soft_skeleton(x, 1), flat, None)
    for axes in ([2], [3], [2, 3]):
        torch.testing.assert_close(slope, slope.flip(axes))
    _, theirs = gradient(lambda x, _: soft_skel(x, 1), flat, None)
    assert not torch.allclose(theirs, theirs.flip(2))


@pytest.mark.parametrize("axes", list(itertools.permutations([2, 3, 4])))
def test_skeletons_turn_with_the_image(axes):
    image = torch.rand(1, 1, 5, 6, 7, generator=torch.Generator().manual_seed(1))
    turned = soft_skeleton(image.permute(0, 1, *axes), 2)
    torch.testing.assert_close(turned, soft_skeleton(image, 2).permute(0, 1, *axes))


@pytest.mark.parametrize("space", [(12, 13), (6, 7, 8)])
def test_agrees_with_monai_on_one_foreground_class(space):
    logits, target = batch(space, classes=2, images=1)
    peer = monai.losses.SoftclDiceLoss(
        softmax=True, to_onehot_y=True, include_background=False, smooth=1e-12
    )
    theirs = peer(logits, target.unsqueeze(1))
    torch.testing.assert_close(cl_dice_loss(logits, target), theirs)


def test_disagrees_with_monai_which_adds_up_the_centre_lines_of_all_classes():
    logits, target = batch((12, 13), images=1)
    peer = monai.losses.SoftclDiceLoss(softmax=True, to_onehot_y=True, include_background=False)
    theirs = peer(logits, target.unsqueeze(1))
    assert abs(cl_dice_loss(logits, target) - theirs) > 1e-3


def test_trap_a_full_mask_has_no_centre_line_in_monai():
    logits, target = torch.zeros(1, 2, 12, 13), torch.ones(1, 12, 13, dtype=torch.long)
    logits[:, 0] = 5.0  # everything is predicted as background
    peer = monai.losses.SoftclDiceLoss(softmax=True, to_onehot_y=True, include_background=False)
    value, theirs = gradient(lambda x, t: peer(x, t.unsqueeze(1)), logits, target)
    assert value < 1e-3
    assert theirs.abs().max() < 1e-6
    value, ours = gradient(cl_dice_loss, logits, target)
    assert value > 0.9
    assert (ours[:, 1] < 0).all()


def test_a_cut_costs_more_than_the_same_pixels_on_the_rim():
    target = torch.zeros(1, 9, 30, dtype=torch.long)
    target[:, 3:6, 2:28] = 1
    cut, thin = target.clone(), target.clone()
    cut[:, 3:6, 14:18] = 0
    thin[:, 3, 9:21] = 0  # 12 pixels as well

    def cost(loss, predicted):
        logits = 50.0 * torch.nn.functional.one_hot(predicted, 2).movedim(-1, 1).float()
        return loss(logits, target, include_background=False).item()

    assert cost(dice_loss, cut) == pytest.approx(cost(dice_loss, thin))
    assert cost(cl_dice_loss, cut) > 2 * cost(cl_dice_loss, thin)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"iterations": -1}, "iterations is -1"),
        ({"smooth": 0.0}, r"smooth is 0\.0"),
        ({"smooth": float("nan")}, "smooth is nan"),
    ],
)
def test_wrong_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        cl_dice_loss(*batch((6, 7)), **settings)


def test_one_spatial_axis_is_refused():
    with pytest.raises(ValueError, match="2 or 3 spatial axes"):
        cl_dice_loss(*batch((6,)))
