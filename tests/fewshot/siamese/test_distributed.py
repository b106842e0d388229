"""Two processes have the gradients, the weights and the memory of one."""

import os
import socket

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from fewshot.siamese.distributed import Embedded, gather_batch
from fewshot.siamese.hard_negatives import RefreshNegatives
from fewshot.siamese.losses.triplet import TripletLoss
from fewshot.training.loop import train
from fewshot.training.resume import read_state
from tests.fewshot.siamese.test_objective import settings
from tests.fewshot.siamese.tiny import tiny_sampler, tiny_task
from tests.fewshot.training.tiny import assert_equal
from tests.processes import PROCESSES

SHARES = ([0, 2, 4], [1, 3])
"""An uneven batch of five: the items of both processes."""


def uneven():
    points = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([2**24, 2**24 + 1, 2**24, 2**24 + 1, 2**24 + 1])
    torch.manual_seed(1)
    return points, labels, nn.Linear(4, 3)


def loss_of(network, points, labels, places):
    local = Embedded(network(points), labels, labels, places)
    whole = gather_batch(local, places)
    assert whole.samples.tolist() == list(range(5))
    return TripletLoss("all", 1.0)(whole.embeddings, whole.labels)["loss"]


def train_with_negatives(task, folder, data):
    """Only the first process has callbacks; what it embeds has to reach the other."""
    objective = task.objective
    refresh = RefreshNegatives(objective.negatives, objective.network, tiny_sampler(data), 2)
    train(task, settings(steps=6), folder, [refresh], progress=False)


def _rank(rank, port, folder, data):
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE="2", MASTER_ADDR="127.0.0.1")
    os.environ.update(MASTER_PORT=str(port), OMP_NUM_THREADS="1", ACCELERATE_USE_CPU="true")
    torch.set_num_threads(1)
    task = tiny_task(data)
    train_with_negatives(task, folder, data)
    memory = task.objective.memory.state_dict()
    points, labels, linear = uneven()
    places = torch.tensor(SHARES[rank])
    averaging = DistributedDataParallel(linear)  # as long as it lives
    loss = loss_of(averaging, points[places], labels[places], places)
    loss.backward()
    found = {"memory": memory, "loss": loss.detach(), "gradient": linear.weight.grad}
    torch.save(found, folder / f"found_{rank}.pt")


def test_two_processes_do_what_one_does(index_set, tmp_path):
    (tmp_path / "two").mkdir()
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
    arguments = (port, tmp_path / "two", index_set)
    ranks = [PROCESSES.Process(target=_rank, args=(rank, *arguments)) for rank in range(2)]
    for process in ranks:
        process.start()
    alone = tiny_task(index_set)
    train_with_negatives(alone, tmp_path / "one", index_set)
    for process in ranks:
        process.join(timeout=600)
        assert process.exitcode == 0
    one, two = (read_state(tmp_path / name) for name in ("one", "two"))
    assert_equal(one["objective"], two["objective"], atol=1e-6)
    torch.testing.assert_close(one["losses"], two["losses"], rtol=0, atol=1e-6)
    points, labels, linear = uneven()
    loss = loss_of(linear, points, labels, torch.arange(5))
    loss.backward()
    for rank in range(2):
        found = torch.load(tmp_path / "two" / f"found_{rank}.pt", weights_only=True)
        # A wrapper that sums what it should average is wrong by a factor near two here.
        torch.testing.assert_close(found["gradient"], linear.weight.grad)
        torch.testing.assert_close(found["loss"], loss.detach())
        assert_equal(found["memory"], alone.objective.memory.state_dict(), atol=1e-6)
