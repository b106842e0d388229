"""Gradient-based segmenters: every method, really through learn2learn."""

import sys

import numpy as np
import pytest
import torch
from torch.func import functional_call

from episodes import bundled
from episodes.catalog.class_areas import compute_class_areas
from episodes.catalog.loader import Loader
from episodes.errors import FewshotError, ModelError
from episodes.readers import read_catalog
from episodes.sampling.episode import collate
from episodes.sampling.sampler import EpisodeSampler
from fewshot.evaluation.episodic import evaluate
from fewshot.inference.segmenter import Segmenter
from fewshot.losses.episode_cross_entropy import segmentation_loss
from fewshot.models.checkpoint import load_network, save_network
from fewshot.models.encoder import EncoderSettings
from fewshot.models.heads.gradient_settings import GradientSettings
from fewshot.models.learn2learn_backend import algorithms
from fewshot.models.meta_learning import GradientNetwork, _loss
from fewshot.models.network import NetworkSettings
from fewshot.training.episodic import episode_task
from fewshot.training.loop import train
from fewshot.training.meta_objective import GradientObjective
from fewshot.training.settings import TrainSettings
from tests.fewshot.conftest import disc_scene

METHODS = ("maml", "fomaml", "meta-sgd", "reptile", "fine-tuning")


def make(method, **settings):
    torch.manual_seed(0)
    head = GradientSettings(method, **{"steps": 2, **settings})
    return Segmenter(NetworkSettings(head=head, size=64))


@pytest.fixture(scope="module")
def sampler():
    return EpisodeSampler(
        compute_class_areas(read_catalog(bundled.path("emoji"))), loader=Loader(64)
    )


@pytest.mark.parametrize("method", METHODS)
def test_adapting_fits_the_support_and_keeps_the_start(sampler, method):
    segmenter = make(method, steps=10, rate=0.003 if method == "fine-tuning" else 0.03)
    batch = collate([sampler.episode(0)])
    before = {name: tensor.clone() for name, tensor in segmenter.network.state_dict().items()}
    with torch.inference_mode():
        logits = segmenter.network(
            batch.support_images, batch.support_masks, batch.support_images[:, 0]
        )
    foreground = (logits[0, 0, 1] - logits[0, 0, 0]).sign()
    mask = batch.support_masks[0, 0, 0]
    right = [
        (foreground[mask == value] == sign).float().mean() for value, sign in ((1, 1), (0, -1))
    ]
    assert min(right) > 0.75
    for name, tensor in segmenter.network.state_dict().items():
        assert torch.equal(tensor, before[name]), name


LOSSES = {"anil": "cross_entropy", "maml": "dice+cross_entropy", "fomaml": "lovasz"}


@pytest.mark.parametrize("method", METHODS[:4])
def test_training_moves_what_it_should(sampler, method, tmp_path):
    segmenter = make(method)
    before = {name: tensor.clone() for name, tensor in segmenter.network.named_parameters()}
    settings = TrainSettings(steps=2, minutes=0.0, batch=2)
    task = episode_task(segmenter.network, sampler, loss=LOSSES.get(method, "cross_entropy"))
    train(task, settings, tmp_path, progress=False)
    moved = [
        n
        for n, tensor in segmenter.network.named_parameters()
        if not torch.equal(tensor, before[n])
    ]
    assert any(name.startswith("encoder") for name in moved)
    assert any(name.startswith("head") for name in moved)
    assert any(name.startswith("rates") for name in moved) == (method == "meta-sgd")
    loaded = Segmenter(load_network(tmp_path))
    assert isinstance(loaded.network, GradientNetwork)
    assert loaded.network.fingerprint() == segmenter.network.fingerprint()


