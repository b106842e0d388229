import math
from functools import partial

import pytest
import torch
import torch.nn.functional as F

from fewshot.losses import cross_entropy_loss

from .family import LossContract
from .references import pixel_loss
from .samples import IGNORE, batch, gradient

WEIGHTS = (0.5, 2.0, 1.0)


class TestCrossEntropy(LossContract):
    loss = staticmethod(cross_entropy_loss)
    reference = staticmethod(pixel_loss(lambda p, label: -math.log(p[label])))
    pixelwise, bounded = True, False


class TestSmoothedWeightedCrossEntropy(LossContract):
    loss = partial(cross_entropy_loss, label_smoothing=0.1, class_weights=WEIGHTS)
    reference = staticmethod(
        pixel_loss(
            lambda p, label: (
                -0.9 * WEIGHTS[label] * math.log(p[label])
                - 0.1 / 3 * sum(w * math.log(q) for w, q in zip(WEIGHTS, p, strict=True))
            )
        )
    )
    pixelwise, bounded, minimum, classes = True, False, None, 3

    def mean(self, each, target):
        return each.sum() / torch.tensor(WEIGHTS)[target[target != IGNORE]].sum()


@pytest.mark.parametrize("space", [(6, 7), (4, 5, 3)])
@pytest.mark.parametrize("smoothing", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_agrees_with_torch(space, smoothing, weights, reduction):
    logits, target = batch(space, ignored=0.3)
    ours = gradient(
        cross_entropy_loss,
        logits,
        target,
        label_smoothing=smoothing,
        class_weights=weights,
        reduction=reduction,
    )
    theirs = gradient(
        F.cross_entropy,
        logits,
        target,
        ignore_index=IGNORE,
        label_smoothing=smoothing,
        weight=None if weights is None else torch.tensor(weights).double(),
        reduction=reduction,
    )
    torch.testing.assert_close(ours, theirs)


def test_disagrees_with_torch_where_all_is_ignored():
    logits, _ = batch((6, 7))
    target = torch.full((2, 6, 7), IGNORE)
    assert F.cross_entropy(logits, target, ignore_index=IGNORE).isnan()
    assert cross_entropy_loss(logits, target) == 0


def test_disagrees_with_torch_where_float16_overflows():
    logits = torch.full((1, 2, 512, 512), 10.0, dtype=torch.float16)
    logits[:, 1] = 0
    target = torch.ones(1, 512, 512, dtype=torch.long)
    assert F.cross_entropy(logits, target, reduction="sum").isinf()
    total = cross_entropy_loss(logits, target, reduction="sum")
    torch.testing.assert_close(total, torch.tensor(512**2 * math.log1p(math.exp(10.0))))


def test_disagrees_with_torch_where_a_weight_of_zero_meets_every_pixel():
    logits, target = batch((6, 7), present=[1])
    weights = torch.tensor([1.0, 0.0, 1.0]).double()
    assert F.cross_entropy(logits, target, weight=weights).isnan()
    value, slope = gradient(cross_entropy_loss, logits, target, class_weights=weights)
    assert value == 0
    assert (slope == 0).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"label_smoothing": -0.1}, r"-0\.1, expected a number in 0\.\.1"),
        ({"label_smoothing": math.nan}, "label_smoothing is nan"),
        ({"class_weights": [1.0, 2.0]}, r"shape \[2\], expected \[3\]"),
        ({"class_weights": [1.0, -2.0, 1.0]}, r"finite numbers >= 0"),
        ({"class_weights": [1.0, math.inf, 1.0]}, r"finite numbers >= 0"),
    ],
)
def test_wrong_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        cross_entropy_loss(*batch((6, 7)), **settings)
