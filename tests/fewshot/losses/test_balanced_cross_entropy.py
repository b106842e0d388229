import math

import numpy as np
import pytest
import torch

from fewshot.losses import balanced_cross_entropy_loss, cross_entropy_loss

from .family import LossContract
from .references import pixel_loss
from .samples import IGNORE, batch, gradient


def reference(logits, labels):
    counts = [(labels == index).sum() for index in range(logits.shape[0])]
    share = [sum(counts) / (np.count_nonzero(counts) * n) if n else 0 for n in counts]
    return pixel_loss(lambda p, label: -share[label] * math.log(p[label]))(logits, labels)


class TestBalancedCrossEntropy(LossContract):
    loss = staticmethod(balanced_cross_entropy_loss)
    reference = staticmethod(reference)
    pixelwise, bounded, images_are_independent = True, False, False

    def test_an_image_is_worth_the_same_in_a_batch(self):
        """The frequencies are those of the batch: the mean is that of the images side by side."""
        logits, target = batch((6, 7), images=3, ignored=0.2)
        side_by_side = torch.cat(list(logits), -1)[None], torch.cat(list(target), -1)[None]
        torch.testing.assert_close(self.loss(logits, target), self.loss(*side_by_side))


def test_the_mean_is_the_mean_of_the_classes():
    logits, target = batch((9, 9), ignored=0.2)
    each = cross_entropy_loss(logits, target, reduction="none")
    expected = sum(each[target == index].mean() for index in range(3)) / 3
    torch.testing.assert_close(balanced_cross_entropy_loss(logits, target), expected)


def test_two_classes_are_proportional_to_the_paper():
    logits, target = batch((9, 9), classes=2)
    rare = (target == 1).double().mean()
    each = cross_entropy_loss(logits, target, reduction="none")
    paper = (torch.where(target == 1, 1 - rare, rare) * each).sum()
    ours = balanced_cross_entropy_loss(logits, target, reduction="sum")
    torch.testing.assert_close(ours * 2 * rare * (1 - rare), paper)


def test_repeating_the_common_class_changes_nothing():
    logits = torch.randn(1, 2, 5, generator=torch.Generator().manual_seed(0)).double()
    target = torch.tensor([[0, 0, 1, 1, 1]])
    more = [0, 1, 0, 1, 0, 1, 2, 3, 4]
    repeated = balanced_cross_entropy_loss(logits[..., more], target[:, more])
    torch.testing.assert_close(repeated, balanced_cross_entropy_loss(logits, target))


def test_given_frequencies_may_be_counts_or_parts():
    logits, target = batch((9, 9))
    weights = [1 / (3 * part) for part in (0.7, 0.2, 0.1)]
    expected = gradient(cross_entropy_loss, logits, target, class_weights=weights)
    for frequencies in ([700, 200, 100], torch.tensor([0.7, 0.2, 0.1], dtype=torch.float64)):
        ours = gradient(balanced_cross_entropy_loss, logits, target, frequencies=frequencies)
        torch.testing.assert_close(ours, expected)


def test_given_frequencies_of_the_batch_are_the_default():
    logits, target = batch((9, 9), ignored=0.3)
    counts = [(target == index).sum().item() for index in range(3)]
    torch.testing.assert_close(
        balanced_cross_entropy_loss(logits, target, frequencies=counts),
        balanced_cross_entropy_loss(logits, target),
    )
    assert sum(counts) == (target != IGNORE).sum()


@pytest.mark.parametrize("frequencies", [[1, 2], [1, 0, 2], [1.0, -1.0, 2.0], [1.0, math.nan, 1.0]])
def test_wrong_frequencies_are_named(frequencies):
    with pytest.raises(ValueError, match=r"frequencies (are|have the shape) "):
        balanced_cross_entropy_loss(*batch((6, 7)), frequencies=frequencies)
