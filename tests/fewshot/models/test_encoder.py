import pytest
import torch

from episodes.errors import ModelError
from fewshot.models.encoder import Encoder, EncoderSettings


@pytest.fixture(scope="module")
def encoder():
    return Encoder().eval()


def test_features_have_unit_length_on_the_finest_grid(encoder):
    features = encoder(torch.rand(2, 1, 64, 96))
    assert features.shape == (2, 40 + 112, 8, 12)
    # Interpolating unit vectors shortens them a little; every level contributes the same.
    torch.testing.assert_close(features[:, :40].norm(dim=1), torch.full((2, 8, 12), 0.5**0.5))
    assert features.norm(dim=1).max() <= 1.0001


def test_grey_equals_colour_with_equal_channels(encoder):
    grey = torch.rand(1, 1, 64, 64)
    torch.testing.assert_close(encoder(grey), encoder(grey.expand(1, 3, 64, 64)))


def test_training_leaves_the_normalisation_statistics_alone():
    encoder = Encoder(EncoderSettings(weights="none")).train()
    name = "backbone.model.bn1.running_mean"
    before = encoder.state_dict()[name].clone()
    encoder(torch.rand(2, 3, 64, 64)).sum().backward()
    assert torch.equal(encoder.state_dict()[name], before)


def test_other_backbones_and_strides():
    encoder = Encoder(EncoderSettings("resnet18", (4, 32), weights="none"))
    assert encoder(torch.rand(1, 3, 64, 64)).shape == (1, 64 + 512, 16, 16)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (EncoderSettings("tf_efficientnet_lite"), "similar names: tf_efficientnet_lite"),
        (EncoderSettings(strides=(3,)), "no stride 3; it has"),
        (EncoderSettings(strides=()), "expected e.g."),
        (EncoderSettings(strides=(8, 8)), "each of them once"),
        (EncoderSettings("resnet18", (3,), "none"), "resnet18 has no stride 3; it has"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, said):
    with pytest.raises(ModelError, match=said):
        Encoder(settings)


def test_sides_that_do_not_fit_are_refused(encoder):
    with pytest.raises(ModelError, match="multiples of 16"):
        encoder(torch.rand(1, 1, 60, 64))
