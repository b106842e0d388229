import pytest
import torch
from torch.nn import functional

from fewshot.models.heads import ANILHead, ANILSettings
from fewshot.models.heads.anil import balanced_loss
from tests.fewshot.models.heads.family import check_head, two_colour_task


def test_contract():
    check_head(lambda features: ANILHead(features=features))


def test_one_step_from_zero_is_the_difference_of_the_prototypes():
    support, masks, _, _ = two_colour_task(batch=1)
    support = functional.normalize(support, dim=3)
    head = ANILHead(ANILSettings(steps=1, rate=0.1, scale=20.0), 4)
    found = head.encode_support(support, masks).tensors["weight"][0, 0]
    features, mask = support[0, 0, 0], masks[0, 0, 0]
    means = [features[:, mask == value].mean(dim=1) for value in (1, 0)]
    # The slope of both softplus at 0 is one half, each side counts one half, times the scale.
    expected = 0.1 * 20.0 * 0.25 * (means[0] - means[1])
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-3)


def test_training_learns_a_start_that_fits_in_fewer_steps():
    support, masks, query, truth = two_colour_task()
    head = ANILHead(ANILSettings(steps=1, rate=0.001), 4)

    def loss():
        logits = head.logits(head.encode_support(support, masks), query)
        return functional.cross_entropy(logits.flatten(0, 1), truth.expand(4, -1, -1))

    before = loss().item()
    optimiser = torch.optim.Adam(head.parameters(), lr=0.01)
    for _ in range(20):
        optimiser.zero_grad()
        loss().backward()
        optimiser.step()
    assert loss().item() < 0.5 * before


def test_the_second_order_is_there_and_can_be_left_out():
    support, masks, query, _ = two_colour_task(batch=1)

    def gradient(first_order):
        head = ANILHead(ANILSettings(steps=2, first_order=first_order), 4)
        head.logits(head.encode_support(support, masks), query).square().sum().backward()
        return head.start.weight.grad

    assert not torch.allclose(gradient(True), gradient(False), rtol=0.01)


def test_balanced_loss_by_hand():
    logits = torch.tensor([[[0.0, 2.0], [-1.0, 5.0]]])
    inside = torch.tensor([[[1.0, 1.0], [0.0, 0.0]]])
    outside = torch.tensor([[[0.0, 0.0], [1.0, 0.0]]])  # the last one is unknown
    soft = functional.softplus(torch.tensor([0.0, -2.0, -1.0]))
    expected = ((soft[0] + soft[1]) / 2 + soft[2]) / 2
    assert balanced_loss(logits, inside, outside).item() == pytest.approx(expected.item())
    assert balanced_loss(logits, inside * 0, outside * 0) == 0
