"""Sum counts over images, batches and processes, and take the score once at the end."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewshot.metrics.arrays import as_array


def all_gather_object(value: Any) -> list[Any]:
    """Gather a value of every process of a torch.distributed group.

    Shards may be uneven: a process without data passes None or an empty list. Every process gets
    the same list, in the order of the ranks.

    Args:
        value: this process's counts, rows, or anything else that can be pickled.

    Returns:
        One value per process; this process alone where there is no group.

    Example:
        >>> all_gather_object(3)
        [3]
    """
    from torch import distributed  # here, so that metrics alone never wait for torch

    if not (distributed.is_available() and distributed.is_initialized()):
        return [value]
    values: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(values, value)
    return values


class CountSum:
    """A running sum of what a counting function returns.

    Every family has one such function: ``overlap.confusion_matrix``, ``instances.match_counts``,
    ``panoptic.panoptic_counts``, ``calibration.calibration_counts``, ``ranking.score_counts``. The
    sum is one plain array, so it crosses processes with whatever is at hand: `over_processes` for
    a torch.distributed group, a file for anything else.

    Args:
        count: a function whose result is an array of the same shape at every call.

    Attributes:
        counts: the sum so far, or None before the first call.

    Example:
        >>> from functools import partial
        >>> from fewshot.metrics.overlap import confusion_matrix, dice
        >>> first, second = (CountSum(partial(confusion_matrix, classes=2)) for _ in range(2))
        >>> first.add([0, 1], [0, 1])
        >>> second.add([0, 1], [1, 1])
        >>> first.merge([second.counts])
        >>> dice(first.counts).round(4)
        array([0.6667, 0.8   ])
    """

    def __init__(self, count: Callable[..., NDArray[Any]]) -> None:
        self._count = count
        self.counts: NDArray[Any] | None = None

    def add(self, *arguments: Any, **settings: Any) -> None:
        """Count one image or batch and add it.

        Args:
            *arguments: passed to the counting function.
            **settings: passed to the counting function.
        """
        self.merge([self._count(*arguments, **settings)])

    def merge(self, states: Iterable[Any]) -> None:
        """Add the sums of other processes.

        Args:
            states: arrays or tensors of the shape of ``counts``; None, from a process that saw
                nothing, adds nothing.

        Raises:
            ValueError: a shape differs.
        """
        for state in states:
            if state is None:
                continue
            counts = np.array(as_array(state))
            if self.counts is not None and counts.shape != self.counts.shape:
                raise ValueError(
                    f"counts have shape {counts.shape}, expected {self.counts.shape}; "
                    "count with the same settings in every process"
                )
            self.counts = counts if self.counts is None else self.counts + counts

    def over_processes(self) -> "CountSum":
        """Sum over all processes of the torch.distributed group; each of them has to call this.

        Returns:
            A new sum; this one goes on counting for itself.
        """
        total = CountSum(self._count)
        total.merge(all_gather_object(self.counts))
        return total