def by_hand(segmenter, batch, method):
    """The outer gradient of one episode, from the papers' equations."""
    model, rate = segmenter.network._model(), segmenter.network.head.settings.rate
    names = [name for name, _ in model.named_parameters()]
    start = [weight for _, weight in model.named_parameters()]
    rates = list(segmenter.network.rates) if method == "meta-sgd" else [rate] * len(start)
    weights = start
    for _ in range(segmenter.network.head.settings.steps):
        logits = functional_call(
            model, dict(zip(names, weights, strict=True)), (batch.support_images[0, 0],)
        )
        loss = _loss(logits, batch.support_masks[0, 0])
        gradients = torch.autograd.grad(
            loss, weights, create_graph=method != "fomaml", allow_unused=True
        )
        weights = [
            weight if gradient is None else weight - step * gradient
            for weight, gradient, step in zip(weights, gradients, rates, strict=True)
        ]
    logits = functional_call(
        model, dict(zip(names, weights, strict=True)), (batch.query_images[0],)
    )
    both = torch.stack([torch.zeros_like(logits), logits], dim=1)[None]
    loss = segmentation_loss(both, batch.query_labels, balanced=True)
    return torch.autograd.grad(loss, start, allow_unused=True)


@pytest.mark.parametrize("method", METHODS[:3])
def test_the_outer_gradient_is_that_of_the_equations(sampler, method):
    batch = collate([sampler.episode(3)])
    segmenter = make(method, rate=0.02)
    GradientObjective(segmenter.network)(batch)["loss"].backward()
    own = [weight.grad for weight in segmenter.network._model().parameters()]
    expected = by_hand(make(method, rate=0.02), batch, method)
    assert len(own) == len(expected)
    for found, wanted in zip(own, expected, strict=True):
        if wanted is None:
            assert found is None or not found.any()
        else:
            scale = wanted.abs().max().item()
            torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-4 * scale + 1e-8)


def test_first_order_leaves_out_what_second_order_has(sampler):
    batch = collate([sampler.episode(1)])

    def gradient(method):
        segmenter = make(method, rate=0.05)
        GradientObjective(segmenter.network)(batch)["loss"].backward()
        return next(segmenter.network.encoder.parameters()).grad

    assert not torch.allclose(gradient("maml"), gradient("fomaml"), rtol=0.01)


def test_reptile_goes_towards_the_adapted_weights(sampler):
    segmenter = make("reptile")
    batch = collate([sampler.episode(2)])
    GradientObjective(segmenter.network)(batch)["loss"].backward()
    query = (batch.query_labels[0] == 1).to(torch.uint8)
    query[batch.query_labels[0] == 255] = 255
    adapted = segmenter.network.adapt(
        torch.cat([batch.support_images[0, 0], batch.query_images[0]]),
        torch.cat([batch.support_masks[0, 0], query]),
        learning=True,
    )
    own = dict(segmenter.network._model().named_parameters())
    for name, weight in own.items():
        torch.testing.assert_close(weight.grad, weight.detach() - adapted[name].detach())


def test_learn_segment_save_and_several_ways(tmp_path):
    segmenter = make("fomaml", steps=12, rate=0.02)
    image, labels = disc_scene(3)
    support = segmenter.learn(image, labels, {1: "disc", 2: "bar"})
    assert support.class_names == ("disc", "bar")
    result = segmenter.segment(image, support)
    assert result.mask.shape == image.shape
    for label in (1, 2):
        found, true = result.mask == label, labels == label
        assert 2 * (found & true).sum() / (found.sum() + true.sum()) > 0.5
    save_network(segmenter.network, tmp_path)
    again = Segmenter(load_network(tmp_path)).segment(image, support)
    np.testing.assert_array_equal(again.mask, result.mask)


def test_evaluated_as_any_other(sampler):
    found = evaluate(make("fomaml").network, sampler, 2, batch=2)
    assert {case.method for case in found.cases} == {"model", "copy_mask"}


def test_without_learn2learn_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "learn2learn", None)
    monkeypatch.delitem(sys.modules, "learn2learn.algorithms", raising=False)
    with pytest.raises(ModelError, match=r"fewshot-segmentation\[meta\]"):
        algorithms()


def test_random_weights_are_possible():
    settings = NetworkSettings(
        encoder=EncoderSettings(weights="none"), head=GradientSettings("maml"), size=64
    )
    assert GradientNetwork(settings).encoder.features > 0


def test_class_weights_are_refused_since_the_loss_is_balanced(sampler):
    with pytest.raises(FewshotError, match="maml"):
        episode_task(make("maml").network, sampler, class_weights=(0.1, 1.0))


def test_reptile_has_no_loss_of_the_queries(sampler):
    with pytest.raises(FewshotError, match="loss is 'dice', but reptile"):
        episode_task(make("reptile").network, sampler, loss="dice")
