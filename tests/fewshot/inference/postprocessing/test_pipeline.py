"""All cues together: their order, what each needs, and that nothing is done unasked."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from episodes.catalog.letterbox import Frame
from episodes.errors import ModelError
from fewshot.inference.postprocessing.location_prior import position_prior
from fewshot.inference.postprocessing.pipeline import Scored, refine
from fewshot.inference.postprocessing.settings import RefineSettings

SETTINGS = [
    RefineSettings(similarity=0.5),
    RefineSettings(proximity=1.0),
    RefineSettings(depth=1.0),
    RefineSettings(depth=1.0, depth_temperature=0.1),
    RefineSettings(smooth="walker", smooth_side=16),
    RefineSettings(keep="largest"),
    RefineSettings(keep="large", fill=True),
]
FRAME = Frame(20, 30, 32)


def scored(seed: int = 0, slices: int = 3, labels: int = 3) -> Scored:
    generator = torch.Generator().manual_seed(seed)
    return Scored(
        3 * torch.randn(slices, labels, 8, 8, generator=generator),
        torch.rand(slices, 3, 32, 32, generator=generator),
        torch.randn(slices, 5, 8, 8, generator=generator),
    )


def prior(ways: int = 2) -> torch.Tensor:
    masks = torch.zeros(ways, 1, 8, 8, dtype=torch.uint8)
    masks[:, :, 2:5, 2:5] = 1
    return position_prior(masks)


def parts(given: Scored) -> list[Scored]:
    return [
        Scored(given.logits[a:b], given.images[a:b], given.features[a:b])
        for a, b in ((0, 2), (2, 3))
    ]


def test_with_all_switches_off_it_is_the_softmax_at_the_image_size():
    given = scored()
    found = list(refine([given], FRAME, RefineSettings()))
    for share, logits in zip(found, given.logits, strict=True):
        assert torch.equal(share, FRAME.undo(logits).softmax(dim=0))


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_probabilities_come_slice_by_slice_however_they_are_cut(settings):
    given = scored()
    whole = list(refine([given], FRAME, settings, prior()))
    cut = list(refine(parts(given), FRAME, settings, prior()))
    assert len(whole) == 3
    for one, other in zip(whole, cut, strict=True):
        assert one.shape == (3, 20, 30)
        torch.testing.assert_close(one, other)
        torch.testing.assert_close(one.sum(dim=0), torch.ones(20, 30))
    plain = torch.stack(list(refine([given], FRAME, RefineSettings())))
    assert not torch.equal(torch.stack(whole), plain)  # the switch does something


def test_proximity_comes_before_depth_and_depth_before_parts():
    logits = torch.zeros(3, 2, 8, 8)
    logits[:, 1] = -4
    logits[(0, 2), 1, 2:5, 2:5] = 4.0  # missed in the middle slice, found again by depth
    given = Scored(logits, torch.zeros(3, 3, 32, 32))
    settings = RefineSettings(depth=1.0, keep="largest")
    found = torch.stack(list(refine([given], Frame(32, 32, 32), settings))).argmax(dim=1)
    assert (found[:, 14, 14] == 1).all()


def test_the_largest_part_is_sought_in_the_volume():
    logits = torch.zeros(2, 2, 8, 8)
    logits[:, 1] = -4
    logits[:, 1, :2, :2] = 4.0
    logits[0, 1, 5:8, 5:8] = 4.0  # larger in its slice, but alone
    logits[1, 1, :2, :6] = 4.0
    given = Scored(logits, torch.zeros(2, 3, 32, 32))
    found = list(refine([given], Frame(32, 32, 32), RefineSettings(keep="largest")))
    assert found[0][:, 28, 28].argmax() == 0
    assert found[0][:, 2, 2].argmax() == 1


def test_the_cut_keeps_probabilities_and_wants_two_labels():
    pytest.importorskip("maxflow")
    settings = RefineSettings(smooth="cut", smooth_side=16)
    for share in refine([scored(labels=2)], FRAME, settings):
        torch.testing.assert_close(share.sum(dim=0), torch.ones(20, 30))
    with pytest.raises(ModelError, match="one class from background"):
        list(refine([scored(labels=3)], FRAME, settings))


def test_cues_that_lack_what_they_need_say_so():
    bare = replace(scored(), features=None)
    for settings in (
        RefineSettings(similarity=0.5),
        RefineSettings(depth=1, depth_temperature=0.1),
    ):
        with pytest.raises(ModelError, match="shows none"):
            list(refine([bare], FRAME, settings))
    with pytest.raises(ModelError, match="learn the support again"):
        list(refine([bare], FRAME, RefineSettings(proximity=1.0)))


def test_an_answer_of_background_alone_stays_one():
    logits = torch.zeros(2, 2, 8, 8)
    logits[:, 0] = 20.0
    given = Scored(logits, torch.rand(2, 3, 32, 32), torch.rand(2, 5, 8, 8))
    settings = RefineSettings(
        similarity=0.5, depth=1.0, smooth="walker", smooth_side=16, keep="largest", fill=True
    )
    found = np.stack([share.argmax(dim=0).numpy() for share in refine([given], FRAME, settings)])
    assert (found == 0).all()
