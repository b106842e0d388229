"""A run that was stopped, or killed, goes on as if nothing had happened."""

import dataclasses
import multiprocessing
import os
import pickle
import shutil
import signal
import time

import numpy as np
import pytest
import torch
import torch._dynamo  # optimisers import it; each forked process would do so anew
from safetensors.torch import load_file

from episodes.errors import DataError, ModelError
from fewshot.training.callbacks.figures import Figures
from fewshot.training.callbacks.log import read_log
from fewshot.training.callbacks.tensorboard import TensorBoard
from fewshot.training.callbacks.validation import KeepBest, Validation
from fewshot.training.callbacks.weight_average import WeightAverage
from fewshot.training.loop import train
from fewshot.training.resume import STATE, read_state
from fewshot.training.run import Callback
from tests.fewshot.training.tiny import assert_equal, settings, tiny_task, weights


class StopAt(Callback):
    def __init__(self, step):
        self.at = step

    def on_step_end(self, run, values):
        if run.step == self.at:
            run.stop("test")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An uninterrupted run: its weights, its average, its log."""
    folder = tmp_path_factory.mktemp("whole")
    torch.manual_seed(5)
    task, average = tiny_task(), WeightAverage(0.9)
    train(task, settings(), folder, [StopAt(-1), average], progress=False)
    return weights(task), dict(average.average), read_log(folder / "log.jsonl")


@pytest.mark.parametrize("step", [1, 2, 7, 15, 28, 29])
@pytest.mark.parametrize("workers", [0, 1])
def test_resume_is_exact(whole, tmp_path, step, workers):
    if workers and step != 7:
        return  # processes cost seconds; one point shows that they change nothing
    torch.manual_seed(5)
    chosen = settings(workers=workers)
    train(tiny_task(), chosen, tmp_path, [StopAt(step), WeightAverage(0.9)], progress=False)
    assert read_state(tmp_path)["step"] == step
    torch.manual_seed(99)  # another process has another random state
    task, average = tiny_task(seed=1), WeightAverage(0.9)
    result = train(task, chosen, tmp_path, [StopAt(-1), average], resume=True, progress=False)
    assert result.steps == 30
    assert_equal(weights(task), whole[0])
    assert_equal(average.average, whole[1])
    without = [{**row, "seconds": 0} for row in read_log(tmp_path / "log.jsonl")]
    assert without == [{**row, "seconds": 0} for row in whole[2]]


def _train(folder, resume, last=-1, every=1):
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    torch.manual_seed(5)
    chosen = settings(steps=20_000, checkpoint_steps=every)
    callbacks = [WeightAverage(0.9), StopAt(last)]
    train(tiny_task(), chosen, folder, callbacks, resume=resume, progress=False)


def test_killed_10_times_and_never_corrupt(tmp_path):
    """SIGKILL of a run that saves at every step: half of the times as it starts."""
    context = multiprocessing.get_context("fork")
    steps, state = [], tmp_path / "killed" / STATE
    for number, seconds in enumerate(np.linspace(0.05, 0.25, 10)):
        before = number and state.stat().st_mtime_ns
        child = context.Process(target=_train, args=(tmp_path / "killed", number > 0))
        child.start()
        while number % 2 == 0 and (not state.exists() or state.stat().st_mtime_ns == before):
            assert child.is_alive()
            time.sleep(0.01)
        time.sleep(seconds)
        child.kill()
        child.join()
        steps.append(read_state(tmp_path / "killed")["step"])
    assert steps == sorted(steps)
    assert 0 < steps[0] < steps[-1]
    last = steps[-1] + 10
    for arguments in (("killed", True, last), ("whole", False, last, 0)):
        child = context.Process(target=_train, args=(tmp_path / arguments[0], *arguments[1:]))
        child.start()
        child.join()
        assert child.exitcode == 0
    killed, whole = (read_state(tmp_path / folder) for folder in ("killed", "whole"))
    assert killed["step"] == whole["step"] == last
    assert_equal(killed["objective"], whole["objective"])
    rows = [[r["loss"] for r in read_log(tmp_path / f / "log.jsonl")] for f in ("killed", "whole")]
    assert rows[0] == rows[1]
    assert not list((tmp_path / "killed").rglob(".partial-*"))


@pytest.mark.parametrize("resume", [False, True])
def test_two_never_train_into_one_folder(tmp_path, resume):
    """The first goes on as if nothing had been; the second leaves nothing."""

    class Second(Callback):
        def on_step_end(self, run, values):
            if run.step == 3:
                run.checkpoint()
            if run.step == 5:
                with pytest.raises(DataError, match="another process is training into"):
                    train(tiny_task(), settings(), tmp_path, resume=resume, progress=False)

    task = tiny_task()
    train(task, settings(), tmp_path, [Second()], progress=False)
    kept = load_file(tmp_path / "model.safetensors")
    assert_equal(kept, weights(task))
    assert [row["step"] for row in read_log(tmp_path / "log.jsonl")] == list(range(1, 31))
    train(tiny_task(), settings(), tmp_path, overwrite=True, progress=False)  # it is free again


def test_sigterm_ends_after_the_step_and_leaves_a_state(tmp_path):
    class Preempted(Callback):
        def on_step_end(self, run, values):
            if run.step == 3:
                os.kill(os.getpid(), signal.SIGTERM)

    result = train(tiny_task(), settings(), tmp_path, [Preempted()], progress=False)
    assert (result.steps, result.interrupted) == (3, True)
    assert not read_state(tmp_path)["finished"]
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


class Payload:
    def __reduce__(self):
        return os.mkdir, ("executed",)


def test_a_state_of_a_stranger_is_refused_and_never_executed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train(tiny_task(), settings(steps=2), tmp_path / "run", progress=False)
    path = tmp_path / "run" / STATE
    good = path.read_bytes()
    bad = {
        "pickle": pickle.dumps(Payload()),
        "cut": good[: len(good) // 2],
        "empty": b"",
        "text": b"hello",
        "flipped": good[:200] + bytes(255 - byte for byte in good[200:260]) + good[260:],
    }
    torch.save({"format": 1, "payload": Payload()}, tmp_path / "torch.pt")
    bad["torch"] = (tmp_path / "torch.pt").read_bytes()
    torch.save([1, 2], tmp_path / "list.pt")
    bad["list"] = (tmp_path / "list.pt").read_bytes()
    for name, content in bad.items():
        path.write_bytes(content)
        with pytest.raises(ModelError, match=STATE):
            train(tiny_task(), settings(), tmp_path / "run", resume=True, progress=False)
        assert not (tmp_path / "executed").exists(), name
        assert path.read_bytes() == content  # nothing is lost


def test_another_run_is_not_resumed(tmp_path):
    train(tiny_task(), settings(steps=2), tmp_path / "run", progress=False)

    def resume(chosen, callbacks=(), folder="run"):
        train(tiny_task(), chosen, tmp_path / folder, callbacks, resume=True, progress=False)

    with pytest.raises(ModelError, match=r"batch 6, and now it is 12"):
        resume(settings(batch=12))
    state = read_state(tmp_path / "run")
    del state["settings"]["clip"]  # a setting that came later had its default
    torch.save(state, tmp_path / "run" / STATE)
    with pytest.raises(ModelError, match=r"clip 1.0, and now it is 2"):
        resume(settings(clip=2.0))
    with pytest.raises(ModelError, match="callbacks were"):
        resume(settings(), [WeightAverage()])
    with pytest.raises(ModelError, match="no run to resume"):
        resume(settings(), folder="empty")
    other = dataclasses.replace(tiny_task(), objective=torch.nn.Linear(2, 2))
    with pytest.raises(ModelError, match="does not fit"):
        train(other, settings(), tmp_path / "run", resume=True, progress=False)
    shutil.rmtree(tmp_path / "run")


def test_states_keep_the_names_that_callbacks_had_in_earlier_versions(tmp_path):
    callbacks = [Validation(lambda: {"dice": 0.5}, 1), KeepBest("dice"), TensorBoard()]
    callbacks.append(Figures(lambda: np.zeros((4, 4, 3), np.uint8), 9))
    train(tiny_task(), settings(steps=1), tmp_path, callbacks, progress=False)
    names = [name for name, _ in read_state(tmp_path)["callbacks"]]
    assert names[-4:] == ["Measure", "KeepBest", "Board", "Pictures"]
