"""`fewshot suite`: one list of episodes for all, nothing computed twice, one failure stops none."""

import json

import numpy as np
import pytest
from PIL import Image

from episodes import plugins
from episodes.errors import DataError
from fewshot.benchmark.suite.settings import Suite
from fewshot.benchmark.suite.tasks import Failure, read_tasks
from fewshot.cli.main import main
from tests.cli.scans import write_scans

ORACLE = '''
from dataclasses import dataclass, replace

from episodes.errors import DataError
from fewshot import register_predictor
from fewshot.baselines.image_predictor import ImagePredictor


@dataclass(frozen=True)
class Settings:
    pass


@register_predictor("oracle")
class Oracle(ImagePredictor):
    """Pixels of the toy tasks are their labels times 80."""

    Settings = Settings
    SEEN = []

    def fit(self, annotated, colour):
        self.SEEN.append(tuple(picture.name for picture in annotated.shots.pictures))

    def probabilities(self, picture, plane, support):
        self.SEEN.append(picture.name)
        labels = picture.pixels[plane] // 80
        return (labels == np.arange(len(support.names) + 1)[:, None, None]).astype(np.float32)


@register_predictor("of-one-class")
class OfOneClass(Oracle):
    def fit(self, annotated, colour):
        if len(annotated.shots.names) > 1:
            raise DataError("two classes are too many")
'''.replace("from dataclasses", "import numpy as np\nfrom dataclasses", 1)


def write_task(folder, seed, classes=1, subjects=5):
    """Squares whose brightness is their label times 80; two images a subject."""
    generator = np.random.default_rng(seed)
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for subject in range(subjects):
        for number in range(2):
            labels = np.zeros((20, 24), np.uint8)
            for way in range(1, classes + 1):
                top, left = generator.integers(0, 10, 2)
                labels[top : top + 7, left : left + 8] = way
            for part, pixels in (("images", labels * 80), ("masks", labels)):
                Image.fromarray(pixels).save(folder / part / f"s{subject}_{number}.png")
    names = {str(way): f"class {way}" for way in range(1, classes + 1)}
    (folder / "classes.json").write_text(json.dumps(names))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("suite") / "many"
    write_task(folder / "squares", 0)
    write_task(folder / "two", 1, classes=2)
    (folder / "broken/images").mkdir(parents=True)
    (folder / "broken/masks").mkdir()
    (folder / "broken/images/a_1.png").write_bytes(b"no picture")
    (folder / "broken/masks/a_1.png").write_bytes(b"no picture")
    return folder


@pytest.fixture(scope="module")
def oracle(tmp_path_factory):
    path = tmp_path_factory.mktemp("plugin") / "oracle.py"
    path.write_text(ORACLE)
    plugins.load_plugin(path)
    yield path
    plugins.unload_plugins()


def run(data, out, *more):
    command = ["suite", str(data), "--predictors", "oracle", "threshold", "--shots", "1", "2"]
    return main([*command, "--queries", "3", "--out", str(out), "--no-cache", *more])


def test_the_truth_scores_100_and_all_have_one_list(data, oracle, tmp_path, capsys):
    assert run(data, tmp_path / "out") == 2
    said = capsys.readouterr()
    assert "1 failed, all others are in" in said.err
    assert "broken" in said.err
    found = json.loads((tmp_path / "out/suite.json").read_text())
    head = {each["name"]: each for each in found["headline"]}
    assert head["suite_1shot_mean"]["value"] == head["suite_2shot_mean"]["value"] == 100
    assert head["suite_1shot_mean"]["baseline"] < 100
    assert head["tasks_where_a_simple_method_wins"]["value"] == 0
    assert head["regret_against_oracle"]["value"] == 0
    assert list(found["failed"]) == ["broken"]
    assert found["held_out"] == ["squares", "two"]
    queries = {}
    for task, predictor, shots, draw, query, _, name, *_ in found["cases"]:
        queries.setdefault(predictor, []).append((task, shots, draw, query, name))
    assert queries["oracle"] == queries["threshold"] == queries["copy-mask"]
    assert len(queries["oracle"]) == (1 + 2) * 2 * 2 * 3  # classes, shots, draws, queries
    table = (tmp_path / "out/suite.md").read_text()
    assert "| task | oracle | threshold | copy-mask |" in table
    assert "| two | 100.0" in table
    assert "| mean of 2 held out | 100.0" in table
    assert "broken failed" in table


def test_a_predictor_that_fails_on_a_task_leaves_the_task_to_the_others(
    data, oracle, tmp_path, capsys
):
    out = tmp_path / "out"
    assert run(data, out, "--predictors", "oracle", "of-one-class") == 2
    assert "of-one-class on two failed: two classes are too many" in capsys.readouterr().err
    found = json.loads((out / "suite.json").read_text())
    assert list(found["failed"]) == ["broken", "of-one-class on two"]
    assert found["held_out"] == ["squares", "two"]
    rows = {(row["task"], row["predictor"]) for row in found["table"]}
    names = {(task, name) for task in ("squares", "two") for name in ("oracle", "copy-mask")}
    assert rows == {*names, ("squares", "of-one-class")}
    table = (out / "suite.md").read_text().splitlines()
    (two,) = {line.split(" | ")[2] for line in table if line.startswith("| two |")}
    assert two == "-"
    (mean,) = {line.split(" | ")[2] for line in table if line.startswith("| mean of 2 held out")}
    assert mean.startswith("100.0")
    assert mean.endswith("(of 1)")  # tasks: it compares with no other mean


