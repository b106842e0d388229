"""Drawings cut out around their ink, and changed at random."""

import pytest
import torch

from episodes.errors import ModelError
from fewshot.models.embedding_network import EmbeddingNetwork, EmbeddingSettings
from fewshot.models.small_encoder import SmallSettings
from fewshot.models.stroke_augmentation import (
    InkFrame,
    InkSettings,
    change_frames,
    change_thickness,
    ink_frames,
    ink_of,
)
from fewshot.siamese.retrieval.tta_views import embed_with_tta

STILL = InkSettings(rotation=0, shear=0, scale=0, shift=0, bend=0, thickness=0)


def drawing(top, left, height, width, size=64):
    """A box drawn with lines of two pixels on white paper."""
    paper = torch.ones(1, 1, size, size)
    paper[..., top : top + height, left : left + width] = 0
    paper[..., top + 2 : top + height - 2, left + 2 : left + width - 2] = 1
    return paper


def test_a_frame_by_hand():
    # Rows 16 to 31 and columns 32 to 47 of 64: centres at -0.25 and 0.25, between pixel centres.
    (frame,) = ink_frames(ink_of(drawing(16, 32, 16, 16)), evened=1.0, view=0.76)
    half = 7.5 / 32  # from the first to the last pixel's centre
    expected = torch.tensor([[half, 0, 0.25], [0, half, -0.25]])
    torch.testing.assert_close(frame, expected)
    (whole,) = ink_frames(ink_of(drawing(16, 32, 16, 16)), evened=0.0, view=0.5)
    torch.testing.assert_close(whole[:, :2], torch.eye(2) / 2)


def test_place_and_size_are_taken_away():
    frame = InkFrame(InkSettings(32, evened=1.0)).eval()
    small, large, moved = drawing(10, 12, 20, 20), drawing(4, 4, 40, 40), drawing(30, 36, 20, 20)
    torch.testing.assert_close(frame(small), frame(moved), atol=1e-4, rtol=0)
    assert (frame(small) * frame(large)).sum() > 0.5 * frame(large).sum()
    assert frame(small).shape == (1, 1, 32, 32)


def test_blank_paper_and_a_dot_are_framed():
    blank, dot = torch.ones(1, 3, 64, 64), torch.ones(1, 1, 64, 64)
    dot[..., 5, 7] = 0
    torch.testing.assert_close(ink_frames(ink_of(blank)), torch.eye(2, 3)[None])
    assert InkFrame().eval()(blank).abs().max() == 0
    frames = ink_frames(ink_of(dot), evened=1.0)
    assert frames[0, 0, 0] == pytest.approx(0.84 * 0.15 / 0.76)
    assert InkFrame().eval()(dot).max() > 0.1


def test_changes_of_nothing_change_nothing():
    paper = drawing(10, 12, 20, 30).repeat(4, 1, 1, 1)
    frame = InkFrame(STILL)
    torch.testing.assert_close(frame.train()(paper), frame.eval()(paper))
    torch.testing.assert_close(InkFrame().eval()(paper, 0.0), frame.eval()(paper))
    assert InkSettings().times(0) == STILL


def test_changes_stay_in_their_limits_and_differ_from_item_to_item():
    torch.manual_seed(0)
    frames = torch.eye(2, 3).repeat(500, 1, 1)
    turned = change_frames(frames, InkSettings().times(1))
    assert turned[:, :, 2].abs().max() <= 0.12
    sizes = torch.linalg.det(turned[:, :, :2])
    assert 0.4 < sizes.min() < 0.7
    assert 1.4 < sizes.max() < 2.2
    assert len(turned.unique(dim=0)) == 500
    only = change_frames(frames, InkSettings(rotation=10, shear=0, scale=0, shift=0))
    angles = torch.rad2deg(torch.atan2(only[:, 1, 0], only[:, 0, 0]))
    assert 9 < angles.abs().max() <= 10
    torch.testing.assert_close(torch.linalg.det(only[:, :, :2]), torch.ones(500))


def test_lines_become_thicker_or_thinner():
    torch.manual_seed(0)
    ink = torch.zeros(200, 1, 9, 9)
    ink[:, :, 3:6, 3:6] = 1
    changed = change_thickness(ink, 1.0).sum(dim=(1, 2, 3))
    assert 9 < changed.max() <= 25
    assert 5 <= changed.min() < 9
    assert 60 < (changed > 9).sum() < 140
    assert torch.equal(change_thickness(ink, 0.0), ink)


def test_randomness_is_torchs_own():
    frame, paper = InkFrame().train(), drawing(10, 12, 20, 30)
    found = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        found.append(frame(paper))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_views_begin_with_the_drawing_and_leave_no_trace():
    model = EmbeddingNetwork(
        EmbeddingSettings(SmallSettings((4, 6), (1,)), "grid", 5, size=32, ink=InkSettings(16))
    ).eval()
    paper = drawing(6, 6, 20, 12, 32)
    state = torch.random.get_rng_state()
    one, some, again = (embed_with_tta(model, paper, views, seed=3) for views in (1, 4, 4))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert (one.shape, some.shape) == ((1, 1, 5), (1, 4, 5))
    torch.testing.assert_close(one[:, 0], model.embed(paper))
    torch.testing.assert_close(some[:, :1], one)
    assert torch.equal(some, again)
    assert len(some[0].unique(dim=0)) == 4
    assert not torch.equal(embed_with_tta(model, paper, 4, seed=4), some)
    still = embed_with_tta(model, paper, 4, change=0.0)
    torch.testing.assert_close(still, one.expand(-1, 4, -1))
    torch.testing.assert_close(some.norm(dim=2), torch.ones(1, 4))
    plain = EmbeddingNetwork(EmbeddingSettings(SmallSettings((4, 6), (1,)), size=32, dim=5))
    with pytest.raises(ModelError, match="views is 2"):
        embed_with_tta(plain, paper, 2)
    with pytest.raises(ModelError, match="no regions"):
        model(paper, torch.ones(1, 32, 32))


@pytest.mark.parametrize(
    "wrong", [{"side": 4}, {"evened": 2}, {"view": 0}, {"rotation": 90}, {"bend": -1}]
)
def test_settings_that_make_no_sense(wrong):
    with pytest.raises(ModelError, match="expected"):
        InkSettings(**wrong)
