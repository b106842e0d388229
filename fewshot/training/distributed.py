"""One process or many: what the loop asks of Hugging Face Accelerate.

Started plainly there is one process. Under `torchrun` or `accelerate launch` there are several,
on one machine or many, and each takes its share of every batch.
"""

import contextlib
from collections.abc import Mapping
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import InitProcessGroupKwargs, send_to_device
from torch import Tensor, nn


class Processes:
    """The processes of a run; see `accelerate.Accelerator` for what moves and averages.

    Args:
        device: of the model; decides between processors and accelerators.

    Attributes:
        rank: number of this process.
        world: how many there are.
    """

    def __init__(self, device: torch.device) -> None:
        # Numbers are chosen in `fewshot.models.precision`, not here, so that inference agrees.
        self._engine = Accelerator(
            cpu=device.type == "cpu",
            mixed_precision="no",
            kwargs_handlers=[InitProcessGroupKwargs()],
        )
        self.rank, self.world = self._engine.process_index, self._engine.num_processes
        self.device: torch.device = self._engine.device

    def wrap(self, objective: nn.Module) -> nn.Module:
        """Make gradients the mean over processes; all start from the first one's weights."""
        return self._engine.prepare_model(objective) if self.world > 1 else objective

    def move(self, batch: Any) -> Any:
        """Bring a batch to this process's device."""
        return send_to_device(batch, self.device)

    def part(self, objective: nn.Module, *, last: bool) -> contextlib.AbstractContextManager:
        """Surround a part of a step; gradients cross processes with the last part only."""
        return contextlib.nullcontext() if last else self._engine.no_sync(objective)

    def mean(self, values: Mapping[str, Tensor]) -> dict[str, float]:
        """Average scalars over processes, in one message."""
        stacked = torch.stack([value.detach().float() for value in values.values()])
        if self.world > 1:
            stacked = self._engine.reduce(stacked, "mean")
        return dict(zip(values, stacked.tolist(), strict=True))

    def agree(self, share: float, save: bool, stop: bool) -> tuple[float, bool, bool]:
        """Take the first process's share of the budget; save or stop if any process wants to."""
        if self.world == 1:
            return share, save, stop
        wish = torch.tensor(
            [share if self.rank == 0 else 0.0, save, stop], dtype=torch.float64, device=self.device
        )
        total = self._engine.reduce(wish, "sum").tolist()
        return total[0], total[1] > 0, total[2] > 0

    def everyones(self, value: Any) -> list[Any]:
        """Bring together what all processes hold, in the order of their ranks."""
        if self.world == 1:
            return [value]
        values: list[Any] = [None] * self.world
        torch.distributed.all_gather_object(values, value)
        return values
