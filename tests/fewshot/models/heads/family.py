"""One tester for every head: the contract that `fewshot.models.heads.Head` states."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from episodes.sampling.episode import EpisodeBatch
from fewshot.inference.segmenter import Segmenter
from fewshot.models.checkpoint import (
    load_network,
    load_support,
    save_network,
    save_support,
)
from fewshot.models.encoder import EncoderSettings
from fewshot.models.heads import Head
from fewshot.models.network import NetworkSettings
from fewshot.training.objective import EpisodeObjective
from tests.fewshot.conftest import disc_scene

TINY = EncoderSettings("test_efficientnet", strides=(8, 16), weights="none")
"""53,000 weights: everything around a head can be tried in a moment."""


def two_colour_task(way: int = 1, shot: int = 1, query: int = 2, batch: int = 2):
    """Features whose first channels name the label: way w is channel w, background channel 0.

    The support is labelled in vertical stripes; the queries are the stripes rolled sideways.
    """
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(16).remainder(way + 1).repeat_interleave(2).expand(32, 32)
    features = torch.nn.functional.one_hot(labels, way + 3).permute(2, 0, 1).float()
    noise = 0.05 * torch.randn(batch, way, shot, *features.shape, generator=generator)
    support = features + noise
    masks = torch.stack([(labels == w).to(torch.uint8) for w in range(1, way + 1)])
    for w in range(way):  # the other ways are unknown to this one's mask
        masks[w][(labels > 0) & (labels != w + 1)] = 255
    masks = masks[None, :, None].expand(batch, way, shot, 32, 32)
    rolled = features.roll(5, dims=2).expand(batch, query, *features.shape)
    return support, masks, rolled, labels.roll(5, dims=1)


def check_head(
    make: Callable[[int], Head], *, learned: bool = False, full_is_found: bool = True
) -> None:
    """Run every check of the contract.

    Args:
        make: gets the number of features and makes a head; its `settings` must be those that
            `fewshot.models.heads.build_head` makes it from.
        learned: whether the head must be trained before its answers are right. Then only what
            holds with any weights is checked.
        full_is_found: whether a support that is all foreground makes all of the query
            foreground; not so where scores are relative to the query.
    """
    for way, shot in ((1, 1), (3, 1), (2, 3)):
        _check_labels(make(way + 3), way, shot, learned)
    _check_shapes(make(4))
    _check_no_state(make(4))
    _check_empty(make(4), full_is_found and not learned)
    _check_empty_way(make(5), learned)
    _check_ignored(make(4))
    _check_absent_shot(make(4))
    _check_shot_order(make(4))
    _check_batch(make(4))
    _check_gradient(make(4))
    _check_segmenter(make(4))


def _check_labels(head: Head, way: int, shot: int, learned: bool) -> None:
    support, masks, query, truth = two_colour_task(way, shot)
    logits = head.logits(head.encode_support(support, masks), query)
    assert logits.shape == (2, 2, way + 1, 32, 32)
    assert torch.isfinite(logits).all()
    right = (logits.argmax(dim=2) == truth).float().mean()
    assert learned or right > 0.85, f"{way} ways {shot} shots: {right:.2f} of the pixels right"


def _check_shapes(head: Head) -> None:
    """The grid need not be square, and masks are finer than features."""
    support, masks, query, _ = two_colour_task()
    fine = masks[..., :24].repeat_interleave(2, dim=-1).repeat_interleave(2, dim=-2)
    logits = head.logits(head.encode_support(support[..., :24], fine), query[..., :24])
    assert logits.shape == (2, 2, 2, 32, 24)
    assert torch.isfinite(logits).all()


def _check_no_state(head: Head) -> None:
    support, masks, query, _ = two_colour_task()
    before = {name: value.clone() for name, value in head.state_dict().items()}
    condensed = head.encode_support(support, masks)
    first = head.logits(condensed, query)
    head.encode_support(support.flip(-1), masks.flip(-1))
    assert torch.equal(head.logits(condensed, query), first)
    assert all(torch.equal(value, before[name]) for name, value in head.state_dict().items())


def _check_empty(head: Head, full_is_found: bool) -> None:
    """A class without support is found nowhere; a full mask leaves no background."""
    support, masks, query, _ = two_colour_task()
    empty = head.logits(head.encode_support(support, torch.zeros_like(masks)), query)
    assert torch.isfinite(empty).all()
    assert (empty.argmax(dim=2) == 0).all()
    full = head.logits(head.encode_support(support, torch.ones_like(masks)), query)
    assert torch.isfinite(full).all()
    assert not full_is_found or (full.argmax(dim=2) == 1).all()
    unknown = head.logits(head.encode_support(support, torch.full_like(masks, 255)), query)
    assert torch.isfinite(unknown).all()
    assert (unknown.argmax(dim=2) == 0).all()


def _check_empty_way(head: Head, learned: bool) -> None:
    """A class without support is found nowhere beside one that has some."""
    support, masks, query, truth = two_colour_task(way=2)
    masks = masks.clone()
    masks[:, 1][masks[:, 1] == 1] = 255
    labels = head.logits(head.encode_support(support, masks), query).argmax(dim=2)
    assert (labels != 2).all()
    found = (labels == 1)[(truth == 1).expand_as(labels)].float().mean()
    assert learned or found > 0.8, f"{found:.2f} of the other class found"


def _check_ignored(head: Head) -> None:
    """What lies under unknown pixels does not matter."""
    support, masks, query, _ = two_colour_task()
    masks = masks.clone()
    masks[..., 16:] = 255
    changed = support.clone()
    changed[..., 18:] = 7.0  # two columns away: enlarged features blend with their neighbours
    expected = head.logits(head.encode_support(support, masks), query)
    found = head.logits(head.encode_support(changed, masks), query)
    torch.testing.assert_close(found, expected)


def _check_absent_shot(head: Head) -> None:
    """A shot of which nothing is known is as if it were not there."""
    support, masks, query, _ = two_colour_task(shot=2)
    masks = masks.clone()
    masks[:, :, 1] = 255
    expected = head.logits(head.encode_support(support[:, :, :1], masks[:, :, :1]), query)
    found = head.logits(head.encode_support(support, masks), query)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def _check_shot_order(head: Head) -> None:
    support, masks, query, _ = two_colour_task(shot=3)
    support, masks = support[..., :16, :], masks[..., :16, :].clone()  # no more than heads keep
    for number in range(3):  # shots that differ in what they show
        masks[:, :, number, : 4 * number] = 255 * (number % 2)
    order = torch.tensor([2, 0, 1])
    expected = head.logits(head.encode_support(support, masks), query)
    found = head.logits(head.encode_support(support[:, :, order], masks[:, :, order]), query)
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)


def _check_batch(head: Head) -> None:
    """An episode's scores do not depend on the others in its batch."""
    support, masks, query, _ = two_colour_task(batch=3)
    masks = masks.clone()
    masks[1, :, :, 10:] = 0
    together = head.logits(head.encode_support(support, masks), query)
    for number in range(3):
        one = slice(number, number + 1)
        alone = head.logits(head.encode_support(support[one], masks[one]), query[one])
        torch.testing.assert_close(together[one], alone)


