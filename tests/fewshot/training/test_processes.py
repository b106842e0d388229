"""Two processes do what one does."""

import os
import time

import pytest
import torch

from episodes.errors import FewshotError
from fewshot.training.loop import train
from fewshot.training.resume import read_state
from fewshot.training.run import Callback
from tests.fewshot.training.tiny import assert_equal, settings, tiny_task
from tests.processes import PROCESSES


class Pause(Callback):
    """The first process writes its number and waits for its end."""

    def __init__(self, folder):
        self.folder = folder

    def on_step_end(self, run, values):
        if run.step == 5:
            (self.folder / "paused").write_text(str(os.getpid()))
            time.sleep(600)


class StopAt(Callback):
    def on_step_end(self, run, values):
        if run.step == 4:
            run.stop("enough")


class NoStop(Callback):
    """Goes by the name of `StopAt`, as a resumed run has to have the callbacks it had."""


NoStop.__name__ = "StopAt"


def _rank(rank, world, port, folder, kind, resume=False):
    os.environ.update(
        RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(world), MASTER_ADDR="127.0.0.1"
    )
    os.environ.update(MASTER_PORT=str(port), OMP_NUM_THREADS="1", ACCELERATE_USE_CPU="true")
    torch.set_num_threads(1)
    callbacks = {"pause": [Pause(folder)], "stop": [StopAt()]}.get(kind, [])
    chosen = settings(steps=50, batch=8, accumulate=2, checkpoint_steps=1)
    task = tiny_task(dropout=0.0)
    result = train(task, chosen, folder, callbacks, resume=resume, progress=False)
    (folder / f"steps_{rank}").write_text(str(result.steps))


def start(world, folder, kind, port, resume=False):
    folder.mkdir(exist_ok=True)
    ranks = [
        PROCESSES.Process(target=_rank, args=(rank, world, port, folder, kind, resume))
        for rank in range(world)
    ]
    for process in ranks:
        process.start()
    return ranks


@pytest.fixture
def port():
    import socket

    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


def test_same_weights_and_all_stop_with_one(tmp_path, port):
    train(tiny_task(dropout=0.0), settings(steps=50, batch=8), tmp_path / "one", progress=False)
    both = start(2, tmp_path / "two", "", port)
    for process in both:
        process.join(timeout=120)
        assert process.exitcode == 0
    one, two = (read_state(tmp_path / name) for name in ("one", "two"))
    assert two["step"] == 50
    assert_equal(one["objective"], two["objective"], atol=1e-6)
    assert one["losses"] == pytest.approx(two["losses"], abs=1e-6)


def test_one_that_stops_stops_all_and_one_process_goes_on_for_two(tmp_path, port):
    both = start(2, tmp_path / "run", "stop", port)
    for process in both:
        process.join(timeout=120)
        assert process.exitcode == 0
    assert [(tmp_path / "run" / f"steps_{rank}").read_text() for rank in range(2)] == ["4", "4"]
    whole, rest = (settings(steps=50, batch=8, accumulate=2) for _ in range(2))
    train(tiny_task(dropout=0.0), whole, tmp_path / "one", [NoStop()], progress=False)
    task = tiny_task(dropout=0.0)
    train(task, rest, tmp_path / "run", [NoStop()], resume=True, progress=False)
    one, run = (read_state(tmp_path / name) for name in ("one", "run"))
    assert run["step"] == 50
    assert_equal(one["objective"], run["objective"], atol=1e-6)


def test_a_lost_process_is_an_error_and_leaves_a_state(tmp_path, port):
    first, second = start(2, tmp_path / "run", "pause", port)
    deadline = time.monotonic() + 120
    while not (tmp_path / "run" / "paused").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    first.kill()
    second.join(timeout=60)
    assert second.exitcode not in (0, None)
    assert read_state(tmp_path / "run")["step"] >= 3


def test_a_batch_that_cannot_be_shared_is_refused(tmp_path):
    with pytest.raises(FewshotError, match=r"batch of 6 .* multiple of 4"):
        train(tiny_task(), settings(accumulate=4), tmp_path, progress=False)
