import io
from functools import partial

import pytest
import torch

from fewshot.losses import (
    WeightedSum,
    boundary_loss,
    cross_entropy_loss,
    dice_loss,
    focal_loss,
    tversky_loss,
    weighted_sum_loss,
)

from . import references
from .family import LossContract
from .samples import batch, gradient
from .test_boundary import maps

REGIONS = ((0.25, dice_loss), (0.5, partial(tversky_loss, alpha=1.0, beta=1.0)))


def jaccard_and_dice(logits, labels):
    dice = references.region_loss(lambda tp, fp, fn: (fp + fn) / (2 * tp + fp + fn))
    jaccard = references.region_loss(lambda tp, fp, fn: (fp + fn) / (tp + fp + fn))
    return 0.25 * dice(logits, labels) + 0.5 * jaccard(logits, labels)


class TestWeightedSum(LossContract):
    loss = partial(weighted_sum_loss, terms=REGIONS)
    reference = staticmethod(jaccard_and_dice)


class TestWeightedSumModule(LossContract):
    loss = WeightedSum(REGIONS)
    reference = staticmethod(jaccard_and_dice)

    def function(self):
        return self.loss.forward


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_pixel_and_region_losses_add_up(reduction):
    logits, target = batch((6, 7), ignored=0.2)
    terms = [
        (2.0, cross_entropy_loss),
        (0.5, dice_loss),
        (0.1, partial(boundary_loss, distances=maps(target, 3))),
    ]
    expected = sum(w * loss(logits, target, reduction=reduction) for w, loss in terms)
    ours = weighted_sum_loss(logits, target, terms=terms, reduction=reduction)
    torch.testing.assert_close(ours, expected)
    ours = WeightedSum(terms)(logits, target, reduction=reduction)
    torch.testing.assert_close(ours, expected, rtol=1e-6, atol=0)  # 0.1 in float32


def test_pixel_losses_add_up_pixel_by_pixel():
    logits, target = batch((6, 7), ignored=0.2)
    terms = [(1.0, cross_entropy_loss), (2.0, focal_loss)]
    ours = weighted_sum_loss(logits, target, terms=terms, reduction="none")
    assert ours.shape == target.shape


def test_pixel_and_region_losses_without_reduction_are_refused():
    terms = [(1.0, cross_entropy_loss), (1.0, dice_loss)]
    with pytest.raises(ValueError, match=r"\[\[2, 6, 7\], \[2\]\] with reduction='none'"):
        weighted_sum_loss(*batch((6, 7)), terms=terms, reduction="none")


def test_weights_are_scheduled_and_saved():
    logits, target = batch((6, 7))
    loss = WeightedSum([(1.0, dice_loss), (0.0, cross_entropy_loss)])
    torch.testing.assert_close(loss(logits, target), dice_loss(logits, target))
    loss.weights[1] = 0.5
    file = io.BytesIO()
    torch.save(loss.state_dict(), file)
    file.seek(0)
    restored = WeightedSum([(1.0, dice_loss), (0.0, cross_entropy_loss)])
    restored.load_state_dict(torch.load(file, weights_only=True))
    expected = dice_loss(logits, target) + 0.5 * cross_entropy_loss(logits, target)
    torch.testing.assert_close(restored(logits, target), expected)
    assert not list(restored.parameters())


def test_a_term_of_weight_zero_keeps_the_graph():
    logits, target = batch((6, 7))
    value, slope = gradient(WeightedSum([(0.0, dice_loss)]), logits, target)
    assert value == 0
    assert (slope == 0).all()


@pytest.mark.parametrize("weights", [[], [-1.0], [float("nan")], [1.0, float("inf")]])
def test_wrong_weights_are_named(weights):
    terms = [(weight, dice_loss) for weight in weights]
    with pytest.raises(ValueError, match="the weights of terms are"):
        weighted_sum_loss(*batch((6, 7)), terms=terms)
    with pytest.raises(ValueError, match="the weights of terms are"):
        WeightedSum(terms)
