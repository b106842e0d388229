"""From annotated images to masks without any choice by the user."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from episodes.errors import ModelError
from fewshot.inference.inputs import image_planes
from fewshot.inference.predictors.build import build_predictor
from fewshot.inference.predictors.self_configuring import SelfConfiguringPredictor
from fewshot.inference.saved_support import load_support, save_support
from fewshot.inference.segment_stack import segmentation_of
from fewshot.inference.segmenter import Segmenter
from fewshot.inference.support_set import SupportSet, read_support_set
from fewshot.models.checkpoint import read_tensors, write_tensors
from fewshot.models.heads import Support
from tests.fewshot.conftest import disc_scene


def support(*seeds: int) -> SupportSet:
    images, masks = zip(*map(disc_scene, seeds), strict=True)
    return read_support_set(list(images), list(masks), {1: "disc", 2: "bar"})


def test_it_segments_another_image_tells_what_it_chose_and_is_saved(tmp_path):
    predictor = build_predictor(None, "self-configuring")
    learned = predictor.learn(support(0))
    image, labels = disc_scene(3)
    result = predictor.segment(image_planes(image), learned)
    for label in (1, 2):
        found, true = result.labels[0] == label, labels == label
        assert 2 * (found & true).sum() / (found.sum() + true.sum()) > 0.85
    assert 0.6 < result.expected_dice <= 1
    assert result.summary()["expected_dice"] == result.expected_dice
    assert "chosen on the annotated images: " in learned.configuration.describe()
    again = Segmenter().segment(image, learned)  # the call that users have
    assert again.labels.tolist() == result.labels.tolist()
    stored = load_support(save_support(learned, tmp_path / "support.safetensors"))
    assert stored.configuration.describe() == learned.configuration.describe()
    loaded = Segmenter().segment(image, stored)
    assert np.array_equal(loaded.probabilities, result.probabilities)
    assert loaded.expected_dice == pytest.approx(result.expected_dice, abs=1e-6)


def test_a_saved_support_needs_the_network_that_took_part(tmp_path, own_segmenter, segmenter):
    network = own_segmenter.network
    predictor = build_predictor(network, "self-configuring", {"method": ("place", "trained")})
    learned = predictor.learn(support(0))
    path = save_support(learned, tmp_path / "support.safetensors")
    image = image_planes(disc_scene(1)[0])
    again = predictor.segment(image, load_support(path, network))
    assert np.array_equal(again.probabilities, predictor.segment(image, learned).probabilities)
    with pytest.raises(ModelError, match="a trained network took part"):
        load_support(path)
    with pytest.raises(ModelError, match="another network took part"):
        load_support(path, segmenter.network)
    tensors, _ = read_tensors(path)
    write_tensors(tensors, path, {"self-configured": '{"format": 1}'})
    with pytest.raises(ModelError, match="holds no support"):
        load_support(path, network)


def test_a_segmenter_without_a_network_configures_itself_for_images(monkeypatch):
    image, labels = disc_scene(0)
    segmenter, asked = Segmenter(), []
    quick = build_predictor(None, "self-configuring", {"method": ("place",)})
    learn = SelfConfiguringPredictor.learn
    monkeypatch.setattr(
        *(SelfConfiguringPredictor, "learn"),
        lambda self, shots: asked.append(shots.names) or learn(quick, shots),
    )
    segmenter.learn(image, labels, {1: "disc", 2: "bar"})
    assert asked == [("disc", "bar")]
    one = segmenter.learn(image, labels, {1: "disc", 2: "bar"}, size=64)
    planes = np.stack([image] * 2), np.stack([labels] * 2)
    volume = segmenter.learn(*planes, {1: "disc", 2: "bar"}, axes="ZYX")
    assert isinstance(one, Support)
    assert isinstance(volume, Support)
    assert len(asked) == 1


def test_by_hand_one_method_is_learned_and_nothing_is_expected():
    predictor = build_predictor(None, "self-configuring", {"method": ("neighbours-256",)})
    learned = predictor.learn(support(0))
    assert list(learned.fitted) == ["neighbours-256"]
    assert predictor.segment(image_planes(disc_scene(1)[0]), learned).expected_dice is None
    with pytest.raises(ModelError, match=r"no method best.*expected some of neighbours-256"):
        build_predictor(None, "self-configuring", {"method": ("best",)})


def test_a_fully_marked_image_is_told_and_everything_is_the_class():
    image, labels = disc_scene(0)
    predictor = build_predictor(None, "self-configuring", {"method": ("neighbours-256", "place")})
    with pytest.warns(UserWarning, match="all that is known of array is disc"):
        learned = predictor.learn(read_support_set(image, np.ones_like(labels), {1: "disc"}))
    assert (predictor.segment(image_planes(disc_scene(1)[0]), learned).labels == 1).all()


def test_many_planes_are_thinned_and_no_class_is_lost():
    few = support(0)
    volume = np.repeat(few.pictures[0].pixels, 40, axis=0)
    labels = np.repeat((few.maps[0] == 1).astype(np.uint8), 40, axis=0)
    labels[7] = few.maps[0]
    stack = replace(few.pictures[0], pixels=volume, volume=True)
    many = replace(few, pictures=(stack,), maps=(labels,))
    predictor = build_predictor(None, "self-configuring", {"method": ("place",)})
    with pytest.warns(UserWarning, match="40 planes are annotated; 17 of them"):
        learned = predictor.learn(many)
    assert torch.sigmoid(learned.fitted["place"].found[1]).max() > 0.04  # the bar, in plane 7 alone


def test_a_poor_answer_is_told():
    predictor = build_predictor(None, "self-configuring", {"method": ("place",)})
    result = predictor.segment(image_planes(disc_scene(1)[0]), predictor.learn(support(0)))
    assert result.doubt == ""
    assert "Dice about 0.10" in replace(result, expected_dice=0.1).doubt


def test_an_image_of_many_fields_of_view_is_segmented_in_parts(monkeypatch):
    """Annotated dots of 8 pixels in 64; in 640 they would be smaller than a feature."""
    generator = np.random.default_rng(0)
    rows, columns = np.mgrid[:640, :640]
    truth = ((rows % 32 - 16) ** 2 + (columns % 32 - 16) ** 2 < 4.5**2).astype(np.uint8)
    image = np.clip(truth * 150 + generator.normal(50, 5, truth.shape), 0, 255).astype(np.uint8)
    predictor = build_predictor(None, "self-configuring", {"method": ("place",)})
    learned = predictor.learn(read_support_set(image[:64, :64], truth[:64, :64], {1: "dot"}))
    sides = []

    def by_threshold(picture, _):
        sides.append(picture.pixels.shape[1:3])
        odds = torch.from_numpy(picture.pixels[0] / 10.0 - 12)
        planes = [torch.stack([-odds, odds]).softmax(dim=0)]
        return segmentation_of(picture, planes, ("dot",), (1,), similarity=lambda: None)

    monkeypatch.setattr(predictor, "_segment", by_threshold)
    found = predictor.segment(image_planes(image), learned)
    assert set(sides) == {(64, 64)}
    assert len(sides) >= 100
    np.testing.assert_array_equal(found.labels[0], truth)
