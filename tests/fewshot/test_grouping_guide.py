"""The guide to grouping has every figure and the table of its result file."""

import importlib.util
import json
import re
from pathlib import Path

import numpy as np
from PIL import Image

from episodes.synthetic.grouping import PRINCIPLES, draw_scene
from fewshot.metrics.report import Report

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "grouping.md").read_text(encoding="utf-8")


def load_script():
    path = ROOT / "tools" / "grouping_pictures.py"
    spec = importlib.util.spec_from_file_location("grouping_pictures", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_principle_has_its_figure_and_all_are_small():
    shown = re.findall(r"!\[.+?\]\(pictures/grouping_(.+?)\.png\)", GUIDE)
    assert shown == list(PRINCIPLES)
    sizes = [(ROOT / f"docs/pictures/grouping_{name}.png").stat().st_size for name in shown]
    assert min(sizes) > 10_000
    assert sum(sizes) < 2**20


def test_the_guide_has_the_table_of_the_result_file():
    script = load_script()
    parts = json.loads(script.RESULT.read_text(encoding="utf-8"))["parts"]
    assert parts.keys() == PRINCIPLES.keys()
    assert all(tuple(part["means"]) == script.METHODS for part in parts.values())
    assert script.guide_table(script.RESULT) in GUIDE, "run python tools/grouping_pictures.py"


def test_a_principle_is_scored_and_drawn(tmp_path):
    script, report = load_script(), Report()
    script.score("similarity_of_colour", ("threshold", "copy-mask"), 1, report, tmp_path)
    dice = {row.method: row.value for row in report.rows}
    support, query = (draw_scene("similarity_of_colour", seed).mask > 0 for seed in (0, 1))
    overlap = 2 * (support & query).sum() / (support.sum() + query.sum())
    assert np.isclose(dice["copy-mask"], overlap, atol=0.02)
    assert dice["threshold"] > dice["copy-mask"]
    with Image.open(tmp_path / "grouping_similarity_of_colour.png") as picture:
        assert picture.width == 900
        assert picture.mode == "P"
