"""A task that trains in a millisecond a step, and needs the random state: it has dropout."""

from functools import partial
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from episodes.io.write import atomic_write
from fewshot.training.episodic import Task
from fewshot.training.settings import TrainSettings


class Regression(nn.Module):
    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(4, 16), nn.Tanh(), nn.Dropout(dropout), nn.Linear(16, 1)
        )

    def forward(self, batch):
        inputs, targets = batch
        return {"loss": (self.layers(inputs) - targets).square().mean()}


def load(indices):
    rows = [torch.randn(4, generator=torch.Generator().manual_seed(i)) for i in indices]
    inputs = torch.stack(rows)
    return inputs, inputs.prod(dim=1, keepdim=True).sin()


def save(objective, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    with atomic_write(folder / "model.safetensors") as partial_file:
        save_file(objective.state_dict(), partial_file)


def tiny_task(dropout: float = 0.5, seed: int = 0) -> Task:
    torch.manual_seed(seed)
    objective = Regression(dropout)
    return Task(objective, load, partial(save, objective))


def settings(**changes) -> TrainSettings:
    return TrainSettings(
        **{"minutes": 0.0, "steps": 30, "batch": 6, "learning_rate": 0.01, **changes}
    )


def weights(task: Task) -> dict[str, torch.Tensor]:
    return {name: t.clone() for name, t in task.objective.state_dict().items()}


def assert_equal(one, other, **tolerance) -> None:
    assert one.keys() == other.keys()
    for name in one:
        torch.testing.assert_close(one[name], other[name], **{"rtol": 0, "atol": 0, **tolerance})
