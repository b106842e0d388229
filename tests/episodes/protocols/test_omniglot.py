import io
import zipfile
from collections import Counter

import numpy as np
import pytest
from PIL import Image
from scipy.spatial import cKDTree

from episodes.errors import DataError, EpisodeError
from episodes.protocols.omniglot import (
    Trial,
    accuracy,
    alphabets,
    draw_trials,
    hash_trials,
    member_names,
    official_runs,
)
from episodes.readers.omniglot import read_strokes


def png(number):
    pixels = np.full((9, 9), 255, np.uint8)
    pixels.flat[: number + 1] = 0
    file = io.BytesIO()
    Image.fromarray(pixels).convert("1").save(file, "PNG")
    return file.getvalue()


def runs_archive(path, change=None):
    """20 runs; test item i shows class 21 - i."""
    members = {}
    for run in range(1, 21):
        name = f"run{run:02}"
        lines = []
        for i in range(1, 21):
            members[f"{name}/test/item{i:02}.png"] = png(i)
            members[f"{name}/training/class{i:02}.png"] = png(i)
            lines.append(f"{name}/test/item{i:02}.png {name}/training/class{21 - i:02}.png")
        members[f"{name}/class_labels.txt"] = "\n".join(lines).encode()
    members.update(change or {})
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            if content is not None:
                file.writestr(name, content)
    return path


def drawings_archive(path, sizes):
    with zipfile.ZipFile(path, "w") as file:
        for alphabet, (characters, drawings) in sizes.items():
            for c in range(characters):
                for d in range(drawings):
                    name = f"images_evaluation/{alphabet}/character{c:02}/{d:04}.png"
                    file.writestr(name, png(d))
    return path


def test_official_runs(tmp_path):
    trials = official_runs(runs_archive(tmp_path / "all_runs.zip"))
    assert len(trials) == 400
    assert [trial.answer for trial in trials[:20]] == list(range(19, -1, -1))
    assert trials[20].run == "run02"
    assert trials[20].test == "run02/test/item01.png"
    assert trials[20].candidates[19] == ("run02/training/class20.png",)
    right = [trial.answer for trial in trials]
    assert set(accuracy(trials, right).values()) == {1.0}
    half = [answer if i % 2 else (answer + 1) % 20 for i, answer in enumerate(right)]
    assert accuracy(trials, half) == {f"run{run:02}": 0.5 for run in range(1, 21)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"run03/class_labels.txt": None}, "holds no run03/class_labels.txt"),
        ({"run03/class_labels.txt": b"a b c\n"}, "a line of another form"),
        ({"run03/class_labels.txt": b"\xff"}, "is no text"),
        (
            {"run03/class_labels.txt": b"x y\n"},
            "run03 has 20 training drawings and 1 answers, x, y",
        ),
        ({"run03/training/class07.png": None}, "run03 has 19 training drawings"),
        (
            {
                f"run20/{name}": None
                for name in (
                    "class_labels.txt",
                    *(f"test/item{i:02}.png" for i in range(1, 21)),
                    *(f"training/class{i:02}.png" for i in range(1, 21)),
                )
            },
            "holds 380 trials; expected the 400 of all_runs.zip",
        ),
        ({"../evil.png": b""}, "1 outside its folder"),
        ({"/evil.png": b""}, "1 outside its folder"),
        ({"run03/class_labels.txt": b" " * (2**20 + 1)}, "at most 1,048,576 are read"),
    ],
)
def test_an_archive_that_is_not_that_of_the_runs(tmp_path, change, message):
    path = runs_archive(tmp_path / "all_runs.zip", change)
    with pytest.raises(DataError, match=message):
        official_runs(path)


def test_a_damaged_or_missing_archive(tmp_path):
    with pytest.raises(DataError, match="there is no file"):
        official_runs(tmp_path / "nothing.zip")
    broken = tmp_path / "broken.zip"
    broken.write_bytes(runs_archive(tmp_path / "a.zip").read_bytes()[:5000])
    with pytest.raises(DataError, match="cannot be read as zip archive"):
        member_names(broken)


def test_trials_within_an_alphabet(tmp_path):
    sizes = {"Greek": (6, 4), "Latin": (5, 4), "Small": (3, 4)}
    drawings = alphabets(drawings_archive(tmp_path / "e.zip", sizes))
    assert {name: len(found) for name, found in drawings.items()} == {
        "Greek": 6,
        "Latin": 5,
        "Small": 3,
    }
    trials = draw_trials(drawings, 200, way=5, shot=2, seed=3)
    assert {trial.run for trial in trials} == {"Greek", "Latin"}  # Small has three characters
    for trial in trials:
        names = [trial.test, *(name for shots in trial.candidates for name in shots)]
        assert len(set(names)) == 11
        assert {name.split("/")[1] for name in names} == {trial.run}
        characters = [{name.split("/")[2] for name in shots} for shots in trial.candidates]
        assert all(len(one) == 1 for one in characters)
        assert {trial.test.split("/")[2]} == characters[trial.answer]
    answers = Counter(trial.answer for trial in trials)
    assert min(answers.values()) > 20  # 40 expected, standard deviation 6
    assert hash_trials(trials[:50]) == hash_trials(draw_trials(drawings, 50, way=5, shot=2, seed=3))
    assert hash_trials(trials) != hash_trials(draw_trials(drawings, 200, way=5, shot=2, seed=4))


def test_trials_across_alphabets(tmp_path):
    drawings = alphabets(drawings_archive(tmp_path / "e.zip", {"A": (4, 2), "B": (4, 2)}))
    trials = draw_trials(drawings, 50, way=8, within_alphabet=False)
    for trial in trials:
        assert {name.split("/")[1] for (name,) in trial.candidates} == {"A", "B"}
    with pytest.raises(EpisodeError, match="the largest of 2 pools has 4 characters"):
        draw_trials(drawings, 1, way=8)
    with pytest.raises(EpisodeError, match="20 ways of 2 shots"):
        draw_trials(drawings, 1, shot=2)
    with pytest.raises(EpisodeError, match="way and shot are 1, 0 and 1"):
        draw_trials(drawings, 1, way=0)


def test_one_answer_a_trial():
    with pytest.raises(EpisodeError, match="0 answers to 1 trials"):
        accuracy([Trial("r", "t", (("a",),), 0)], [])


def modified_hausdorff(first, second):
    """The larger of the two mean distances to the nearest ink pixel."""
    return max(first[1].query(second[0])[0].mean(), second[1].query(first[0])[0].mean())


def test_the_published_error_of_the_simple_baseline(real_data):
    """The demonstration that comes with the runs states 38.8 % errors for this distance."""
    archive = real_data("omniglot") / "all_runs.zip"
    trials = official_runs(archive)

    def points(name):
        ink = np.argwhere(read_strokes(archive, name)).astype(float)
        ink -= ink.mean(axis=0)
        return ink, cKDTree(ink)

    answers = []
    shown = {}
    for trial in trials:
        if trial.run not in shown:
            shown = {trial.run: [points(name) for (name,) in trial.candidates]}
        test = points(trial.test)
        distances = [modified_hausdorff(test, one) for one in shown[trial.run]]
        answers.append(int(np.argmin(distances)))
    assert 100 - 100 * np.mean(list(accuracy(trials, answers).values())) == pytest.approx(38.75)
    evaluation = alphabets(real_data("omniglot") / "images_evaluation.zip")
    assert len(evaluation) == 20
    assert sum(len(characters) for characters in evaluation.values()) == 659
