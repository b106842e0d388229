"""Two backbones side by side: the features of both, with equal weights, in one encoder."""

import numpy as np
import pytest
import torch

from episodes.errors import ModelError
from fewshot.inference.segmenter import Segmenter
from fewshot.models.checkpoint import build_network, load_network, save_network
from fewshot.models.encoder import Encoder, EncoderSettings
from fewshot.models.heads import HSNetSettings
from fewshot.models.levels import Level
from fewshot.models.network import NetworkSettings
from tests.fewshot.conftest import disc_scene

BOTH = "tf_efficientnet_lite0+xfeat"


@torch.no_grad()
def test_each_of_both_has_half_of_the_weight():
    encoder = Encoder(EncoderSettings(BOTH)).eval()
    assert encoder.settings.strides == (8, 16)
    assert encoder.levels == (Level(40, 8), Level(64, 8, weight=2.0), Level(112, 16))
    assert (encoder.features, encoder.stride) == (216, 8)
    images = torch.rand(2, 3, 64, 96)
    lite, xfeat = (Encoder(EncoderSettings(n)).eval()(images) for n in BOTH.split("+"))
    features = encoder(images)
    half = 0.5**0.5
    torch.testing.assert_close(features[:, :40], half * lite[:, :40])
    torch.testing.assert_close(features[:, 40:104], half * xfeat)
    torch.testing.assert_close(features[:, 104:], half * lite[:, 40:])
    torch.testing.assert_close(encoder(images[:, :1]), encoder(images[:, :1].expand(2, 3, 64, 96)))


@torch.no_grad()
def test_pixels_are_normalised_for_the_other_as_it_was_trained():
    """This one has a mean and a spread a channel; XFeat gets the image as it is."""
    torch.manual_seed(0)
    both = Encoder(EncoderSettings("test_efficientnet+xfeat", (4, 8), "none")).eval()
    torch.manual_seed(0)
    alone = Encoder(EncoderSettings("test_efficientnet", (4, 8), "none")).eval()
    images = torch.rand(1, 3, 64, 64)
    expected, features = alone(images), both(images)
    size = alone.features
    torch.testing.assert_close(features[:, :size], 0.5**0.5 * expected)
    alone.backbone, alone.levels = both.backbone.xfeat, both.levels[2:]
    alone.mean, alone.std, alone.stride = torch.zeros(3, 1, 1), torch.ones(3, 1, 1), 8
    xfeat = torch.nn.functional.interpolate(alone(images), size=(16, 16), mode="bilinear")
    torch.testing.assert_close(features[:, size:], 0.5**0.5 * xfeat)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (EncoderSettings("xfeat+tf_efficientnet_lite0"), "expected another backbone's name before"),
        (EncoderSettings("xfeat+xfeat"), "e.g. tf_efficientnet_lite0"),
        (EncoderSettings("+xfeat"), "timm has no model ''"),
        (EncoderSettings(BOTH + "+xfeat"), "expected another backbone's name before the plus"),
        (EncoderSettings(BOTH, (4, 16)), r"strides are \(4, 16\); expected 8 among them"),
        (EncoderSettings(BOTH, (8, 64)), "tf_efficientnet_lite0 has no stride 64"),
    ],
)
def test_what_does_not_fit_is_refused(settings, message):
    with pytest.raises(ModelError, match=message):
        Encoder(settings)


def test_it_trains_segments_and_comes_back_the_same(tmp_path):
    settings = NetworkSettings(EncoderSettings(BOTH), size=64)
    network = build_network(settings).train()
    features = network.encode(torch.rand(1, 3, 64, 64))
    (features**3).sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad.abs().sum() > 0, name
    image, labels = disc_scene(0)
    loaded = load_network(save_network(network, tmp_path))
    assert loaded.fingerprint() == network.fingerprint()
    first, second = Segmenter(network.eval()), Segmenter(loaded)
    result, again = (
        s.segment(image, s.learn(image, labels == 1, size=64)) for s in (first, second)
    )
    assert ((result.mask > 0) & (labels == 1)).sum() > 0.8 * (labels == 1).sum()
    np.testing.assert_array_equal(again.probabilities, result.probabilities)


def test_a_head_that_works_on_levels_takes_all_three():
    random = EncoderSettings(BOTH, weights="none")
    segmenter = Segmenter(build_network(NetworkSettings(random, HSNetSettings(16, 8), 64)))
    image, labels = disc_scene(0)
    result = segmenter.segment(image, segmenter.learn(image, labels == 1, size=64))
    assert np.isfinite(result.probabilities).all()
    assert len(segmenter.network.head.levels) == 3
