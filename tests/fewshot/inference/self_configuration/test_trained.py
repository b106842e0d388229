import numpy as np
import pytest
import torch

from episodes.errors import ModelError
from fewshot.inference.inputs import ImageStack, image_planes
from fewshot.inference.predictors.build import build_predictor
from fewshot.inference.segmenter import Segmenter
from fewshot.inference.self_configuration.candidates.trained import Trained
from fewshot.inference.self_configuration.evidence import dice
from fewshot.inference.self_configuration.views import Shot, View
from fewshot.inference.support_set import read_support_set
from fewshot.models.checkpoint import build_network
from fewshot.models.network import NetworkSettings
from tests.fewshot.conftest import disc_scene


@pytest.fixture(scope="module")
def network():
    return build_network(NetworkSettings(size=96)).eval()


@torch.inference_mode()
def test_it_segments_a_picture_that_is_no_square(network):
    shots = []
    for seed in (0, 3):
        image, labels = disc_scene(seed)
        wide = np.concatenate([image, image[:, :40]], axis=1)
        both = np.concatenate([labels, labels[:, :40]], axis=1)
        shots.append(Shot(View(ImageStack(wide[None], "x")), torch.from_numpy(both)))
    fitted = Trained(network).fit(shots[:1], 2)
    odds = fitted.log_odds(shots[1].view)
    assert odds.shape == (2, 68, 96)  # of 96 x 136 in a square of 96
    assert dice(fitted, shots[1], 2) > 0.6


def test_a_model_is_one_more_method(network):
    image, labels = disc_scene(0)
    shots = read_support_set(image, labels, {1: "disc", 2: "bar"})
    predictor = build_predictor(network, "self-configuring", {"method": ("trained",)})
    learned = predictor.learn(shots)
    assert list(learned.fitted) == ["trained"]
    found = predictor.segment(image_planes(image), learned).labels[0]
    one = Segmenter(network)  # the image has the network's own size
    assert (found == one.segment(image, one.learn_shots(shots, size=96)).labels[0]).all()
    assert "trained" in build_predictor(network, "self-configuring").candidates
    with pytest.raises(ModelError, match="trained needs a model"):
        build_predictor(None, "self-configuring", {"method": ("trained",)})
