"""`fewshot benchmark`: settings that every fold chooses on its own training scans."""

import json
import shutil
import sys
from functools import partial

import pytest

from episodes.catalog.class_areas import compute_class_areas
from episodes.protocols.registry import ProtocolOptions, build_protocol
from episodes.readers import read_catalog
from fewshot import recipes
from fewshot.benchmark import model_selection as choose
from fewshot.benchmark.cells import Setting
from fewshot.cli.main import main
from tests.cli.scans import TOY, read, write_scans

RECIPE = (
    'SETTINGS = {"head": "alpnet"}\nTRAINED_BY = "superpixels-local"\n'
    'TEST = {"threshold": 0.999999, "keep": "all"}\n'
    'AMONG = {"threshold": (0.999999, 0.5), "keep": ("all", "largest")}\n'
)
METHOD = ("--methods", "toy-choosing", "--protocols", "alpnet", "--folds", "0")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_scans(tmp_path_factory.mktemp("choices") / "scans")


@pytest.fixture
def command(data, tmp_path, monkeypatch):
    (tmp_path / "toy_choosing.py").write_text(RECIPE)
    monkeypatch.setattr(recipes, "__path__", [*recipes.__path__, str(tmp_path)])
    yield ["benchmark", str(data), *METHOD, *TOY, "--out", str(tmp_path / "out")]
    sys.modules.pop("fewshot.recipes.toy_choosing", None)


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    """The output of `command`, run once; tests change copies of it."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "toy_choosing.py").write_text(RECIPE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recipes, "__path__", [*recipes.__path__, str(folder)])
        assert main(["benchmark", str(data), *METHOD, *TOY, "--out", str(folder / "out")]) == 0
    sys.modules.pop("fewshot.recipes.toy_choosing", None)
    return folder / "out"


def test_each_fold_takes_what_scores_best_on_its_training_scans(command, tmp_path):
    assert main([*command, "--methods", "superpixels-local", "toy-choosing"]) == 0
    rows = {row["method"]: row for row in read(tmp_path / "out")["results"]}
    assert rows["superpixels-local"]["chosen"] == []
    (chosen,) = rows["toy-choosing"]["chosen"]
    assert chosen["settings"]["threshold"] == 0.5  # the other one finds next to nothing
    (path,) = (tmp_path / "out" / "choices").rglob("*.json")
    tried = json.loads(path.read_text())["tried"]
    assert [(t["settings"]["threshold"], t["settings"]["keep"]) for t in tried] == [
        *((0.999999, "all"), (0.5, "all"), (0.5, "largest"))
    ]
    best = max(tried, key=lambda each: each["dice"])
    assert chosen["settings"] == best["settings"]
    text = (tmp_path / "out" / "benchmark.md").read_text()
    assert "chosen on training scans" in text
    assert "threshold 0.5" in text

    fixed = f'SETTINGS = {{}}\nTRAINED_BY = "superpixels-local"\nTEST = {chosen["settings"]!r}\n'
    (tmp_path / "toy_fixed.py").write_text(fixed)
    assert main([*command, "--methods", "toy-choosing", "toy-fixed"]) == 0
    same = {row["method"]: row["cases"] for row in read(tmp_path / "out")["results"]}
    assert same["toy-choosing"] == same["toy-fixed"]
    assert same["toy-choosing"][0]
    sys.modules.pop("fewshot.recipes.toy_fixed", None)


def test_a_stopped_choice_goes_on(command, tmp_path, monkeypatch):
    calls = []

    def counting(stop, *args, **options):
        calls.append(args)
        if len(calls) > stop:
            raise KeyboardInterrupt
        return count(*args, **options)

    count = choose.count_protocol
    monkeypatch.setattr(choose, "count_protocol", partial(counting, 5))  # the last of 3 inner folds
    assert main(command) != 0
    (path,) = (tmp_path / "out" / "choices").rglob("*.json")
    (first,) = json.loads(path.read_text())["tried"]
    calls.clear()
    monkeypatch.setattr(choose, "count_protocol", partial(counting, 99))
    assert main(command) == 0
    assert json.loads(path.read_text())["tried"][0] == first
    assert len(calls) == 6  # the first of three settings was not computed again

    calls.clear()
    assert main(command) == 0
    assert not calls


def test_no_test_scan_has_a_say(data):
    catalog = compute_class_areas(read_catalog(data))
    for name in ("alpnet", "full-volume"):
        protocol = build_protocol(name, catalog, ProtocolOptions(fold=1, folds=3, support="all"))
        setting = Setting(name, "keep", "all", "", 1)
        inner = list(choose.inner_protocols(protocol, setting, catalog))
        queries = {s for each in inner for case in each.cases for s in case.plan.query_subjects}
        assert queries == set(protocol.train.subjects) == {"1", "2", "5", "6"}
        for each in inner:
            assert set(each.test.subjects) <= set(protocol.train.subjects)
            assert set(each.train.subjects) <= set(protocol.train.subjects)


def test_what_was_chosen_on_other_scans_is_refused(finished, command, tmp_path, capsys):
    shutil.copytree(finished, tmp_path / "out")
    for cell in (tmp_path / "out" / "cells" / "toy-choosing").rglob("*.json"):
        cell.unlink()
    (path,) = (tmp_path / "out" / "choices").rglob("*.json")
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "train": "another"}))
    assert main(command) == 2
    assert "chosen on other training scans" in capsys.readouterr().err
    path.write_text("{")
    assert main(command) == 2
    assert "remove it, and it is remade" in capsys.readouterr().err


def test_setting_2_may_take_what_setting_1_chose(finished, command, tmp_path, monkeypatch, capsys):
    shutil.copytree(finished, tmp_path / "out")

    def fail(*args, **options):
        raise AssertionError("chosen again")

    monkeypatch.setattr(choose, "count_protocol", fail)
    other = [*command[:-1], str(tmp_path / "other"), "--training-exclusion", "any"]
    other += ["--groups", "liver", "spleen", "--choices", str(tmp_path / "out")]
    assert main(other) == 0
    (first,) = (r["chosen"] for r in read(tmp_path / "out")["results"] if r["chosen"])
    (second,) = (r["chosen"] for r in read(tmp_path / "other")["results"] if r["chosen"])
    assert [each["settings"] for each in second] == [first[0]["settings"]] * 2
    assert [each["seconds"] for each in second] == [0.0, 0.0]

    (path,) = (tmp_path / "out" / "choices").rglob("*.json")
    content = json.loads(path.read_text())
    assert main(other[: other.index("--choices")]) == 2  # its own choice would be another number
    assert "has choices" in capsys.readouterr().err
    again = [*other[:-1], str(tmp_path / "out"), "--out", str(tmp_path / "third")]
    path.write_text(json.dumps({**content, "tried": content["tried"][:1]}))
    assert main(again) == 2
    assert "holds no finished choice of toy-choosing" in capsys.readouterr().err
    path.write_text(json.dumps({**content, "subjects": ["1", "7"]}))
    assert main(again) == 2
    assert "chosen on other training scans" in capsys.readouterr().err


def test_a_choice_without_a_start_is_told(command, tmp_path, capsys):
    (tmp_path / "toy_choosing.py").write_text(RECIPE.replace(', "keep": "all"', ""))
    assert main(command) == 2
    assert "toy-choosing chooses keep in AMONG" in capsys.readouterr().err


def test_one_training_scan_is_not_enough_to_choose(data):
    catalog = compute_class_areas(read_catalog(data)).of_subjects(["1", "2", "3"])
    protocol = build_protocol("alpnet", catalog, ProtocolOptions(fold=0, folds=3, support=0))
    with pytest.raises(choose.DataError, match="settings are chosen on at least two"):
        list(choose.inner_protocols(protocol, Setting("alpnet", "keep", "0", "", 0), catalog))
