import csv
import json
import math

import numpy as np
import pytest

from episodes.errors import DataError
from episodes.io.read import read_header
from fewshot.training.callbacks.figures import Figures
from fewshot.training.callbacks.log import read_log
from fewshot.training.callbacks.tensorboard import TensorBoard
from fewshot.training.callbacks.validation import EarlyStopping, KeepBest, Validation
from fewshot.training.callbacks.weight_average import WeightAverage
from fewshot.training.loop import train
from fewshot.training.run import Callback
from tests.fewshot.training.tiny import assert_equal, settings, tiny_task, weights


class Series(Callback):
    """Pretends to measure: one value a step."""

    def __init__(self, values):
        self.values = values

    def on_step_end(self, run, values):
        run.report_scores({"dice": self.values[run.step - 1]})


def steps_until_stop(tmp_path, values, **arguments):
    chosen = settings(steps=len(values))
    callbacks = [Series(values), EarlyStopping("dice", **arguments)]
    return train(tiny_task(), chosen, tmp_path, callbacks, overwrite=True, progress=False)


def test_early_stopping_waits_for_a_real_gain(tmp_path):
    scores = [0.5, 0.6, 0.605, 0.6, 0.7, 0.7, 0.6, 0.9]
    result = steps_until_stop(tmp_path, scores, patience=2, min_change=0.01)
    assert result.steps == 4
    assert "dice did not improve on 0.6" in result.reason
    assert steps_until_stop(tmp_path, scores, patience=2).steps == 7
    assert steps_until_stop(tmp_path, scores, patience=3).steps == 8
    losses = [3.0, 2.0, 1.0, 1.5, 1.2, 0.5]
    assert steps_until_stop(tmp_path, losses, patience=2, best="lowest").steps == 5
    assert steps_until_stop(tmp_path, [math.nan] * 5, patience=3).steps == 3
    with pytest.raises(KeyError, match=r"no score 'iou'.*dice"):
        train(
            tiny_task(),
            settings(),
            tmp_path,
            [Series(scores), EarlyStopping("iou")],
            overwrite=True,
        )


def test_the_bar_shows_loss_and_the_score_so_far(tmp_path, capsys):
    train(tiny_task(), settings(steps=3), tmp_path, [Series([0.25, 0.5, 0.75])])
    shown = capsys.readouterr().err
    assert "3 steps" in shown
    assert "dice=0.750" in shown
    assert "loss=" in shown


def test_the_best_model_is_kept(tmp_path):
    from safetensors.torch import load_file

    seen = {}

    class Remember(Callback):
        def on_step_end(self, run, values):
            seen[run.step] = weights(run.task)

    task = tiny_task()
    scores = [0.1, 0.5, math.nan, 0.4, 0.5]
    callbacks = [Remember(), Series(scores), KeepBest("dice")]
    train(task, settings(steps=5), tmp_path, callbacks, progress=False)
    assert_equal(load_file(tmp_path / "best" / "model.safetensors"), seen[2])
    assert_equal(load_file(tmp_path / "model.safetensors"), weights(task))


def test_measured_in_time_and_at_the_end(tmp_path):
    task = tiny_task()
    callbacks = [Validation(lambda: {"bias": task.objective.layers[3].bias.item()}, every=4)]
    train(task, settings(steps=10), tmp_path, callbacks, progress=False)
    rows = read_log(tmp_path / "measured.jsonl")
    assert [row["step"] for row in rows] == [4, 8, 10]
    assert rows[-1]["bias"] == task.objective.layers[3].bias.item()


def test_the_run_explains_itself(tmp_path):
    train(tiny_task(), settings(), tmp_path, [Series([0.5] * 30), TensorBoard()], progress=False)
    names = {path.name for path in tmp_path.iterdir()}
    assert {"settings.json", "log.jsonl", "log.csv", "curves.png", "measured.jsonl"} <= names
    assert json.loads((tmp_path / "settings.json").read_text())["train"]["batch"] == 6
    with (tmp_path / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    log = read_log(tmp_path / "log.jsonl")
    assert [float(row["loss"]) for row in rows] == [row["loss"] for row in log]
    assert min(read_header(tmp_path / "curves.png").size) > 200
    assert list((tmp_path / "tensorboard").iterdir())


def test_weight_average_by_hand(tmp_path):
    seen = []

    class Remember(Callback):
        def on_step_end(self, run, values):
            seen.append(weights(run.task)["layers.3.bias"])

    task, average = tiny_task(), WeightAverage(0.5)
    expected = weights(task)["layers.3.bias"]
    train(task, settings(steps=4), tmp_path, [average, Remember()], progress=False)
    for step, value in enumerate(seen, start=1):
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value
    assert average.average["layers.3.bias"].item() == pytest.approx(expected.item(), rel=1e-6)
    from safetensors.torch import load_file

    saved = load_file(tmp_path / "average" / "model.safetensors")
    assert_equal({n: saved[n] for n in average.average}, average.average)
    assert_equal(weights(task), load_file(tmp_path / "model.safetensors"))


def test_pictures_on_the_way(tmp_path):
    draw = Figures(lambda: np.zeros((8, 9, 3), np.uint8), every=10)
    train(tiny_task(), settings(), tmp_path, [draw], progress=False)
    names = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    assert names == ["step_000010.png", "step_000020.png", "step_000030.png"]


def test_a_callback_may_stop_and_save(tmp_path):
    class Impatient(Callback):
        def on_step_end(self, run, values):
            if values["loss"] < 10:
                run.checkpoint()
                run.stop("good enough")

    result = train(tiny_task(), settings(), tmp_path, [Impatient()], progress=False)
    assert (result.steps, result.reason, result.interrupted) == (1, "good enough", False)


def test_wrong_settings_and_a_damaged_log():
    for make in (
        lambda: Validation(dict, every=0),
        lambda: EarlyStopping("dice", patience=0),
        lambda: WeightAverage(1.0),
        lambda: Figures(lambda: np.zeros(1), every=0),
    ):
        with pytest.raises(ValueError, match="expected"):
            make()


def test_a_damaged_log_is_named_and_a_cut_line_is_left_out(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text('{"step": 1}\n{"step": 2')
    assert read_log(path) == [{"step": 1}]
    path.write_text('{"step": 1}\n{"st\n{"step": 3}\n')
    with pytest.raises(DataError, match=r"log\.jsonl"):
        read_log(path)
