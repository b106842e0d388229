import numpy as np
import pytest
import torch

from episodes import bundled
from episodes.catalog.class_areas import compute_class_areas
from episodes.catalog.loader import Loader
from episodes.readers import read_catalog
from episodes.sampling.episode import Plan
from episodes.sampling.sampler import EpisodeSampler, EpisodeSettings
from fewshot.baselines.copy_mask import copy_mask, paste
from fewshot.evaluation.episodic import Case, Evaluation, evaluate
from fewshot.evaluation.figures import evaluation_sheet
from fewshot.evaluation.results import markdown, write


def case(subject, found, missed, wrong, method="model", name="liver"):
    return Case(0, f"{subject}.png", subject, name, method, found, missed, wrong)


def test_dice_sums_the_pixels_of_a_subject_then_averages_subjects():
    cases = (
        case("a", 10, 0, 0),
        case("a", 0, 10, 0),  # one whole and one missed slice: 2 * 10 / (2 * 10 + 10)
        case("b", 5, 5, 5),
        case("b", 1, 0, 0, name="spleen"),
        case("a", 1, 1, 0, "copy_mask"),
        case("b", 0, 1, 1, "copy_mask"),
    )
    found = Evaluation(cases, (Plan(0, ("liver",), (("s",),), ("q",), ("a",)),))
    assert found.subject_dice("model", "liver") == {"a": pytest.approx(2 / 3), "b": 0.5}
    assert found.subject_dice("model")["b"] == pytest.approx((0.5 + 1) / 2)
    assert found.interval("model").mean == pytest.approx((2 / 3 + 0.75) / 2)
    difference = (2 / 3 - 2 / 3 + 0.75 - 0) / 2
    assert found.difference().mean == pytest.approx(difference)


def test_a_class_that_is_neither_there_nor_predicted_has_no_score():
    found = Evaluation((case("a", 0, 0, 0), case("b", 1, 0, 0)), ())
    assert found.subject_dice("model") == {"b": 1.0}


def test_copy_mask_on_itself_is_perfect_and_votes_by_majority():
    masks = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
    masks[0, :2, 0] = 1  # two of three shots
    masks[0, 2, 1] = 1  # one of three
    masks[1, :, 2] = 1
    expected = torch.tensor([1, 0, 2, 0], dtype=torch.uint8)[:, None].expand(4, 4)
    assert torch.equal(copy_mask(masks), expected)


def test_paste_scales_without_new_values():
    mask = np.array([[0, 7], [0, 255]], np.uint8)
    assert paste(mask, (4, 2)).tolist() == [[0, 7], [0, 7], [0, 255], [0, 255]]


def test_evaluation_of_real_episodes(segmenter, tmp_path):
    catalog = compute_class_areas(read_catalog(bundled.path("emoji")))
    settings = EpisodeSettings(way=2, shot=2, query=2)
    sampler = EpisodeSampler(catalog, settings, loader=Loader(64), seed=4)
    found = evaluate(segmenter.network, sampler, 5, batch=2)
    assert len(found.cases) == 5 * 2 * 2 * 2  # episodes, queries, ways, methods
    assert found.episode_hash == evaluate(segmenter.network, sampler, 5, batch=5).episode_hash
    again = evaluate(segmenter.network, sampler, 5, batch=5)
    assert again.table()[-1]["copy_mask"] == found.table()[-1]["copy_mask"]
    sheet = evaluation_sheet(segmenter.network, sampler, found, rows=3)
    assert sheet.dtype == np.uint8
    assert sheet.ndim == 3
    path = tmp_path / "results" / "toy.json"
    write(path, "toy_dice", found, {"data": "emoji"}, ["fewshot train x", "fewshot evaluate y"])
    text = path.with_suffix(".md").read_text()
    assert "| all |" in text
    assert "fewshot evaluate y" in text


def test_the_result_file_has_the_agreed_form(segmenter, tmp_path):
    import json

    catalog = compute_class_areas(read_catalog(bundled.path("emoji")))
    sampler = EpisodeSampler(catalog, loader=Loader(64))
    found = evaluate(segmenter.network, sampler, 6)
    write(tmp_path / "r.json", "toy_dice", found, {"data": "emoji"}, ["a", "b"])
    content = json.loads((tmp_path / "r.json").read_text())
    assert markdown(content) == (tmp_path / "r.md").read_text()
    head = content["headline"][0]
    assert set(head) == {"name", "value", "ci95", "baseline", "unit"}
    low, high = head["ci95"]
    assert low <= head["value"] <= high
    assert {"machine", "date", "commands", "episode_hash", "cases"} <= set(content)
    assert 0 < content["calibration_error"]["mean"] < content["calibration_error_near"]["mean"] < 1
    assert "near the class" in markdown(content)
    del content["calibration_error"]  # files of earlier versions have none
    assert "near the class" not in markdown(content)
