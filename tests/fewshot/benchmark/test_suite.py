"""Numbers of a suite by hand, and what is kept of a case."""

import math
from dataclasses import replace

import numpy as np
import pytest

from episodes.errors import DataError
from episodes.protocols.base import Case
from episodes.sampling.episode import Plan
from fewshot.benchmark.suite.aggregate import headlines, rows_of, task_means
from fewshot.benchmark.suite.cells import Cell, cell_file
from fewshot.benchmark.suite.kinds import kind_of
from fewshot.evaluation.few_image_scores import CaseScore, QueryScore


def cell(task, predictor, dice, *, shots=1, expected=None, draw=0):
    """A cell with one query a subject."""
    queries = tuple(
        QueryScore(f"{subject}_0", subject, values, expected, 0.5)
        for subject, values in dice.items()
    )
    return Cell(task, predictor, shots, draw, CaseScore(("a",), queries, 2.0))


def test_a_row_pools_draws_and_classes_by_subject():
    nan = math.nan
    (row,) = rows_of(
        [
            cell("t", "p", {"s": (0.2, 0.4), "u": (nan, nan)}, expected=0.5),
            cell("t", "p", {"s": (0.7, nan), "v": (1.0, 1.0)}, draw=1),
        ]
    )
    assert row.mean == pytest.approx(100 * ((0.3 + 0.7) / 2 + 1.0) / 2)
    assert (row.subjects, row.undefined) == (2, 1)
    assert row.expected_error == pytest.approx(20)  # 0.5 against 0.3; that of u is undefined
    assert (row.learn_seconds, row.segment_seconds) == (2.0, 0.5)


def test_headlines_by_hand():
    """Task a: a simple method is 10 points better; b: 1 point; c: a clever one is 20 better."""
    scores = {
        "own": {"a": 0.5, "b": 0.6, "c": 0.7, "d": 0.0},
        "copy-mask": {"a": 0.6, "b": 0.61, "c": 0.1, "d": 1.0},
        "clever": {"a": 0.4, "b": 0.6, "c": 0.9, "d": 1.0},
    }
    rows = rows_of(
        cell(task, name, {"s": (value,)}, expected=0.7 if name == "own" else None)
        for name, tasks in scores.items()
        for task, value in tasks.items()
    )
    found = {head["name"]: head for head in headlines(rows, list(scores), [1], ["a", "b", "c"])}
    mean = found["suite_1shot_mean"]
    assert mean["value"] == pytest.approx(60)
    assert mean["baseline"] == pytest.approx((60 + 61 + 10) / 3)
    assert mean["ci95"][0] < 60 < mean["ci95"][1]
    assert found["tasks_where_a_simple_method_wins"]["value"] == 1
    assert found["tasks_where_a_simple_method_wins"]["unit"] == "of 3 tasks"
    assert found["regret_against_oracle"]["value"] == pytest.approx((10 + 1 + 20) / 3)
    assert found["expected_dice_error"]["value"] == pytest.approx((20 + 10 + 0) / 3)
    silent = headlines(rows, ["clever", "copy-mask"], [1], ["a"])
    assert "expected_dice_error" not in {head["name"] for head in silent}


def test_means_are_of_the_tasks_named_and_those_with_a_dice():
    nan = math.nan
    rows = rows_of(
        [
            cell("a", "p", {"s": (0.2,)}),
            cell("b", "p", {"s": (0.6,)}),
            cell("c", "p", {"s": (1.0,)}),
            cell("a", "q", {"s": (nan,)}),
        ]
    )
    p, q = task_means(rows, ["p", "q"], [1], ["a", "b"])
    assert (p["predictor"], p["shots"], p["tasks"]) == ("p", 1, 2)
    assert p["mean"] == pytest.approx(40)
    assert 20 <= p["low"] < 40 < p["high"] <= 60
    assert q == {**dict.fromkeys(("mean", "low", "high")), "predictor": "q", "shots": 1, "tasks": 0}


def test_further_numbers_of_annotated_images_have_names_of_their_own():
    rows = rows_of(
        cell("a", name, {"s": (value,)}, shots=shots)
        for name, value in (("own", 0.5), ("copy-mask", 0.6))
        for shots in (1, 5)
    )
    names = [head["name"] for head in headlines(rows, ["own", "copy-mask"], [1, 5], ["a"])]
    assert names == [
        *("suite_1shot_mean", "tasks_where_a_simple_method_wins", "regret_against_oracle"),
        *("suite_5shot_mean", "tasks_where_a_simple_method_wins_5shot"),
        "regret_against_oracle_5shot",
    ]


def test_a_case_is_kept_with_what_it_was_made_of(tmp_path):
    case = Case("draw 1", Plan(1, ("a",), (("x", "y"),), ("z",), ("s",)))
    file = cell_file(tmp_path, "data/liver", "print", case, "own", {"settings": {"trees": 1}})
    assert file.path == tmp_path / "cells/own/data%2Fliver/shots2_draw1.json"
    assert file.read() is None
    score = CaseScore(("a", "b"), (QueryScore("z", "s", (0.25, math.nan), None, 0.1),), 1.5)
    file.write(score)
    again = file.read()
    assert again.queries[0].dice[0] == 0.25
    assert math.isnan(again.queries[0].dice[1])
    assert replace(again, queries=()) == replace(score, queries=())
    other = cell_file(tmp_path, "data/liver", "print", case, "own", {"settings": {"trees": 2}})
    with pytest.raises(DataError, match="made of other images, draws, settings or another model"):
        other.read()
    file.path.write_text("{")
    with pytest.raises(DataError, match=r"cannot be used .* remove it, and it is remade"):
        file.read()


def test_kinds_of_picture():
    grey = np.full((8, 8, 3), 180, np.uint8)
    assert kind_of(grey) == "bright-field"
    assert kind_of(grey - 150) == "fluorescence"
    assert kind_of(grey - np.array([0, 60, 20], np.uint8)) == "stained"
