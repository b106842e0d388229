"""First weights that depend on a seed alone, without a change of torch's global state."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def seeded_weights(seed: int) -> Iterator[None]:
    """Draw the weights of modules that are made inside from this seed.

    >>> with seeded_weights(3):
    ...     first = torch.nn.Linear(2, 2).weight
    >>> with seeded_weights(3):
    ...     second = torch.nn.Linear(2, 2).weight
    >>> torch.equal(first, second)
    True
    """
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(seed)
        yield
