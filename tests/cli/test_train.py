"""`fewshot train`: what it trains on, how it is watched, stopped and resumed, and recipes."""

import json
import os
import signal

import pytest

from episodes.sampling.episode import collate
from fewshot import recipes
from fewshot.cli.main import main
from fewshot.inference.segmenter import Segmenter
from fewshot.models.checkpoint import load_network
from fewshot.registry import HEADS


def test_a_stopped_run_goes_on_and_is_not_replaced(data, tmp_path, monkeypatch, capsys):
    def arguments(*more):
        base = ("train", str(data), "--out", str(tmp_path / "run"), "--novel", "bar")
        return [*base, "--size", "64", "--minutes", "0", "--batch", "2", "--steps", "6", *more]

    def ctrl_c(batch):
        os.kill(os.getpid(), signal.SIGINT)
        return collate(batch)

    with monkeypatch.context() as patch:
        patch.setattr("episodes.sampling.dataloader.collate", ctrl_c)
        assert main(arguments()) == 130
    assert main(arguments()) == 2
    assert "go on with --resume" in capsys.readouterr().err
    assert main(arguments("--resume", "--seed", "3")) == 2
    assert "seed 0, and now it is 3" in capsys.readouterr().err
    assert main(arguments("--resume", "--loss", "dice")) == 2
    assert "loss cross_entropy, and now it is dice" in capsys.readouterr().err
    assert main(arguments("--resume", "--test-subjects", "scene0")) == 2
    assert "has another test_subjects than" in capsys.readouterr().err
    assert main(arguments("--resume")) == 0
    lines = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 4, 5, 6]


def test_superpixels_and_labels_mix_in_any_way_and_shot(data, tmp_path, capsys):
    arguments = ("train", str(data), "--out", str(tmp_path / "run"), "--size", "64")
    more = ("--minutes", "0", "--steps", "2", "--batch", "2", "--way", "2", "--shot", "2")
    assert main([*arguments, *more, "--superpixels", "0.5"]) == 0, capsys.readouterr().err


def test_training_is_watched_on_subjects_kept_aside(data, tmp_path, capsys):
    run = tmp_path / "run"
    arguments = ["train", str(data), "--out", str(run), "--novel", "bar", "--size", "64"]
    budget = ["--minutes", "0", "--steps", "4", "--batch", "2"]
    watched = ["--validate", "2", "--validation-episodes", "4", "--pictures", "2"]
    assert main([*arguments, *budget, *watched, "--average", "0.9"]) == 0, capsys.readouterr().err
    measured = [json.loads(line) for line in (run / "measured.jsonl").read_text().splitlines()]
    assert [row["step"] for row in measured] == [2, 4]
    assert all(0 <= row["validation_dice"] <= 1 for row in measured)
    split = json.loads((run / "split.json").read_text())
    aside = set(split["validation_subjects"])
    assert aside
    assert aside < set(split["train_subjects"])
    assert not aside & set(split["test_subjects"])
    assert (run / "pictures" / "step_000004.png").exists()
    assert main(["evaluate", str(run / "best"), "--episodes", "4"]) == 0, capsys.readouterr().err
    asked = ["--metrics", "dice", "iou", "hd95", "nsd", "boundary_iou", "cldice"]
    capsys.readouterr()
    assert main(["evaluate", str(run / "average"), "--episodes", "4", *asked]) == 0
    said = capsys.readouterr().out
    assert "hd95 (pixels)" in said
    scores = json.loads((run / "average" / "evaluation" / "scores.json").read_text())
    pooled = {row["method"]: row["interval"]["mean"] for row in scores["metrics"]["summary"]
              if row["score"] == "dice"}  # fmt: skip
    assert pooled == {
        "model": pytest.approx(scores["table"][0]["model"]["mean"]),
        "copy-mask": pytest.approx(scores["table"][0]["copy_mask"]["mean"]),
    }
    again = [*arguments, *budget, "--resume"]
    assert main([*again, "--patience", "2"]) == 2
    assert "add --validate STEPS" in capsys.readouterr().err
    assert main([*again, "--superpixels", "0.5", "--synthetic", "0.1"]) == 2
    assert "another sources" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--novel", "bar", "disc", "--validate", "2"), "no base class is left to validate on"),
        (("--novel", "bar", "disc", "--superpixels", "0.5"), "no base class is; raise"),
        (("--validate", "2", "--validation-share", "1.5"), "validation-share is 1.5"),
        (("--superpixels", "0.7", "--synthetic", "0.7"), "sum to more than 1"),
        (("--augment", "none"), "augment is 'none'"),
        (("--loss", "dise"), "there is no loss 'dise'"),
        (("--loss", "dice", "--class-weights", "0.1", "1"), "loss 'dice' has none"),
        (("--loss", "dice", "--head", "reptile"), "reptile moves towards the adapted weights"),
        (("--supervoxels", "1"), "volume"),
        (("--supervoxels", "-1"), "supervoxels is -1"),
    ],
)
def test_sources_and_watching_that_do_not_fit(data, tmp_path, capsys, words, said):
    arguments = ["train", str(data), "--out", str(tmp_path / "run"), "--size", "64"]
    assert main([*arguments, "--minutes", "0", "--steps", "1", *words]) == 2
    assert said in capsys.readouterr().err


