import json

import pytest

from episodes import bundled
from fewshot.cli.main import main
from tests.cli.scans import write_scans


@pytest.fixture
def data(tmp_path):
    return write_scans(tmp_path / "scans")


@pytest.fixture
def trained(data, tmp_path):
    """A model that has not seen fold 0 of three (scans 1, 2) and its support (scan 3)."""
    run = tmp_path / "run"
    code = main(
        [
            *("train", str(data), "--out", str(run), "--novel", "spleen", "--size", "64"),
            *("--test-subjects", "1", "2", "3", "--minutes", "0", "--steps", "1", "--batch", "1"),
        ]
    )
    assert code == 0
    return run


def test_copy_mask_under_every_protocol(data, tmp_path, capsys):
    names = ("alpnet", "adnet", "adnet-2", "full-middle", "full-thirds", "full-slices")
    result = tmp_path / "results" / "r.json"
    code = main(
        [
            *("protocol", str(data), "--protocols", *names, "full-volume", "--folds", "3"),
            *("--result", str(result), "--headline", "toy"),
        ]
    )
    said = capsys.readouterr()
    assert code == 0, said.err
    assert "full-volume, copy-mask (Dice, 0 to 100)" in said.out
    content = json.loads(result.read_text())
    assert [row["protocol"] for row in content["results"]] == [*names, "full-volume"]
    assert "| full-thirds | copy-mask |" in result.with_suffix(".md").read_text()


def test_all_supports_are_runs(data, capsys):
    assert main(["protocol", str(data), "--folds", "3", "--support", "all", "--fold", "1"]) == 0
    assert "2 subjects, 4 runs" in capsys.readouterr().out


def test_a_trained_model_beside_copy_mask(data, trained, tmp_path, capsys):
    base = ["protocol", str(data), "--folds", "3", "--model", str(trained), "--novel", "spleen"]
    result = tmp_path / "r.json"
    assert main([*base, "--fold", "0", "--untrained", "--result", str(result)]) == 0
    content = json.loads(result.read_text())
    assert [row["method"] for row in content["results"]] == ["copy-mask", "model", "untrained"]
    assert [head["value"] for head in content["headline"]] == [content["results"][1]["mean"]]
    assert len(content["commands"]) == 2
    alone = ["protocol", str(data), "--folds", "3", "--fold", "0", "--untrained"]
    assert main([*alone, "--result", str(result), "--overwrite"]) == 0
    content = json.loads(result.read_text())
    assert [row["method"] for row in content["results"]] == ["copy-mask", "untrained"]
    (head,) = content["headline"]
    assert (head["value"], head["baseline"]) == tuple(r["mean"] for r in content["results"][::-1])
    assert main(base) == 2
    assert "was trained on subjects" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--fold", "1", "--novel", "spleen"], "was trained on subjects 4, 5"),
        (["--fold", "0"], "was trained on classes liver"),
        (
            ["--fold", "0", "--novel", "spleen", "--training-exclusion", "any"],
            "--training-exclusion keep and is tested",
        ),
    ],
)
def test_a_model_that_saw_the_test_is_refused(data, trained, capsys, arguments, message):
    code = main(["protocol", str(data), "--folds", "3", "--model", str(trained), *arguments])
    assert code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--folds", "7"], "7 folds of 6 subjects"),
        (["--folds", "3", "--fold", "3"], "fold 3 of 3"),
        (["--folds", "3", "--support", "last"], "support is 'last'; expected published, all"),
        (["--folds", "3", "--support", "4"], "support is 4; expected 0 to 3"),
        (["--folds", "3", "--novel", "heart"], "no class 'heart'"),
    ],
)
def test_bad_input_is_told(data, capsys, arguments, message):
    assert main(["protocol", str(data), *arguments]) == 2
    assert message in capsys.readouterr().err


def test_copy_mask_under_protocols_of_images(tmp_path, capsys):
    result = tmp_path / "r.json"
    code = main(
        [
            *("protocol", str(bundled.path("emoji")), "--protocols", "panet", "coco-hsnet"),
            *("--episodes", "8", "--shot", "2", "--result", str(result)),
        ]
    )
    said = capsys.readouterr()
    assert code == 0, said.err
    assert "panet, copy-mask (mIoU, 0 to 100)" in said.out
    assert "FB-IoU" in said.out
    rows = json.loads(result.read_text())["results"]
    assert [row["runs"] for row in rows] == [5, 1]
    assert [setting["fold"] for setting in rows[0]["settings"]] == [0, 1, 2, 3]
    assert rows[1]["settings"][0]["layout"] == "interleaved"
    assert rows[0]["foreground_background"] > rows[0]["mean"]
    assert "| panet | copy-mask |" in result.with_suffix(".md").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--folds", "0"], "--folds is 0; expected at least 1"),
        (["--protocols"], "--protocols is empty; name at least one"),
        (["--protocols", "hsnet", "--support", "all"], "protocol of images and takes no --support"),
        (["--protocols", "alpnet", "--shot", "5"], "protocol of volumes and takes no --shot"),
    ],
)
def test_an_option_without_use_is_refused(data, capsys, arguments, message):
    assert main(["protocol", str(data), *arguments]) == 2
    assert message in capsys.readouterr().err
