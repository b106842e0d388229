"""The loss of training: the default is `segmentation_loss`, and every episode counts alike."""

import math

import pytest
import torch

from episodes.errors import FewshotError
from fewshot.losses.episode_cross_entropy import segmentation_loss
from fewshot.losses.episode_loss import DEFAULT_LOSS, EpisodeLoss
from fewshot.registry import LOSSES

TEXTS = [*LOSSES.names(), "dice+0.5*cross_entropy"]


def task(way: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    """Two episodes of two queries at a fourth of the labels' size; unknown pixels, one absence."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 2, way + 1, 4, 5, generator=generator)
    target = torch.randint(0, way + 1, (2, 2, 16, 20), generator=generator).to(torch.uint8)
    target[0, 0, :6] = 255
    target[1, 1][target[1, 1] == 1] = 0
    return logits, target


def value_and_slope(loss, logits, target, **settings):
    logits = logits.clone().requires_grad_()
    value = loss(logits, target, **settings)
    return value.detach(), torch.autograd.grad(value, logits)[0]


@pytest.mark.parametrize("settings", [{}, {"balanced": True}, {"class_weights": (0.05, 1.0)}])
def test_the_default_is_cross_entropy_bit_for_bit(settings):
    found = value_and_slope(EpisodeLoss(), *task(), **settings)
    expected = value_and_slope(segmentation_loss, *task(), **settings)
    assert all(torch.equal(*pair) for pair in zip(found, expected, strict=True))


@pytest.mark.parametrize("text", TEXTS)
def test_a_batch_costs_the_mean_of_its_items_and_unknown_pixels_nothing(text):
    logits, target = task()
    loss = EpisodeLoss(text)
    whole, slope = value_and_slope(loss, logits, target)
    parts = [loss(logits[n : n + 1], target[n : n + 1]) for n in range(2)]
    torch.testing.assert_close(whole, torch.stack(parts).mean())
    assert slope.isfinite().all()
    assert slope.abs().sum() > 0
    assert loss(logits, torch.full_like(target, 255)) == 0
    near = logits.clone()
    near[0, 0, :, 0] += 9.0  # rows 0 to 5 of the labels are unknown; row 0 reaches to row 5
    assert loss(near, target).item() == pytest.approx(whole.item(), rel=1e-5)


def test_balanced_cross_entropy_is_that_of_every_episode_by_itself():
    expected = segmentation_loss(*task(), balanced=True)
    torch.testing.assert_close(EpisodeLoss("balanced_cross_entropy")(*task()), expected)


def test_focal_takes_the_weights_of_background_and_classes():
    logits, target = task()
    plain, weighted = (EpisodeLoss("focal")(logits, target, class_weights=w)
                       for w in (None, (0.05, 1.0)))  # fmt: skip
    assert weighted.item() != pytest.approx(plain.item(), rel=1e-2)
    same = EpisodeLoss("focal")(logits, target, class_weights=(3.0, 3.0))
    torch.testing.assert_close(same, plain)
    assert EpisodeLoss("dice").takes_weights is False
    assert EpisodeLoss("dice+focal").takes_weights


def test_class_weights_weigh_known_pixels_alone():
    logits = torch.tensor([[0.0, 2.0, 1.0], [1.0, 0.0, 0.0]]).view(1, 1, 2, 1, 3)
    target = torch.tensor([[1, 0, 255]], dtype=torch.uint8)[None, None]
    first, second = math.log(1 + math.exp(-1)), math.log(1 + math.exp(-2))
    found = segmentation_loss(logits, target, class_weights=(0.5, 2.0))
    assert found.item() == pytest.approx((2.0 * first + 0.5 * second) / 2.5)


def test_sums_by_hand():
    logits, target = task()
    parts = [EpisodeLoss(name)(logits, target) for name in ("dice", "boundary", DEFAULT_LOSS)]
    found = EpisodeLoss(" 2*dice + 1e-2*boundary+.5*cross_entropy")(logits, target)
    torch.testing.assert_close(found, 2 * parts[0] + 0.01 * parts[1] + 0.5 * parts[2])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "joined by"),
        ("dice+", "joined by"),
        ("dice*2", "joined by"),
        ("-1*dice", "joined by"),
        ("dise", "did you mean dice"),
        ("0*dice", "weight 0.0; expected > 0"),
        ("1e999*dice", "weight inf"),
    ],
)
def test_what_cannot_be_read_is_refused(text, said):
    with pytest.raises(FewshotError, match=said) as caught:
        EpisodeLoss(text)
    assert repr(text) in str(caught.value)