def test_a_stopped_run_goes_on(data, oracle, tmp_path, capsys):
    inner = data / "squares"
    out = tmp_path / "out"
    assert run(inner, out) == 0
    before = json.loads((out / "suite.json").read_text())
    kept = sorted(out.glob("cells/oracle/squares/*.json"))
    assert len(kept) == 4
    times = [path.stat().st_mtime_ns for path in kept[1:]]
    kept[0].unlink()
    assert run(inner, out, "--overwrite") == 0
    assert kept[0].exists()
    assert [path.stat().st_mtime_ns for path in kept[1:]] == times
    after = json.loads((out / "suite.json").read_text())
    assert after["cases"] == before["cases"]
    assert after["episode_hash"] == before["episode_hash"]
    capsys.readouterr()
    assert run(inner, out, "--overwrite", "--seed", "1") == 2
    assert "choose another --out" in capsys.readouterr().err


def test_tasks_on_which_something_was_chosen_are_left_out(data, oracle, tmp_path, capsys):
    folders = (data / "squares", str(data / "two"))
    assert run(*folders[:1], tmp_path / "a", "--development", "squares") == 2
    assert "none is left for the headlines" in capsys.readouterr().err
    assert run(*folders[:1], tmp_path / "a", "--development", "circles") == 2
    assert "--development names circles, which is no task; expected some of squares" in (
        capsys.readouterr().err
    )
    command = ["suite", *map(str, folders), "--predictors", "threshold", "--shots", "1"]
    command += ["--development", "two", "--out", str(tmp_path / "b"), "--no-cache"]
    assert main(command) == 0
    found = json.loads((tmp_path / "b/suite.json").read_text())
    assert (found["development"], found["held_out"]) == (["two"], ["squares"])
    row = next(r for r in found["table"] if (r["task"], r["predictor"]) == ("squares", "threshold"))
    assert found["headline"][0]["value"] == row["mean"]
    assert found["headline"][0]["name"] == "suite_1shot_mean"
    named = [*command, "--overwrite", "--headline", "my_mean"]
    assert main(named) == 0
    again = json.loads((tmp_path / "b/suite.json").read_text())["headline"]
    assert again == [{**found["headline"][0], "name": "my_mean"}, *found["headline"][1:]]
    assert main([*named, "--shots", "1", "2"]) == 2
    assert "--headline my_mean names one mean" in capsys.readouterr().err
    assert "two (development)" in (tmp_path / "b/suite.md").read_text()


def test_volumes_are_tasks_of_single_slices(tmp_path):
    scans = write_scans(tmp_path / "scans", 3)
    tasks = list(read_tasks(Suite((scans,), cache=False)))
    assert [task.name for task in tasks] == ["scans/liver", "scans/spleen"]
    for task in tasks:
        assert [sample.subject for sample in task.samples] == ["1", "2", "3"]
        assert len(task.classes) == 1


def test_pictures_are_cut_by_kind_and_subjects_by_pattern(tmp_path):
    folder = tmp_path / "cells"
    write_task(folder, 0)
    for path in sorted((folder / "images").glob("s[01]*")):
        pixels = np.asarray(Image.open(path))
        Image.fromarray(np.stack([pixels + 90, pixels, pixels + 40], axis=2)).save(path)
    tasks = list(read_tasks(Suite((folder,), kinds=("cells",), cache=False)))
    assert {task.name: len(task.subjects) for task in tasks} == {
        "cells/stained": 2,
        "cells/fluorescence": 3,
    }
    (task,) = read_tasks(Suite((folder,), subjects=(r"cells=s\d+_\d",), cache=False))
    assert len(task.subjects) == 10
    with pytest.raises(
        DataError, match=r"--subjects has 'x=1'; expected DATASET=VALUE with .*cell"
    ):
        list(read_tasks(Suite((folder,), subjects=("x=1",))))
    with pytest.raises(DataError, match="several data sets are named cells"):
        list(read_tasks(Suite((folder, folder))))


def test_an_unreadable_data_set_is_a_failure(data):
    (found,) = (task for task in read_tasks(Suite((data,), cache=False)) if task.name == "broken")
    assert isinstance(found, Failure)
    assert "a_1" in found.reason


def test_methods_are_columns_of_their_own(tmp_path, capsys):
    write_task(tmp_path / "task", 5, subjects=2)
    command = ["suite", str(tmp_path / "task"), "--predictors", "threshold", "--shots", "1"]
    command += ["--supports", "1", "--out", str(tmp_path / "out")]
    assert main([*command, "--methods", "place", "neighbours-256"]) == 0
    found = json.loads((tmp_path / "out/suite.json").read_text())
    names = ["threshold", "copy-mask", "method place", "method neighbours-256"]
    assert list(found["predictors"]) == names
    assert {row["predictor"] for row in found["table"]} == set(names)
    assert main([*command, "--methods", "places"]) == 2
    assert "there is no method" in capsys.readouterr().err
