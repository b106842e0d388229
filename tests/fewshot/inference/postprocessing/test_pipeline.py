"""All cues together: their order, what each needs, and that nothing is done unasked."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from episodes.catalog.letterbox import Letterbox
from episodes.errors import ModelError
from fewshot.inference.postprocessing.location_prior import position_prior
from fewshot.inference.postprocessing.pipeline import SliceLogits, postprocess
from fewshot.inference.postprocessing.settings import PostprocessSettings

SETTINGS = [
    PostprocessSettings(similarity=0.5),
    PostprocessSettings(proximity=1.0),
    PostprocessSettings(depth=1.0),
    PostprocessSettings(depth=1.0, depth_temperature=0.1),
    PostprocessSettings(smooth="walker", smooth_side=16),
    PostprocessSettings(keep="largest"),
    PostprocessSettings(keep="large", fill=True),
]
LETTERBOX = Letterbox(20, 30, 32)


def scored(seed: int = 0, slices: int = 3, labels: int = 3) -> SliceLogits:
    generator = torch.Generator().manual_seed(seed)
    return SliceLogits(
        3 * torch.randn(slices, labels, 8, 8, generator=generator),
        torch.rand(slices, 3, 32, 32, generator=generator),
        torch.randn(slices, 5, 8, 8, generator=generator),
    )


def prior(ways: int = 2) -> torch.Tensor:
    masks = torch.zeros(ways, 1, 8, 8, dtype=torch.uint8)
    masks[:, :, 2:5, 2:5] = 1
    return position_prior(masks)


def parts(given: SliceLogits) -> list[SliceLogits]:
    return [
        SliceLogits(given.logits[a:b], given.images[a:b], given.features[a:b])
        for a, b in ((0, 2), (2, 3))
    ]


def test_with_all_switches_off_it_is_the_softmax_at_the_image_size():
    given = scored()
    found = list(postprocess([given], LETTERBOX, PostprocessSettings()))
    for probability, logits in zip(found, given.logits, strict=True):
        assert torch.equal(probability, LETTERBOX.restore(logits).softmax(dim=0))


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_probabilities_come_slice_by_slice_however_they_are_cut(settings):
    given = scored()
    whole = list(postprocess([given], LETTERBOX, settings, prior()))
    cut = list(postprocess(parts(given), LETTERBOX, settings, prior()))
    assert len(whole) == 3
    for one, other in zip(whole, cut, strict=True):
        assert one.shape == (3, 20, 30)
        torch.testing.assert_close(one, other)
        torch.testing.assert_close(one.sum(dim=0), torch.ones(20, 30))
    plain = torch.stack(list(postprocess([given], LETTERBOX, PostprocessSettings())))
    assert not torch.equal(torch.stack(whole), plain)  # the switch does something


def test_proximity_comes_before_depth_and_depth_before_parts():
    logits = torch.zeros(3, 2, 8, 8)
    logits[:, 1] = -4
    logits[(0, 2), 1, 2:5, 2:5] = 4.0  # missed in the middle slice, found again by depth
    given = SliceLogits(logits, torch.zeros(3, 3, 32, 32))
    settings = PostprocessSettings(depth=1.0, keep="largest")
    found = torch.stack(list(postprocess([given], Letterbox(32, 32, 32), settings))).argmax(dim=1)
    assert (found[:, 14, 14] == 1).all()


def test_the_largest_part_is_sought_in_the_volume():
    logits = torch.zeros(2, 2, 8, 8)
    logits[:, 1] = -4
    logits[:, 1, :2, :2] = 4.0
    logits[0, 1, 5:8, 5:8] = 4.0  # larger in its slice, but alone
    logits[1, 1, :2, :6] = 4.0
    given = SliceLogits(logits, torch.zeros(2, 3, 32, 32))
    found = list(postprocess([given], Letterbox(32, 32, 32), PostprocessSettings(keep="largest")))
    assert found[0][:, 28, 28].argmax() == 0
    assert found[0][:, 2, 2].argmax() == 1


def test_the_cut_keeps_probabilities_and_wants_two_labels():
    pytest.importorskip("maxflow")
    settings = PostprocessSettings(smooth="cut", smooth_side=16)
    for probability in postprocess([scored(labels=2)], LETTERBOX, settings):
        torch.testing.assert_close(probability.sum(dim=0), torch.ones(20, 30))
    with pytest.raises(ModelError, match="one class from background"):
        list(postprocess([scored(labels=3)], LETTERBOX, settings))


def test_cues_that_lack_what_they_need_say_so():
    bare = replace(scored(), features=None)
    for settings in (
        PostprocessSettings(similarity=0.5),
        PostprocessSettings(depth=1, depth_temperature=0.1),
    ):
        with pytest.raises(ModelError, match="shows none"):
            list(postprocess([bare], LETTERBOX, settings))
    with pytest.raises(ModelError, match="learn the support again"):
        list(postprocess([bare], LETTERBOX, PostprocessSettings(proximity=1.0)))


def test_an_answer_of_background_alone_stays_one():
    logits = torch.zeros(2, 2, 8, 8)
    logits[:, 0] = 20.0
    given = SliceLogits(logits, torch.rand(2, 3, 32, 32), torch.rand(2, 5, 8, 8))
    settings = PostprocessSettings(
        similarity=0.5, depth=1.0, smooth="walker", smooth_side=16, keep="largest", fill=True
    )
    found = np.stack(
        [
            probability.argmax(dim=0).numpy()
            for probability in postprocess([given], LETTERBOX, settings)
        ]
    )
    assert (found == 0).all()