def _check_gradient(head: Head) -> None:
    support, masks, query, _ = two_colour_task()
    support.requires_grad_()
    query = query.clone().requires_grad_()
    head.logits(head.encode_support(support, masks), query).square().mean().backward()
    for features in (support, query):
        assert features.grad is not None
        assert torch.isfinite(features.grad).all()
        assert features.grad.abs().sum() > 0


def _check_segmenter(head: Head) -> None:
    """Behind an encoder the head learns, is told apart, and survives being saved."""
    settings = NetworkSettings(TINY, head.settings, size=64)  # type: ignore[arg-type]
    segmenter = Segmenter(settings)
    _check_training(segmenter)
    image, labels = disc_scene(0)
    support = segmenter.learn(image, labels == 1)
    expected = segmenter.segment(image, support).probabilities
    assert np.isfinite(expected).all()
    with tempfile.TemporaryDirectory() as folder:
        loaded = Segmenter(load_network(save_network(segmenter.network, folder)))
        stored = load_support(save_support(support, Path(folder) / "support.safetensors"))
    assert loaded.network.settings.head == head.settings
    assert loaded.network.fingerprint() == segmenter.network.fingerprint() == stored.model
    found = loaded.segment(image, stored).probabilities
    np.testing.assert_allclose(found, expected, atol=2e-3)  # half precision
    with torch.no_grad():
        next(segmenter.network.parameters()).add_(1.0)
    assert loaded.network.fingerprint() != segmenter.network.fingerprint()


def _check_training(segmenter: Segmenter) -> None:
    """The loss that training lowers, alignment included, moves the encoder and the head."""
    generator = torch.Generator().manual_seed(1)
    image, labels = (torch.from_numpy(part) for part in disc_scene(0, 64))
    images = image.float().div(255).expand(2, 1, 1, 1, 64, 64)
    images = images + 0.01 * torch.rand(images.shape, generator=generator)
    masks = (labels == 1).to(torch.uint8).expand(2, 1, 1, 64, 64)
    batch = EpisodeBatch(images, masks, images[:, 0], masks[:, 0], plans=())
    losses = EpisodeObjective(segmenter.network.train(), 1.0)(batch)
    losses["loss"].backward()
    assert all(torch.isfinite(value) for value in losses.values())
    for name, module in (("encoder", segmenter.network.encoder), ("head", segmenter.network.head)):
        grads = [p.grad for p in module.parameters() if p.requires_grad]
        assert all(grad is None or torch.isfinite(grad).all() for grad in grads), name
        assert not grads or any(g is not None and g.abs().sum() > 0 for g in grads), name
    segmenter.network.zero_grad()
