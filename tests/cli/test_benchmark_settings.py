"""`fewshot benchmark`: what it refuses, counts as leaked, and joins in a row."""

import sys
from functools import partial

import nibabel as nib
import numpy as np
import pytest

from fewshot import recipes
from fewshot.cli.main import main
from tests.cli.scans import TOY, benchmark_command, read, write_scans


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_scans(tmp_path_factory.mktemp("benchmark") / "scans")


@pytest.fixture(scope="module")
def command(data):
    return partial(benchmark_command, data)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--methods", "superpixel-local"], "did you mean 'superpixels-local'"),
        (["--methods", "untrained-alpnett"], "did you mean 'untrained-alpnet'"),
        (["--methods", "untrained-maml"], "adapts the encoder to every support set"),
        (["--methods", "superpixels-local+lokal"], "RECIPE+HEAD (its encoder) or RECIPE@HEAD"),
        (["--methods", "superpixels+alpnet"], "there is no method 'superpixels+alpnet'"),
        (["--methods", "superpixels@alpnet"], "there is no method 'superpixels@alpnet'"),
        (["--methods", "superpixels-local@"], "there is no method 'superpixels-local@'"),
        (["--methods", "superpixels-local+maml"], "adapts the encoder to every support set"),
        (["--folds", "3"], "fold 3 of 3; expected 0 to 2"),
        (["--fold-count", "7"], "7 folds of 6 subjects"),
        (["--support", "last"], "support is 'last'; expected published, all"),
        (["--support", "4"], "support is 4; expected 0 to 3"),
        (["--novel", "heart"], "no class 'heart'"),
        (["--groups", "liver+heart"], "no class 'heart'"),
        (["--groups", "liver", "liver+spleen"], "groups hold liver twice"),
        (["--headline", "dice=best:alpnet"], "expected NAME=method:protocol:exclusion"),
        (["--headline", "d=superpixels-panet:alpnet:none"], "which this benchmark does not hold"),
        (["--headline", "d=best:adnet:none"], "names the protocol 'adnet'"),
        (["--seeds", "-1"], "--seeds is -1"),
        (["--steps", "0"], "minutes and steps are both 0"),
    ],
)
def test_bad_input_is_told(command, tmp_path, capsys, more, message):
    assert main([*command(tmp_path / "out"), *more]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.glob("out/cells/**/*.json"))


def test_heads_share_the_encoder_that_a_recipe_trains(command, tmp_path):
    methods = ["superpixels-local", "superpixels-local+alpnet", "superpixels-local+gaussian"]
    assert main([*command(tmp_path), "--folds", "0", "--methods", *methods]) == 0
    cases = {row["method"]: row["cases"] for row in read(tmp_path)["results"]}
    own, same, other = (cases[name] for name in methods)
    assert own == same
    assert own != other
    assert len(list((tmp_path / "models").iterdir())) == 1


def test_a_head_is_trained_as_a_recipe_trains_its_own(command, tmp_path):
    methods = ["superpixels-local", "superpixels-local@alpnet", "superpixels-local@qnet"]
    assert main([*command(tmp_path), "--folds", "0", "--methods", *methods]) == 0
    rows = {row["method"]: row for row in read(tmp_path)["results"]}
    own, same, other = (rows[name] for name in methods)
    assert own["cases"] == same["cases"]
    assert own["cases"] != other["cases"]
    assert len({row["models"][0] for row in (own, same, other)}) == 3


def test_an_unknown_protocol_is_told(command, tmp_path, capsys):
    assert main([*command(tmp_path / "out"), "--protocols", "alpnett"]) == 2
    assert "alpnett" in capsys.readouterr().err


def test_training_that_is_impossible_is_told_with_its_cell(tmp_path, capsys):
    scans = write_scans(tmp_path / "scans", count=3)
    words = [
        "benchmark",
        str(scans),
        "--methods",
        "superpixels-local",
        "--protocols",
        "alpnet",
        *TOY,
    ]
    everywhere = np.zeros((40, 36, 6), np.uint8)
    everywhere[4:16, 5:15] = 1
    image = nib.Nifti1Image(everywhere.astype(np.int16), np.diag([1.0, 1.0, 5.0, 1.0]))
    for number in range(1, 4):
        nib.save(image, scans / f"label_{number}.nii.gz")
    out = [
        "--out",
        str(tmp_path / "out"),
        "--folds",
        "0",
        "--novel",
        "liver",
        "--training-exclusion",
        "any",
    ]
    assert main([*words, *out]) == 2
    said = capsys.readouterr().err
    assert (
        "superpixels-local cannot be trained (alpnet, training exclusion any, support published"
        in said
    )
    assert "no training image is left" in said


