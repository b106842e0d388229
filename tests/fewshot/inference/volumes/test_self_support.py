"""What a volume says of itself, once its organ's place is known."""

import pytest
import torch
from torch.nn.functional import one_hot

from fewshot.inference.volumes.self_support import (
    SelfSupportSettings,
    confident_labels,
    refine_with_self_support,
    self_support_logits,
    support_is_consistent,
)
from fewshot.models.heads import ALPNetHead, PANetHead

ROWS = torch.arange(12)
ORGAN = ((ROWS[:, None] // 4 == 1) & (ROWS // 4 == 1)).repeat(3, 1, 1)  # 4 x 4 of 12 x 12
PUT = ORGAN.roll(1, dims=2)  # a registration that is one position wrong


def volume(look: int) -> torch.Tensor:
    """Features of three slices whose organ has one look, its surroundings look 0."""
    kinds = torch.where(ORGAN, look, torch.zeros((), dtype=torch.long))
    noise = torch.randn(3, 4, 12, 12, generator=torch.Generator().manual_seed(0))
    return one_hot(kinds, 4).permute(0, 3, 1, 2) + 0.05 * noise


def dice(odds: torch.Tensor) -> float:
    found = odds > 0
    return float(2 * (found & ORGAN).sum() / (found.sum() + ORGAN.sum()))


@pytest.mark.parametrize("head", [ALPNetHead(), PANetHead()])
def test_an_organ_that_looks_like_no_support_is_found_by_its_place(head):
    nothing = torch.full((3, 12, 12), -3.0)  # no likeness anywhere
    found = refine_with_self_support(head, volume(2), nothing, PUT.float())
    assert dice(nothing) == 0
    assert dice(PUT.float() - 0.5) == 0.75
    assert dice(found) > 0.95


def test_where_the_support_fits_both_speak():
    head, settings = (
        ALPNetHead(),
        SelfSupportSettings(self_support_weight=0.25, atlas_weight=0.5, max_logit=3.0),
    )
    features = volume(2)
    likeness = torch.where(ORGAN, 2.0, -5.0)
    warped = 0.9 * PUT
    found = refine_with_self_support(head, features, likeness, warped, settings)
    likeness = likeness.clamp(-3, 3)
    belief = (likeness + 0.5 * warped.clamp(0.02, 0.98).logit()).sigmoid()
    marks = torch.tensor(
        [[[1 if b > 0.7 else 0 if b < 0.1 else 255 for b in row] for row in one] for one in belief],
        dtype=torch.uint8,
    )
    own = self_support_logits(head, features, marks)
    torch.testing.assert_close(found, 0.75 * likeness + 0.25 * own)


def test_a_support_fits_unless_it_is_refuted_where_the_class_surely_is():
    settings = SelfSupportSettings()
    unlike, like = torch.full((3, 12, 12), -3.0), torch.full((3, 12, 12), 3.0)
    assert support_is_consistent(like, PUT.float(), settings)
    assert not support_is_consistent(unlike, PUT.float(), settings)
    assert support_is_consistent(unlike, 0.4 * PUT, settings)  # put nowhere for sure
    beside = torch.where(ORGAN.roll(3, dims=2), 3.0, -3.0)  # a quarter of it is met
    assert support_is_consistent(beside, ORGAN.float(), settings)


def test_with_nothing_sure_the_likeness_stays():
    likeness = torch.where(ORGAN, 0.5, -0.5)
    found = refine_with_self_support(ALPNetHead(), volume(1), likeness, torch.zeros(3, 12, 12))
    torch.testing.assert_close(found, likeness)
    found = refine_with_self_support(
        ALPNetHead(), volume(1), -9 * torch.ones(3, 12, 12), torch.zeros(3, 12, 12)
    )
    torch.testing.assert_close(found, torch.full((3, 12, 12), -4.0))  # the largest that counts


def test_everything_may_be_sure():
    """An organ that fills the volume leaves no background to learn; it is no error."""
    full = torch.ones(3, 12, 12)
    found = refine_with_self_support(ALPNetHead(), volume(1), 4 * full, full)
    assert torch.isfinite(found).all()
    assert (found > 0).all()


def test_rims_of_what_is_sure_stand_for_less():
    """A wrong rim of a mark one position wide must not become a prototype of its own."""
    marks = confident_labels(torch.where(PUT, 0.9, 0.0), SelfSupportSettings())
    odds = self_support_logits(ALPNetHead(), volume(2), marks)
    assert dice(odds) > 0.95


def test_positions_are_sure_below_one_threshold_and_above_the_other():
    belief = torch.tensor([[[0.0, 0.09, 0.11, 0.3, 0.5, 0.69, 0.71, 1.0]]])
    unknown = 255
    by_default = confident_labels(belief, SelfSupportSettings())
    assert by_default.tolist() == [[[0, 0, *[unknown] * 4, 1, 1]]]
    chosen = confident_labels(
        belief, SelfSupportSettings(background_threshold=0.3, foreground_threshold=0.5)
    )
    assert chosen.tolist() == [[[0, 0, 0, unknown, unknown, 1, 1, 1]]]  # thresholds are not sure
