"""Distributed training with Hugging Face Accelerate.

Under `torchrun` or `accelerate launch` there are several processes, on one machine or more, and
each takes a part of every batch; otherwise there is one process.
"""

import contextlib
from collections.abc import Mapping
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import InitProcessGroupKwargs, send_to_device
from torch import Tensor, nn


class Processes:
    """The processes of a run; see `accelerate.Accelerator`.

    Args:
        device: of the model: processor or accelerator.

    Attributes:
        rank: number of this process.
        world: number of processes.
    """

    def __init__(self, device: torch.device) -> None:
        # `fewshot.models.precision` sets the number format, for training and inference alike.
        self._engine = Accelerator(
            cpu=device.type == "cpu",
            mixed_precision="no",
            kwargs_handlers=[InitProcessGroupKwargs()],
        )
        self.rank, self.world = self._engine.process_index, self._engine.num_processes
        self.device: torch.device = self._engine.device

    def wrap(self, objective: nn.Module) -> nn.Module:
        """Average gradients over processes, and start all from the first one's weights."""
        return self._engine.prepare_model(objective) if self.world > 1 else objective

    def move(self, batch: Any) -> Any:
        """Move a batch to this process's device."""
        return send_to_device(batch, self.device)

    def micro_batch(self, objective: nn.Module, *, last: bool) -> contextlib.AbstractContextManager:
        """Context of a micro-batch; gradients are synchronised after the last one only."""
        return contextlib.nullcontext() if last else self._engine.no_sync(objective)

    def mean(self, values: Mapping[str, Tensor]) -> dict[str, float]:
        """Average scalars over processes, in one message."""
        stacked = torch.stack([value.detach().float() for value in values.values()])
        if self.world > 1:
            stacked = self._engine.reduce(stacked, "mean")
        return dict(zip(values, stacked.tolist(), strict=True))

    def synchronise(self, progress: float, save: bool, stop: bool) -> tuple[float, bool, bool]:
        """Synchronise processes: progress of the first one; save or stop if any requests it."""
        if self.world == 1:
            return progress, save, stop
        local = torch.tensor(
            [progress if self.rank == 0 else 0.0, save, stop],
            dtype=torch.float64,
            device=self.device,
        )
        total = self._engine.reduce(local, "sum").tolist()
        return total[0], total[1] > 0, total[2] > 0

    def all_gather_object(self, value: Any) -> list[Any]:
        """Gather a value of every process, in the order of their ranks."""
        if self.world == 1:
            return [value]
        values: list[Any] = [None] * self.world
        torch.distributed.all_gather_object(values, value)
        return values