def test_an_image_that_is_in_training_too_is_counted(tmp_path, capsys):
    scans = write_scans(tmp_path / "scans", count=5)
    (scans / "image_5.nii.gz").write_bytes((scans / "image_1.nii.gz").read_bytes())
    words = ["benchmark", str(scans), "--methods", "copy-mask", "--protocols", "alpnet"]
    more = ["--folds", "0", "--fold-count", "3", "--out", str(tmp_path / "out")]
    assert main([*words, *more]) == 0, capsys.readouterr().err
    (leak,) = read(tmp_path / "out")["leakage"]
    assert ["image_5.nii.gz#0", "image_1.nii.gz#0"] in leak["equal"]
    assert len(leak["equal"]) == 6
    assert leak["subjects"] == []
    assert leak["unlabelled"] == {"liver": 8, "spleen": 8}
    assert "| 6 |" in (tmp_path / "out" / "benchmark.md").read_text()
    assert read(tmp_path / "out")["headline"][0]["of"] == "copy-mask:alpnet:keep:published"


def test_groups_supports_and_seeds_are_runs_of_one_row(data, tmp_path, capsys):
    out = tmp_path / "out"
    words = ["benchmark", str(data), "--methods", "superpixels-panet", "--protocols", "full-middle"]
    more = [
        "--groups",
        "liver",
        "spleen",
        "--training-exclusion",
        "any",
        "--seeds",
        "0",
        "1",
        "--folds",
        "2",
    ]
    code = main([*words, *more, *TOY, "--support", "all", "--out", str(out)])
    assert code == 0, capsys.readouterr().err
    rows = {row["method"]: row for row in read(out)["results"]}
    own = rows["superpixels-panet"]
    assert (own["runs"], rows["copy-mask"]["runs"]) == (8, 4)  # four supports, two seeds
    assert list(own["by_class"]) == ["liver", "spleen"]
    assert len(own["models"]) == 4  # two groups, two seeds
    assert [leak["unlabelled"] for leak in read(out)["leakage"]] == [{}, {}]
    assert [leak["supports"] for leak in read(out)["leakage"]] == [["1", "2", "3", "4"]] * 2


def test_a_recipe_may_use_the_encoder_of_another(data, tmp_path, monkeypatch, capsys):
    (tmp_path / "toy_shared.py").write_text(
        'SETTINGS = {"head": "panet"}\nTRAINED_BY = "superpixels-local"\n'
    )
    (tmp_path / "toy_refined.py").write_text(
        'SETTINGS = {"head": "panet"}\nTRAINED_BY = "superpixels-local"\n'
        'TEST = {"smooth": "walker", "keep": "largest"}\n'
    )
    (tmp_path / "toy_tested.py").write_text('SETTINGS = {}\nTEST = {"steps": 3}\n')
    (tmp_path / "toy_chain.py").write_text('SETTINGS = {}\nTRAINED_BY = "toy-shared"\n')
    monkeypatch.setattr(recipes, "__path__", [*recipes.__path__, str(tmp_path)])
    out = tmp_path / "out"
    words = [
        "benchmark",
        str(data),
        "--protocols",
        "alpnet",
        "--folds",
        "0",
        *TOY,
        "--out",
        str(out),
    ]
    assert main([*words, "--methods", "superpixels-local", "toy-shared", "toy-refined"]) == 0
    first, shared, refined = (row for row in read(out)["results"] if row["models"])
    assert first["models"] == shared["models"] == refined["models"]
    assert len({row["mean"] for row in (first, shared, refined)}) == 3
    assert len(list((out / "models").iterdir())) == 1
    assert main([*words, "--methods", "toy-tested"]) == 2
    assert "toy-tested has TEST settings {'steps': 3}" in capsys.readouterr().err
    assert main([*words, "--methods", "toy-chain"]) == 2
    assert "trained by toy-shared, which does not train itself" in capsys.readouterr().err
    for name in ("toy_shared", "toy_refined", "toy_tested", "toy_chain"):
        sys.modules.pop(f"fewshot.recipes.{name}", None)
