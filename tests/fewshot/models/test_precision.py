"""Which layers compute in bfloat16, where the processor has it."""

import pytest
import torch
from torch import nn

from fewshot.models.efficientnet_lite0 import EfficientNetLite0
from fewshot.models.precision import autocast

CPU = torch.device("cpu")


@pytest.fixture
def has_bfloat16(monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True)


@pytest.mark.parametrize(("training", "expected"), [(True, torch.float32), (False, torch.bfloat16)])
def test_depthwise_convolutions_are_trained_in_float32(has_bfloat16, training, expected):
    images = torch.rand(2, 8, 9, 9)
    with autocast(CPU, training=training):
        assert nn.Conv2d(8, 8, 3, groups=8)(images).dtype == expected
        assert nn.Conv2d(8, 8, 3, groups=8, bias=False)(images.bfloat16()).dtype == expected
        assert nn.Conv2d(8, 8, 3, groups=2)(images).dtype == torch.bfloat16
        assert nn.Conv2d(8, 8, 1)(images).dtype == torch.bfloat16
    assert nn.Conv2d(8, 8, 1)(images).dtype == torch.float32


@pytest.mark.parametrize(
    ("training", "depthwise", "expected"),
    [(True, True, torch.float32), (True, False, torch.bfloat16), (False, True, torch.bfloat16)],
)
def test_without_amx_what_has_depthwise_convolutions_is_trained_in_float32(
    monkeypatch, training, depthwise, expected
):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    with autocast(CPU, training=training, depthwise=depthwise):
        assert nn.Conv2d(8, 8, 3)(torch.rand(1, 8, 5, 5)).dtype == expected


def test_nothing_changes_where_the_processor_has_none(monkeypatch):
    for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: False)
    with autocast(CPU, training=True):
        assert nn.Conv2d(8, 8, 3)(torch.rand(1, 8, 5, 5)).dtype == torch.float32


def test_gradients_are_those_of_float32(has_bfloat16):
    encoder = EfficientNetLite0((8,), imagenet=True).eval()
    images = torch.rand(1, 3, 64, 64)

    def gradients():
        encoder.zero_grad()
        encoder(images)[0].float().square().mean().backward()
        return torch.cat([each.grad.flatten() for each in encoder.parameters()])

    exact = gradients()
    with autocast(CPU, training=True):
        found = gradients()
    assert torch.cosine_similarity(exact, found, dim=0) > 0.99
