"""Training again, and every score with the model that it was measured on."""

import json
import shutil
from dataclasses import replace

import pytest
import torch

from episodes.errors import DataError, ModelError
from fewshot.cli.main import main
from fewshot.experiments.model_card import model_card
from fewshot.inference.segmenter import Segmenter
from fewshot.models.checkpoint import load_network, save_network
from fewshot.provenance import identify, unchanged, why_not_of
from fewshot.training import folder as run_folder
from tests.cli.conftest import write_pair

STALE = "measured on another model (fingerprint"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A data set, and a run on it with best/, average/, pictures/ and evaluations."""
    root = tmp_path_factory.mktemp("made")
    for seed in range(6):
        write_pair(root / "data", f"scene{seed}", seed)
    (root / "data" / "classes.yaml").write_text("1: disc\n2: bar\n")
    run = root / "run"
    assert main(_training(root / "data", run, "--validate", "1", "--average", "0.9")) == 0
    assert main(["evaluate", str(run), "--episodes", "2"]) == 0
    assert main(["evaluate", str(run / "best"), "--episodes", "2"]) == 0
    return root


@pytest.fixture
def run(made, tmp_path):
    """A copy of that run."""
    shutil.copytree(made / "run", tmp_path / "run")
    return tmp_path / "run"


def _training(data, out, *more):
    steps = ("--minutes", "0", "--steps", "1", "--batch", "1", "--validation-episodes", "1")
    return ["train", str(data), "--out", str(out), "--novel", "bar", "--size", "64", *steps, *more]


def everything(root):
    return {p: p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def change(folder):
    """Other weights, as a resumed training leaves them."""
    segmenter = Segmenter(load_network(folder))
    with torch.no_grad():
        next(segmenter.network.parameters()).mul_(1.5)
    save_network(segmenter.network, folder)


def listed(capsys, *folders):
    capsys.readouterr()
    assert main(["runs", *map(str, folders)]) == 0
    return capsys.readouterr().out


def test_a_finished_run_is_replaced_with_overwrite_alone_and_whole(made, run, capsys):
    own = run / "best" / "notes.txt"
    own.write_text("mine")
    before = everything(run)
    assert main(_training(made / "data", run)) == 2
    assert "replace it, its scores included, with --overwrite" in capsys.readouterr().err
    assert everything(run) == before
    assert main(_training(made / "data", run, "--overwrite", "--seed", "3")) == 0
    left = {path.relative_to(run).as_posix() for path in everything(run)}
    assert left == {
        *("best/notes.txt", "split.json", "settings.json", "segmenter.json", "model.safetensors"),
        *("state.pt", "log.jsonl", "measured.jsonl", "log.csv", "curves.png", ".lock"),
    }
    assert "Dice" not in listed(capsys, run)
    assert main(_training(made / "data", run, "--overwrite", "--resume")) == 2
    assert "give one of them" in capsys.readouterr().err


@pytest.mark.parametrize("part", ["", "best", "average"])
def test_the_model_to_start_from_is_never_replaced(made, run, part, capsys):
    before = everything(run)
    asked = _training(made / "data", run, "--model", str(run / part), "--overwrite")
    assert main(asked) == 2
    assert "holds the model to start from" in capsys.readouterr().err
    link = run.with_name("link")
    link.symlink_to(run)
    assert main(_training(made / "data", link, "--model", str(run / part), "--overwrite")) == 2
    assert everything(run) == before


@pytest.mark.parametrize("part", ["best", "average", "evaluation", "best/evaluation", "pictures"])
def test_parts_of_a_run_are_no_place_for_another(made, run, part, capsys):
    before = everything(run)
    assert main(_training(made / "data", run / part, "--overwrite")) == 2
    assert "is a part of the run in" in capsys.readouterr().err
    assert everything(run) == before


@pytest.mark.parametrize(
    "name", ["split.json", "settings.json", "curves.png", "best/model.safetensors"]
)
def test_files_of_others_are_not_replaced_even_with_overwrite(made, tmp_path, name, capsys):
    out = tmp_path / "out"
    (out / name).parent.mkdir(parents=True)
    (out / name).write_text('{"mine": 1}')
    assert main(_training(made / "data", out, "--overwrite")) == 2
    assert "no training run left there" in capsys.readouterr().err
    assert (out / name).read_text() == '{"mine": 1}'
    assert main(_training(made / "data", made / "data", "--overwrite")) == 2
    assert "is the folder of the data" in capsys.readouterr().err


def test_a_kill_while_a_run_is_replaced_leaves_no_score_beside_another_model(run, monkeypatch):
    """Killed after each removal: as long as any model is there, its scores are gone before it."""
    paths = run_folder._found(run)
    for count in range(len(paths)):
        left = {path.relative_to(run).as_posix() for path in paths[count:]}
        scores = {name for name in left if name.endswith("scores.json")}
        for score in scores:
            assert score.replace("evaluation/scores.json", "model.safetensors") in left
        assert "split.json" in left  # by which it is known, and can be replaced, until the end


def test_what_a_kill_before_the_first_checkpoint_left_needs_no_flag(made, tmp_path):
    out = tmp_path / "run"
    out.mkdir()
    for name in ("split.json", "settings.json", "log.jsonl"):
        shutil.copy(made / "run" / name, out / name)
    run_folder.make_room(out)
    assert not list(out.iterdir())
    (out / "settings.json").write_text("{")
    with pytest.raises(DataError, match="no training run left there"):
        run_folder.make_room(out, overwrite=True)


def test_a_score_of_another_model_is_never_shown_as_the_score(run, capsys):
    assert "Dice model" in listed(capsys, run)
    score = json.loads((run / "evaluation/scores.json").read_text())
    cell = f"{100 * score['table'][-1]['model']['mean']:.1f}"
    assert cell in model_card(run, "m")
    change(run)
    told = listed(capsys, run)
    assert f"{STALE} {score['measured_on']['fingerprint']}, now {identify(run).fingerprint}" in told
    assert "Dice model" not in told.splitlines()[0]
    with pytest.warns(UserWarning, match="the card shows no score"):
        card = model_card(run, "m")
    assert cell not in card
    assert "Not evaluated as it is" in card
    assert identify(run).fingerprint in card
    with pytest.raises(ModelError, match="replaced while it was read"), unchanged(run):
        change(run)


def test_what_changes_a_score_and_what_does_not(run):
    scores = json.loads((run / "evaluation/scores.json").read_text())
    assert why_not_of(scores, run) == ""
    assert "not recorded" in why_not_of({**scores, "measured_on": None}, run)
    segmenter = Segmenter(load_network(run))
    for temperature, bias, moved in ((2.0, 0.0, False), (1.0, 0.5, True)):
        segmenter.network.calibration = replace(
            segmenter.network.calibration, temperature=temperature, bias=bias
        )
        save_network(segmenter.network, run)
        assert bool(why_not_of(scores, run)) == moved
    (run / "calibration.json").unlink()
    settings = json.loads((run / "segmenter.json").read_text())
    settings["encoder"]["weights"] = "elsewhere"
    (run / "segmenter.json").write_text(json.dumps(settings))
    assert why_not_of(scores, run) == ""
    (run / "segmenter.json").write_text(json.dumps({**settings, "size": 128}))
    assert "other settings" in why_not_of(scores, run)
    (run / "model.safetensors").unlink()
    assert "is gone" in why_not_of(scores, run)


def test_an_evaluation_is_written_where_it_belongs(made, run, capsys):
    other = run.with_name("other")
    shutil.copytree(made / "run", other)
    change(other)
    before = everything(other)
    for out in (other, other / "evaluation", other / "best" / "evaluation", other / "new"):
        assert main(["evaluate", str(run), "--episodes", "1", "--out", str(out)]) == 2
        assert "lies in the folder of another model" in capsys.readouterr().err
    assert main(["evaluate", str(run / "best"), "--out", str(run / "evaluation")]) == 2
    assert main(["evaluate", str(other), "--episodes", "1"]) == 2
    assert "holds scores already; replace them with --overwrite" in capsys.readouterr().err
    assert everything(other) == before
    assert main(["evaluate", str(other), "--episodes", "1", "--overwrite"]) == 0
    assert "Dice model" in listed(capsys, other)


@pytest.mark.filterwarnings("default")  # a command prints its warnings
def test_a_shared_model_is_replaced_as_a_whole(made, run, tmp_path, capsys):
    out = tmp_path / "shared"
    assert main(["share", str(run), "--out", str(out)]) == 0
    (out / "support.safetensors").write_bytes(b"of this model")
    (out / "mine.txt").write_text("mine")
    change(run)
    assert main(["share", str(run), "--out", str(out)]) == 2
    assert "replace it with --overwrite" in capsys.readouterr().err
    assert main(["share", str(run), "--out", str(out), "--overwrite"]) == 0
    assert "the card shows no score" in capsys.readouterr().err
    assert {p.name for p in out.iterdir()} == {
        *("README.md", "segmenter.json", "model.safetensors", "mine.txt")
    }
    for wrong, said in ((run, "the folder of a run"), (run / "best", "is a part of the run")):
        assert main(["share", str(run), "--out", str(wrong), "--overwrite"]) == 2
        assert said in capsys.readouterr().err
    assert main(_training(made / "data", out, "--overwrite")) == 2  # its card would stay
    assert main(["share", str(run / "best"), "--out", str(tmp_path / "best")]) == 0
    assert "| bar |" in (tmp_path / "best/README.md").read_text()


def test_the_mean_in_a_card_is_rounded_once(run):
    path = run / "evaluation/scores.json"
    scores = json.loads(path.read_text())
    scores["table"][-1]["model"] |= {"mean": 0.55449, "low": 0.44449, "high": 0.66649}
    path.write_text(json.dumps(scores))  # 55.449 by way of 55.45 would be 55.5
    assert "| 55.4 [44.4, 66.6] |" in model_card(run, "m")


def test_the_loss_function_is_in_the_card_and_in_the_table(made, run, capsys):
    assert "- loss: cross_entropy" in model_card(run, "m")
    shutil.copytree(made / "run", run.with_name("whole"))
    settings = json.loads((run / "settings.json").read_text())
    settings["train"]["loss"] = "dice+focal"
    (run / "settings.json").write_text(json.dumps(settings))
    assert "- loss: dice+focal" in model_card(run, "m")
    heads = listed(capsys, run.parent).splitlines()[0].split()
    assert "loss_function" in heads  # beside its value
    assert "loss" in heads


@pytest.mark.parametrize(
    "name",
    [
        "settings.json",
        "split.json",
        "segmenter.json",
        "log.jsonl",
        "measured.jsonl",
        "evaluation/scores.json",
        "model.safetensors",
        "calibration.json",
    ],
)
@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe\x00", b"[1]\n", b"{}\n", b'{"train": 3}\n', None]
)
def test_runs_lists_what_is_damaged_and_says_so(made, run, name, content, capsys):
    whole = run.with_name("whole")
    shutil.copytree(made / "run", whole)
    if content is None:
        (run / name).unlink(missing_ok=True)
    else:
        (run / name).write_bytes(content)
    told = listed(capsys, run.parent)
    assert str(run) in told
    assert str(whole) in told


def test_foreign_folders_are_no_runs(made, run, tmp_path, capsys):
    for number, content in enumerate(('{"editor.fontSize": 12}', "// comment\n{}", "[]")):
        other = tmp_path / f"foreign{number}" / ".vscode"
        other.mkdir(parents=True)
        (other / "settings.json").write_text(content)
    (tmp_path / "foreign0/log.jsonl").write_text("hello\nworld\n")
    (tmp_path / "foreign0/settings.json").write_text("[]")
    told = listed(capsys, tmp_path)
    assert ".vscode" not in told
    assert "line 1" in told or "cannot be used" in told
