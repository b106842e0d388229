import pytest
import segmentation_models_pytorch.losses as smp
import torch

from fewshot.losses import lovasz_loss
from fewshot.losses.lovasz import jaccard_slopes

from .family import LossContract
from .references import jaccard_loss, lovasz
from .samples import IGNORE, batch, gradient


class TestLovasz(LossContract):
    loss = staticmethod(lovasz_loss)
    reference = staticmethod(lovasz)


@pytest.mark.parametrize("space", [(6, 7), (4, 5, 3)])
@pytest.mark.parametrize("ignored", [0.0, 0.3])
def test_agrees_with_smp_where_all_classes_are_present(space, ignored):
    logits, target = batch(space, ignored=ignored, dtype=torch.float32)  # SMP knows no float64
    peer = smp.LovaszLoss("multiclass", per_image=True, ignore_index=IGNORE)
    torch.testing.assert_close(
        gradient(lovasz_loss, logits, target), gradient(peer, logits, target)
    )


def test_disagrees_with_smp_where_a_class_is_absent():
    logits, target = batch((6, 7), images=1, present=[0, 1], dtype=torch.float32)
    theirs = smp.LovaszLoss("multiclass", per_image=True)(logits, target)
    # SMP averages over the present classes only: false positives of the third are free.
    false_alarm = logits.softmax(1)[:, 2].max()
    torch.testing.assert_close(lovasz_loss(logits, target), (2 * theirs + false_alarm) / 3)


def test_hard_predictions_cost_the_jaccard_loss():
    generator = torch.Generator().manual_seed(0)
    target, predicted = torch.randint(3, (2, 1, 8, 8), generator=generator)
    logits = 1e4 * torch.nn.functional.one_hot(predicted, 3).movedim(-1, 1).double()
    labels = target[0].numpy()
    pixels = [(row, column) for row in range(8) for column in range(8)]
    expected = 0.0
    for index in range(3):
        differs = (target[0] == index) != (predicted[0] == index)
        wrong = {tuple(place) for place in differs.nonzero().tolist()}
        expected += jaccard_loss(labels, index, pixels, wrong) / 3
    assert lovasz_loss(logits, target).item() == pytest.approx(expected)


def test_trap_float32_differences_lose_the_digits_of_the_slopes():
    logits, target = batch((512, 512), classes=2, images=1)
    exact = gradient(lovasz_loss, logits, target)[1].float()
    peer = smp.LovaszLoss("multiclass", per_image=True)
    theirs = gradient(peer, logits.float(), target)[1]
    ours = gradient(lovasz_loss, logits.float(), target)[1]
    error = (ours - exact).norm() / exact.norm()
    assert error < 2e-6
    assert (theirs - exact).norm() / exact.norm() > 100 * error


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_slopes_are_a_distribution_of_the_jaccard_loss(dtype):
    generator = torch.Generator().manual_seed(1)
    errors = torch.rand(2, 3, 50, generator=generator).to(dtype).round(decimals=1)  # with ties
    foreground = torch.rand(2, 3, 50, generator=generator) < 0.3
    foreground[0, 0] = False
    known = torch.rand(2, 50, generator=generator) < 0.7
    slopes = jaccard_slopes(errors, foreground & known.unsqueeze(1), known)
    assert (slopes >= 0).all()
    assert (slopes.movedim(1, -1)[~known] == 0).all()
    torch.testing.assert_close(slopes.sum(-1), torch.ones(2, 3, dtype=dtype))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_ignored_pixels_are_sorted_behind_perfect_ones(dtype):
    errors = torch.zeros(1, 1, 8, dtype=dtype)
    known = torch.arange(8).unsqueeze(0) % 2 == 1  # every perfect pixel has an ignored one before
    foreground = known.unsqueeze(1).clone()
    foreground[..., -1] = False
    slopes = jaccard_slopes(errors, foreground, known)[..., known[0]]
    torch.testing.assert_close(slopes.sum(), torch.ones((), dtype=dtype))
    cropped = jaccard_slopes(errors[..., 1::2], foreground[..., 1::2], None)
    torch.testing.assert_close(slopes.sort().values, cropped.sort().values)


def test_both_ways_of_sorting_agree():
    # float32 goes through NumPy on the CPU, float64 through torch.
    errors = torch.rand(2, 3, 1000, generator=torch.Generator().manual_seed(2))
    errors[..., :10], errors[..., 10:20] = 0.0, 1.0
    foreground = errors < 0.5
    known = torch.arange(1000).expand(2, -1) % 7 > 0
    foreground &= known.unsqueeze(1)
    # Ties may be broken differently; what they add up to may not.
    fast = (jaccard_slopes(errors, foreground, known) * errors).sum(-1)
    slow = (jaccard_slopes(errors.double(), foreground, known) * errors).sum(-1)
    torch.testing.assert_close(fast.double(), slow)
