"""Random inputs, and a loss with its gradient."""

import torch

IGNORE = 255


def batch(space, classes=3, images=2, seed=0, ignored=0.0, present=None, dtype=torch.float64):
    """Random logits and target; `present` restricts the labels that occur."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(images, classes, *space, generator=generator, dtype=torch.float64)
    labels = torch.tensor(list(range(classes)) if present is None else present)
    target = labels[torch.randint(len(labels), (images, *space), generator=generator)]
    hidden = torch.rand(images, *space, generator=generator) < ignored
    return logits.to(dtype), target.masked_fill(hidden, IGNORE)


def gradient(loss, logits, target, **arguments):
    """Return the value of a loss and the gradient of its sum with respect to the logits."""
    leaf = logits.detach().clone().requires_grad_()
    value = loss(leaf, target, **arguments)
    value.sum().backward()
    return value.detach(), leaf.grad
