"""A pairwise task that trains in milliseconds: a linear embedding of pictures made on the spot."""

from functools import partial
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from episodes.catalog.class_areas import compute_class_areas
from episodes.catalog.loader import Loader
from episodes.readers import read_catalog
from episodes.sampling.pairs import PairSampler, PairSettings
from fewshot.numerics import unit_length
from fewshot.siamese.cross_batch_memory import CrossBatchMemory
from fewshot.siamese.hard_negatives import HardNegatives
from fewshot.siamese.losses.triplet import TripletLoss
from fewshot.siamese.objective import PairObjective
from fewshot.training.episodic import Task

DIM = 6


class Linear(nn.Module):
    """Embeds the pixels inside the mask, or all."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Dropout(dropout), nn.Linear(32 * 32, DIM))

    def forward(self, images, masks=None):
        shown = images[:, 0] if masks is None else images[:, 0] * (masks == 1)
        return unit_length(self.layers(shown.flatten(1)))

    def embed(self, images, masks=None):
        training = self.training
        self.eval()
        with torch.no_grad():
            found = self(images, masks)
        self.train(training)
        return found


def tiny_sampler(folder: Path) -> PairSampler:
    catalog = compute_class_areas(read_catalog(folder))
    return PairSampler(catalog, PairSettings(3, 4, regions=True), loader=Loader(32))


def save(objective, folder: Path) -> None:
    save_file(objective.state_dict(), folder / "model.safetensors")


def tiny_task(folder: Path, seed: int = 0, dropout: float = 0.0) -> Task:
    """Train with a memory and with hard negatives."""
    torch.manual_seed(seed)
    sampler = tiny_sampler(folder)
    objective = PairObjective(
        Linear(dropout),
        TripletLoss("all", 1.0),
        sampler.size,
        CrossBatchMemory(30, DIM, patience=2),
        HardNegatives(len(sampler.all_items()), DIM, per_anchor=2),
    )
    return Task(objective, sampler.load, partial(save, objective))
