"""Ours beside timm's: names, weights, features and gradients are equal, bit for bit."""

import pytest
import timm
import torch
from skimage import data
from torch.nn import functional

from fewshot import Segmenter
from fewshot.models.efficientnet_lite0 import EfficientNetLite0, load_installed
from fewshot.models.timm_backbone import build_timm

NAME = "tf_efficientnet_lite0"


@pytest.mark.parametrize("strides", [(8, 16), (2,), (4, 32)])
def test_it_is_timms_network(strides):
    torch.manual_seed(0)
    ours = EfficientNetLite0(strides, imagenet=False)
    theirs, levels, mean, std = build_timm(NAME, strides, pretrained=False)
    assert [level.stride for level in levels] == list(strides)
    assert tuple(mean) == tuple(std) == (0.5, 0.5, 0.5)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    theirs.load_state_dict(ours.state_dict())
    for training in (False, True):
        for size in ((64, 32), (75, 33)):  # sides that are uneven at every stride
            pixels = torch.rand(2, 3, *size)
            both = [network.train(training)(pixels) for network in (ours, theirs)]
            for mine, other, level in zip(*both, levels, strict=True):
                assert mine.shape[1] == level.features
                assert torch.equal(mine, other)
            for maps in both:
                sum(level.square().mean() for level in maps).backward()
    pairs = zip(ours.named_parameters(), theirs.parameters(), strict=True)
    for (name, mine), other in pairs:
        assert torch.equal(mine.grad, other.grad), name
    for name, tensor in theirs.state_dict().items():  # the statistics, too
        assert torch.equal(ours.state_dict()[name], tensor), name


def test_random_weights_are_drawn_like_timms():
    torch.manual_seed(0)
    ours = EfficientNetLite0((16,), imagenet=False)
    theirs, *_ = build_timm(NAME, (16,), pretrained=False)
    for name, tensor in theirs.state_dict().items():
        mine = ours.state_dict()[name]
        if tensor.ndim < 2 or tensor.numel() < 5000:
            continue
        assert mine.std().item() == pytest.approx(tensor.std().item(), rel=0.1), name
        assert abs(mine.mean()) < 0.1 * mine.std(), name


def test_the_installed_weights_recognise_a_photograph():
    """Tensors in a wrong place would not find coffee: ImageNet's classes 967 espresso, 968 cup."""
    classifier = timm.create_model(NAME).eval()
    load_installed(classifier)
    photo = torch.from_numpy(data.coffee()).movedim(2, 0)[None, :, :, 100:500] / 255
    pixels = functional.interpolate(photo, (224, 224), mode="bilinear", antialias=True)
    with torch.no_grad():
        top = classifier((pixels - 0.5) / 0.5).topk(3).indices[0].tolist()
    assert {967, 968} & set(top)
    expected = classifier.state_dict()
    for name, tensor in EfficientNetLite0((16,), imagenet=True).model.state_dict().items():
        assert torch.equal(expected[name], tensor)


def test_the_default_segmenter_has_the_fingerprint_it_always_had():
    """Supports that were saved before the network was written here still fit it."""
    assert Segmenter().network.fingerprint() == "a0251462f41e9a79"
