"""One tester for every head: the contract that `fewshot.heads.Head` states."""

from collections.abc import Callable

import torch

from fewshot.heads import Head


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


def check_head(make: Callable[[int], Head]) -> None:
    """Run every check of the contract; `make` gets the number of features."""
    for way, shot in ((1, 1), (3, 1), (2, 3)):
        _check_labels(make(way + 3), way, shot)
    _check_no_state(make(4))
    _check_empty(make(4))
    _check_ignored(make(4))
    _check_batch(make(4))
    _check_gradient(make(4))


def _check_labels(head: Head, way: int, shot: int) -> None:
    support, masks, query, truth = two_colour_task(way, shot)
    logits = head.score(head.condense(support, masks), query)
    assert logits.shape == (2, 2, way + 1, 32, 32)
    assert torch.isfinite(logits).all()
    right = (logits.argmax(dim=2) == truth).float().mean()
    assert right > 0.85, f"{way} ways {shot} shots: {right:.2f} of the pixels right"


def _check_no_state(head: Head) -> None:
    support, masks, query, _ = two_colour_task()
    before = {name: value.clone() for name, value in head.state_dict().items()}
    condensed = head.condense(support, masks)
    first = head.score(condensed, query)
    head.condense(support.flip(-1), masks.flip(-1))
    assert torch.equal(head.score(condensed, query), first)
    assert all(torch.equal(value, before[name]) for name, value in head.state_dict().items())


def _check_empty(head: Head) -> None:
    """A class without support is found nowhere; a full mask leaves no background."""
    support, masks, query, _ = two_colour_task()
    empty = head.score(head.condense(support, torch.zeros_like(masks)), query)
    assert torch.isfinite(empty).all()
    assert (empty.argmax(dim=2) == 0).all()
    full = head.score(head.condense(support, torch.ones_like(masks)), query)
    assert (full.argmax(dim=2) == 1).all()
    unknown = head.score(head.condense(support, torch.full_like(masks, 255)), query)
    assert torch.isfinite(unknown).all()


def _check_ignored(head: Head) -> None:
    """What lies under unknown pixels does not matter."""
    support, masks, query, _ = two_colour_task()
    masks = masks.clone()
    masks[..., 16:] = 255
    changed = support.clone()
    changed[..., 18:] = 7.0  # two columns away: enlarged features blend with their neighbours
    expected = head.score(head.condense(support, masks), query)
    found = head.score(head.condense(changed, masks), query)
    torch.testing.assert_close(found, expected)


def _check_batch(head: Head) -> None:
    """An episode's scores do not depend on the others in its batch."""
    support, masks, query, _ = two_colour_task(batch=3)
    masks = masks.clone()
    masks[1, :, :, 10:] = 0
    together = head.score(head.condense(support, masks), query)
    for number in range(3):
        one = slice(number, number + 1)
        alone = head.score(head.condense(support[one], masks[one]), query[one])
        torch.testing.assert_close(together[one], alone)


def _check_gradient(head: Head) -> None:
    support, masks, query, _ = two_colour_task()
    support.requires_grad_()
    head.score(head.condense(support, masks), query).square().mean().backward()
    assert support.grad is not None
    assert torch.isfinite(support.grad).all()
    assert support.grad.abs().sum() > 0
