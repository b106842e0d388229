"""Result files that several commands write."""

import json
import sys

import pytest

from episodes.errors import DataError
from fewshot.evaluation.results import add_part
from fewshot.provenance import typed_command


def part(*names, value=1.5, **more):
    """A part with its headlines."""
    return {
        "headline": [
            {"name": name, "value": value, "ci95": [1.0, 2.0], "baseline": 0.5, "unit": "Dice"}
            for name in names
        ],
        "commands": [f"make {names[0]}"],
        "seconds": 61.0,
        "date": "2026-01-01",
        "machine": {"processor": "P", "threads": 2, "torch": "2"},
        **more,
    }


def test_a_part_is_added_and_replaced_alone(tmp_path):
    path = tmp_path / "results" / "matching.json"
    add_part(path, "volumes", part("dice_matched", "dice_random"))
    kept = part("auc", about="Hearts.", case=[1])
    kept["tables"] = [{"title": "All", "columns": ["", "AUC"], "rows": [["own", None]]}]
    add_part(path, "hearts", kept)
    add_part(path, "volumes", part("dice_matched", value=2.5))
    content = json.loads(path.read_text())
    assert [(head["name"], head["value"]) for head in content["headline"]] == [
        ("dice_matched", 2.5),
        ("auc", 1.5),
    ]
    assert content["parts"]["hearts"] == kept
    text = path.with_suffix(".md").read_text()
    assert "| auc | 1.5 [1.0, 2.0] | 0.5 | Dice |" in text
    assert "Hearts.\n\nAll:\n\n|  | AUC |\n| --- | --- |\n| own | - |" in text
    assert "make dice_matched" in text
    assert "make auc" in text


def test_parts_that_do_not_fit(tmp_path):
    path = tmp_path / "matching.json"
    add_part(path, "volumes", part("dice"))
    before = path.read_bytes()
    with pytest.raises(DataError, match=r"two headlines .*dice.*hearts"):
        add_part(path, "hearts", part("dice"))
    with pytest.raises(KeyError, match="lacks machine"):
        add_part(path, "hearts", {k: v for k, v in part("auc").items() if k != "machine"})
    assert path.read_bytes() == before
    path.write_text('{"headline": []}')
    with pytest.raises(DataError, match="no result in parts"):
        add_part(path, "hearts", part("auc"))


@pytest.mark.parametrize(
    ("argv", "typed"),
    [
        (["/usr/bin/fewshot", "demo"], "fewshot demo"),
        (["/somewhere/fewshot/cli/main.py", "train", "my data"], "fewshot train 'my data'"),
        (["tools/match_rules.py", "DATA"], "python tools/match_rules.py DATA"),
        (["/home/me/tools/match_rules.py"], "python match_rules.py"),
    ],
)
def test_a_command_is_remembered_as_one_would_type_it_again(monkeypatch, argv, typed):
    monkeypatch.setattr(sys, "argv", argv)
    assert typed_command() == typed
