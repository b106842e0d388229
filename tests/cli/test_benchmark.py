"""`fewshot benchmark`: its numbers, and that nothing is lost or repeated."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pytest
from PIL import Image

from fewshot.cli.main import main
from fewshot.training import loop
from fewshot.training.run import Run
from tests.cli.scans import benchmark_command, read, write_scans

COSTS = ("training_seconds", "inference_ms", "peak_mib")


def numbers(content):
    """All that has to be the same again; times and memory are not."""
    rows = [{k: v for k, v in row.items() if k not in COSTS} for row in content["results"]]
    return rows, content["leakage"], content["headline"], content["settings"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_scans(tmp_path_factory.mktemp("benchmark") / "scans")


@pytest.fixture(scope="module")
def command(data):
    return partial(benchmark_command, data)


@pytest.fixture(scope="module")
def ran(command, tmp_path_factory):
    """A method and the two baselines, two protocols, two of three folds."""
    out = tmp_path_factory.mktemp("ran") / "out"
    assert main(command(out)) == 0
    return out


def test_numbers_are_those_of_the_protocol_command(data, ran, tmp_path):
    result = tmp_path / "r.json"
    (model,) = (ran / "models").glob("superpixels-local_none_fold1_*")
    code = main(
        [
            *("protocol", str(data), "--protocols", "alpnet", "full-thirds", "--folds", "3"),
            *("--fold", "1", "--model", str(model), "--result", str(result)),
        ]
    )
    assert code == 0  # and so the model's own split says that it saw neither scans nor classes
    expected = {(r["protocol"], r["method"]): r for r in json.loads(result.read_text())["results"]}
    found = {(r["protocol"], r["method"]): r for r in read(ran)["results"]}
    for protocol in ("alpnet", "full-thirds"):
        for mine, theirs in (("superpixels-local", "model"), ("copy-mask", "copy-mask")):
            fold = [line for line in found[protocol, mine]["cases"] if line.split(",")[1] == "1"]
            assert fold == expected[protocol, theirs]["cases"]
            assert found[protocol, mine]["settings"][1] == expected[protocol, theirs]["settings"][0]


def test_rows_hold_every_method_with_differences_and_costs(ran):
    rows = {(r["protocol"], r["method"]): r for r in read(ran)["results"]}
    assert len(rows) == 6
    own, copied = rows["alpnet", "superpixels-local"], rows["alpnet", "copy-mask"]
    scans = own["by_subject"]
    assert sorted(scans) == ["1", "2", "3", "4"]
    apart = np.mean([scans[s] - copied["by_subject"][s] for s in scans])
    assert own["minus_copy_mask"]["mean"] == pytest.approx(apart, abs=0.02)
    # Four subjects whose differences have one sign: 2 of 16 patterns.
    assert own["minus_copy_mask"]["p_value"] == 0.125
    assert own["minus_copy_mask"]["p_adjusted"] == 0.125
    assert own["minus_first"] is None
    assert copied["minus_first"]["mean"] == -own["minus_copy_mask"]["mean"]
    assert own["training_steps"] == [3, 3]
    assert own["training_seconds"] > 0
    assert own["inference_ms"] > 0
    assert copied["inference_ms"] is None
    assert copied["training_seconds"] == 0
    ceiling = rows["alpnet", "feature-grid"]
    assert 80 < ceiling["mean"] < 95
    assert ceiling["minus_copy_mask"] is None
    assert own["models"] == rows["full-thirds", "superpixels-local"]["models"]
    assert len(list((ran / "models").iterdir())) == 2  # protocols of one fold share a model


def test_json_csv_markdown_and_picture_agree(ran, capsys):
    rows = read(ran)["results"]
    with (ran / "benchmark.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in (ran / "benchmark.md").read_text().splitlines()
        if line.startswith(("| alpnet | keep | published |", "| full-thirds | keep | published |"))
    ][: len(rows)]
    for row, flat, line in zip(rows, table, lines, strict=True):
        low, high = row["ci95"]
        place = ("protocol", "training_exclusion", "support", "method")
        assert [flat[name] for name in place] == line[:4]
        assert [float(flat[n]) for n in ("mean", "low", "high")] == [row["mean"], low, high]
        assert line[3:5] == [row["method"], f"{row['mean']:.1f} [{low:.1f}, {high:.1f}]"]
        assert [float(flat[f"class {n}"]) for n in row["by_class"]] == [*row["by_class"].values()]
        assert line[6:8] == [f"{value:.1f}" for value in row["by_class"].values()]
        apart = row["minus_copy_mask"]
        assert flat["minus_copy_mask_mean"] == ("" if apart is None else str(apart["mean"]))
        shown = "-" if apart is None else f"{apart['mean']:+.1f} ({apart['p_adjusted']:.3f})"
        assert line[8] == shown
    with Image.open(ran / "benchmark.png") as picture:
        assert min(picture.size) > 300


def test_the_same_command_repeats_nothing(command, ran, monkeypatch, capsys):
    def never(*_, **__):
        raise AssertionError("this was computed before")

    before = read(ran)
    monkeypatch.setattr("fewshot.benchmark.training.fit", never)
    monkeypatch.setattr("fewshot.cli.benchmark.count_protocol", never)
    assert main(command(ran)) == 0
    assert {**read(ran), "date": ""} == {**before, "date": ""}
    fewer = ["--headline", "one=best:alpnet:keep", "--result", str(ran / "part.json")]
    assert main([*command(ran, *fewer), "--folds", "1"]) == 0
    part = json.loads((ran / "part.json").read_text())
    named = ["--part", "small", "--headline", "two=best:alpnet:keep", "--result"]
    assert main([*command(ran, *named, str(ran / "parts.json")), "--folds", "1"]) == 0
    parts = json.loads((ran / "parts.json").read_text())
    assert parts["parts"]["small"]["results"] == part["results"]
    assert [head["name"] for head in parts["headline"]] == ["two"]
    assert (ran / "parts_small.csv").read_text() == (ran / "part.csv").read_text()
    assert (ran / "parts_small.png").exists()
    assert [row["subjects"] for row in part["results"]] == [2] * 6
    (head,) = part["headline"]
    assert head["name"] == "one"
    assert head["baseline"] == part["results"][0]["mean"]
    (row,) = (
        r
        for r in part["results"]
        if head["of"] == f"{r['method']}:alpnet:keep:published" and r["protocol"] == "alpnet"
    )
    assert (head["value"], head["ci95"]) == (row["mean"], row["ci95"])


def test_a_kill_at_any_cell_changes_no_number(command, ran, tmp_path):
    out = tmp_path / "killed"
    wanted = int(np.random.default_rng(int(time.time())).integers(1, 12))
    process = subprocess.Popen(
        [sys.executable, "-m", "fewshot.cli.main", *command(out)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    while process.poll() is None and len(list(out.glob("cells/**/*.json"))) < wanted:
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert not (out / "benchmark.json").exists(), wanted
    assert main(command(out)) == 0
    assert numbers(read(out)) == numbers(read(ran)), wanted


@pytest.mark.parametrize("how", ["kill", "ctrl-c"])
def test_a_half_trained_model_goes_on(command, ran, tmp_path, monkeypatch, capsys, how):
    class Killed(BaseException):
        pass

    step = loop._step

    def stop(run, *rest):
        step(run, *rest)
        if run.step == 2 and "fold1" in run.folder.name:
            if how == "kill":
                raise Killed
            os.kill(os.getpid(), signal.SIGINT)

    out = tmp_path / "half"
    words = command(out, "--protocols", "alpnet", "--folds", "1")
    with monkeypatch.context() as patched:
        patched.setattr(Run, "save_is_due", lambda self: self.step > 0)
        patched.setattr(loop, "_step", stop)
        if how == "kill":
            with pytest.raises(Killed):
                main(words)
        else:
            assert main(words) == 130
            said = capsys.readouterr().err
            assert "cells in" in said
            assert "the same command goes on from there" in said
    (model,) = (out / "models").glob("*fold1*")
    assert (model / "state.pt").exists()
    assert not (model / "done.json").exists()
    assert main(words) == 0
    steps = [json.loads(line)["step"] for line in (model / "log.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 3]
    (own,) = (row for row in read(out)["results"] if row["models"])
    (whole,) = (r for r in read(ran)["results"] if r["models"] and r["protocol"] == "alpnet")
    assert own["cases"] == [line for line in whole["cases"] if line.split(",")[1] == "1"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--steps", "4"], "superpixels-local has training.train.steps 3, and in this command it"),
        (["--size", "96"], "whose feature-grid has size 64, and in this command it is 96"),
        (["--fold-count", "2"], "whose benchmark has fold_count 3, and in this command it is 2"),
        (["--novel", "liver"], 'whose benchmark has novel [], and in this command it is ["liver"]'),
        (["--methods", "untrained-alpnet", "superpixels-local", "--batch", "2"], "train.batch 1"),
    ],
)
def test_other_settings_than_the_folders_are_refused(command, ran, capsys, more, message):
    before = read(ran)
    assert main([*command(ran), *more]) == 2
    assert message in capsys.readouterr().err
    assert read(ran) == before