def test_generated_episodes_train_too(data, tmp_path, capsys):
    arguments = ["train", str(data), "--out", str(tmp_path / "run"), "--size", "64"]
    more = ("--minutes", "0", "--steps", "2", "--batch", "2", "--superpixels", "0")
    assert main([*arguments, *more, "--synthetic", "0.5"]) == 0, capsys.readouterr().err
    sources = json.loads((tmp_path / "run" / "split.json").read_text())["episodes"]["sources"]
    assert sources["synthetic"] == 0.5


@pytest.mark.parametrize(
    "head", ["panet", "anil", "maml", "fomaml", "meta-sgd", "reptile", "fine-tuning"]
)
def test_every_method_is_trained_and_scored_by_the_same_commands(data, tmp_path, head, capsys):
    run = str(tmp_path / "run")
    arguments = ("train", str(data), "--out", run, "--novel", "bar", "--size", "64")
    more = ("--minutes", "0", "--steps", "1", "--batch", "1", "--head", head)
    assert main([*arguments, *more]) == 0, capsys.readouterr().err
    assert main(["evaluate", run, "--episodes", "1"]) == 0, capsys.readouterr().err
    assert "copy-mask" in capsys.readouterr().out


@pytest.mark.parametrize("recipe", ["superpixels-local", "labels-local"])
@pytest.mark.parametrize("head", [n for n, e in HEADS.parts().items() if e.head.network is None])
def test_every_head_is_trained_with_and_without_labels(data, tmp_path, recipe, head, capsys):
    run = tmp_path / "run"
    arguments = ("train", str(data), "--out", str(run), "--novel", "bar", "--size", "64")
    more = ("--recipe", recipe, "--head", head, "--minutes", "0", "--steps", "1", "--batch", "1")
    assert main([*arguments, *more]) == 0, capsys.readouterr().err
    sources = json.loads((run / "split.json").read_text())["episodes"]["sources"]
    assert sources["superpixels"] == (recipe == "superpixels-local")
    Segmenter(load_network(run))


def test_a_recipe_fills_in_and_options_replace(data, tmp_path, capsys):
    assert main(["recipes"]) == 0
    said = capsys.readouterr().out
    assert all(f"{name}\n" in said for name in recipes.names())
    run = tmp_path / "run"
    arguments = ["train", str(data), "--recipe", "superpixels-panet", "--out", str(run)]
    more = ["--minutes", "0", "--steps", "1", "--batch", "2", "--size", "64"]
    assert main([*arguments, *more]) == 0, capsys.readouterr().err
    assert json.loads((run / "segmenter.json").read_text())["head"]["kind"] == "panet"
    settings = json.loads((run / "settings.json").read_text())["train"]
    assert (settings["batch"], settings["minutes"], settings["learning_rate"]) == (2, 0.0, 0.001)
    assert main(["train", str(data), "--recipe", "superpixel-panet"]) == 2
    assert "did you mean 'superpixels-panet'" in capsys.readouterr().err


@pytest.mark.parametrize("name", recipes.names())
def test_every_recipe_fits_and_says_what_to_expect(name):
    command = recipes.command(name)
    assert command.train.minutes > 0 or command.train.steps > 0
    said = recipes.about(name)
    of_pairs = recipes.command_of(name) == "match train"
    assert f"fewshot {recipes.command_of(name)}" in said or "fewshot benchmark" in said
    for word in ("minutes", "MiB", "[", "docs/results" if of_pairs else "copy-mask"):
        assert word in said
