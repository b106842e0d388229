import warnings

import pytest
import torch
from torch import nn

from fewshot.numerics import unit_length
from fewshot.siamese.collapse_monitor import CollapseMonitor, CollapseWarning
from fewshot.siamese.effective_rank import effective_rank
from fewshot.siamese.losses.triplet import TripletLoss
from fewshot.training.callbacks.log import read_log
from fewshot.training.episodic import Task
from fewshot.training.loop import train
from fewshot.training.run import Callback, Run
from tests.fewshot.training.tiny import settings

MARGIN = 0.2


class Noise(nn.Module):
    """Labels say nothing about the items, so hard triplets pull everything to one point."""

    def __init__(self, fallback="all"):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 8))
        self.loss = TripletLoss("batch-hard", MARGIN, fallback)

    def forward(self, batch):
        embeddings = unit_length(self.layers(batch))
        values = self.loss(embeddings, torch.arange(len(batch)) // 4)
        return {**values, "effective_rank": effective_rank(embeddings)}


def load(items):
    rows = [torch.randn(8, generator=torch.Generator().manual_seed(i)) for i in items]
    return torch.stack(rows)


def collapsing():
    objective = Noise()
    return Task(objective, load, lambda folder: None)


class Spread(Callback):
    """Remembers what each step showed."""

    def __init__(self):
        self.ranks, self.minings = [], []

    def on_step_end(self, run, values):
        self.ranks.append(values["effective_rank"])
        self.minings.append(run.task.objective.loss.mining)


def test_a_batch_that_really_collapses_is_told_and_the_mining_changes_once(tmp_path):
    task, seen = collapsing(), Spread()
    monitor = CollapseMonitor(task.objective.loss, near=0.05, patience=5)
    chosen = settings(steps=150, batch=16, learning_rate=0.03)
    with pytest.warns(CollapseWarning, match=r"the mining is all from now on") as told:
        train(task, chosen, tmp_path, [monitor, seen], progress=False)
    assert len(told) == 1
    rows = read_log(tmp_path / "measured.jsonl")
    assert len(rows) == 1
    step = rows[0]["step"]
    log = read_log(tmp_path / "log.jsonl")
    assert seen.ranks[0] > 4
    before = log[step - 5 : step]  # all of these showed it
    assert all(r["effective_rank"] < 1.5 or abs(r["loss"] - MARGIN) < 0.05 * MARGIN for r in before)
    assert set(seen.minings[: step - 1]) == {"batch-hard"}
    assert set(seen.minings[step:]) == {"all"}


def test_a_resumed_run_keeps_the_mining_and_does_not_warn_again(tmp_path):
    task = collapsing()
    chosen = settings(steps=150, batch=16, learning_rate=0.03)
    with pytest.warns(CollapseWarning):
        train(task, chosen, tmp_path, [CollapseMonitor(task.objective.loss)], progress=False)
    again = collapsing()
    more = settings(steps=170, batch=16, learning_rate=0.03)
    monitor = CollapseMonitor(again.objective.loss)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(again, more, tmp_path, [monitor], resume=True, progress=False)
    assert again.objective.loss.mining == "all"
    assert monitor.warned


class Step(Run):
    """As much of a run as the monitor needs."""

    def __init__(self):
        self.step, self.reported = 3, []

    def report_scores(self, values):
        self.reported.append(values)


def test_patience_and_health():
    healthy = {"loss": 0.1, "active": 0.4, "effective_rank": 6.0}
    flat = {"loss": 0.1, "active": 0.4, "effective_rank": 1.2}
    at_margin = {"loss": 0.201, "active": 1.0, "effective_rank": 6.0}
    for bad in (flat, at_margin):
        monitor, run = CollapseMonitor(TripletLoss("all", MARGIN), patience=2), Step()
        for values in (bad, healthy, bad, healthy):
            monitor.on_step_end(run, values)
        assert run.reported == []
        monitor.on_step_end(run, bad)
        with pytest.warns(CollapseWarning):
            monitor.on_step_end(run, bad)
        monitor.on_step_end(run, bad)  # told once
        assert len(run.reported) == 1
    only_warns = CollapseMonitor(patience=1)
    with pytest.warns(CollapseWarning, match="smaller learning rate"):
        only_warns.on_step_end(Step(), flat)
    with pytest.raises(KeyError, match="no effective_rank"):
        only_warns.on_step_end(Step(), {"loss": 1.0})
    with pytest.raises(ValueError, match="patience 0"):
        CollapseMonitor(patience=0)
