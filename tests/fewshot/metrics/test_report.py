import csv
import json
import math

import numpy as np
import pytest

from fewshot.metrics.bootstrap import bootstrap_mean
from fewshot.metrics.plots import (
    bland_altman,
    plot_bland_altman,
    plot_by_target,
    plot_differences,
    save_plot,
)
from fewshot.metrics.report import Report, Row, load_report

NAN, INF = math.nan, math.inf


def filled(missing=None, cases=8):
    generator = np.random.default_rng(0)
    report = Report(missing=missing, resamples=500)
    for method, gain in (("ours", 0.1), ("theirs", 0.0)):
        for case in range(cases):
            for target in ("liver", "spleen"):
                scores = {"dice": gain + 0.8 * generator.random(), "hd95": 20 * generator.random()}
                if case == 3:
                    scores = {"dice": 0.0, "hd95": INF} if target == "liver" else {"dice": NAN}
                report.add(f"scan {case}", f"p{case // 2}", scores, target=target, method=method)
    return report


def test_summary_is_the_bootstrap_over_subjects_with_penalties_and_counts():
    report = filled(missing={"hd95": 50.0})
    values, subjects, cases = report.values("hd95", target="liver", method="ours")
    assert values[cases.index("scan 3")] == 50
    summary = {each[:3]: each for each in report.summary()}
    assert len(summary) == 8
    found = summary["ours", "liver", "hd95"]
    assert found.interval == bootstrap_mean(values, subjects, resamples=500)
    assert found.missing == 1
    assert summary["ours", "spleen", "dice"].interval.undefined == 1


def test_a_folder_holds_scores_cases_and_the_table(tmp_path):
    report = filled()
    report.save(tmp_path, {"protocol": "alpnet"}, ["| organ | Dice |", "| liver | 70 |"])
    assert (tmp_path / "scores.md").read_text() == "| organ | Dice |\n| liver | 70 |"
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert scores["protocol"] == "alpnet"
    assert len(scores["cases"]) == len(report.rows)
    assert len((tmp_path / "cases.csv").read_text().splitlines()) == len(report.rows) + 1


def test_a_miss_without_a_penalty_makes_the_mean_infinite_and_is_shown():
    found = {each[:3]: each for each in filled().summary()}["ours", "liver", "hd95"]
    assert found.interval.mean == INF
    assert math.isnan(found.interval.low)
    assert found.missing == 1
    assert found.interval.subjects == 4
    line = next(each for each in str(filled()).splitlines() if "liver   hd95" in each)
    assert line.split()[3] == "inf"


def test_columns_that_say_nothing_are_not_printed():
    report = Report()
    report.add(1, 1, {"dice": 0.5})
    report.add(2, 2, {"dice": 0.7})
    head, line = str(report).splitlines()
    assert head.split()[:2] == ["score", "mean"]
    assert line.split()[:2] == ["dice", "0.6"]
    assert str(Report()).split()[0] == "score"


@pytest.mark.parametrize("missing", [None, {"hd95": 50.0}])
def test_json_is_strict_and_comes_back_the_same(tmp_path, missing):
    report = filled(missing)
    report.save_json(tmp_path / "report.json")

    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    data = json.loads((tmp_path / "report.json").read_text(), parse_constant=refuse)
    assert len(data["cases"]) == len(report.rows)
    assert data["settings"]["missing"] == (missing or {})
    loaded = load_report(tmp_path / "report.json")
    assert str(loaded) == str(report)
    np.testing.assert_equal(
        [tuple(row) for row in loaded.rows], [tuple(row) for row in report.rows]
    )


def test_csv_holds_every_case(tmp_path):
    report = filled()
    report.save_csv(tmp_path / "report.csv")
    with (tmp_path / "report.csv").open(newline="") as file:
        head, *lines = csv.reader(file)
    assert head == list(Row._fields)
    np.testing.assert_equal([float(line[-1]) for line in lines], [row.value for row in report.rows])
    assert {line[-1] for line in lines} > {"nan", "inf"}


def test_processes_merge_and_padding_does_not_count_twice():
    whole, parts = filled(), [Report(resamples=500), Report(resamples=500)]
    rows = whole.rows
    parts[0].merge(rows[:20])
    parts[1].merge(rows[16:])  # four rows are in both, among them NaN
    parts[0].merge([tuple(row) for row in parts[1].rows])
    assert str(parts[0]) == str(whole)


def test_contradictions_and_unknown_names_are_errors():
    report = Report()
    report.add("scan", "anna", {"dice": 0.5})
    with pytest.raises(ValueError, match="contradicts"):
        report.add("scan", "anna", {"dice": 0.6})
    with pytest.raises(ValueError, match="contradicts"):
        report.add("scan", "bert", {"dice": 0.5})
    with pytest.raises(KeyError, match="there are"):
        report.values("iou")


@pytest.mark.parametrize("kind", ["box", "violin"])
def test_plot_by_target_draws_every_finite_value(kind, tmp_path):
    axes = plot_by_target(filled(), "hd95", kind=kind)
    drawn = np.sort(
        np.concatenate([line.get_ydata() for line in axes.lines if line.get_marker() == "o"])
    )
    values = np.array([row.value for row in filled().rows if row.score == "hd95"])
    np.testing.assert_array_equal(drawn, np.sort(values[np.isfinite(values)]))
    names = [each.get_text() for each in axes.get_xticklabels()]
    assert names == ["liver\n(2 left out)", "spleen"]
    assert [each.get_text() for each in axes.get_legend().get_texts()] == ["ours", "theirs"]
    axes.figure.savefig(tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 1000


def test_plot_of_constant_and_single_values():
    report = Report()
    for case in range(3):
        report.add(case, case, {"dice": 1.0})
    for kind in ("box", "violin"):
        plot_by_target(report, "dice", kind=kind).figure.draw_without_rendering()
    with pytest.raises(ValueError, match="kind is 'bar'"):
        plot_by_target(report, "dice", kind="bar")
    with pytest.raises(ValueError, match="no score 'iou'"):
        plot_by_target(report, "iou")


def test_plot_differences_pairs_by_case():
    report = filled()
    first = {
        row.case: row.value
        for row in report.rows
        if row[0] == "ours" and row[3:5] == ("liver", "dice")
    }
    second = {
        row.case: row.value
        for row in report.rows
        if row[0] == "theirs" and row[3:5] == ("liver", "dice")
    }
    axes = plot_differences(report, "dice", "ours", "theirs", target="liver")
    heights = [bar.get_height() for bar in axes.patches[:8]]
    np.testing.assert_allclose(heights, sorted(first[each] - second[each] for each in first))
    with pytest.raises(ValueError, match="infinite"):
        plot_differences(report, "hd95", "ours", "theirs", target="liver")
    report.add("another", "x", {"dice": 1.0}, method="new", target="liver")
    with pytest.raises(ValueError, match="share no case"):
        plot_differences(report, "dice", "ours", "new", target="liver")


def test_bland_altman_by_hand_and_edges():
    result = bland_altman([10, 22, NAN], [12, 20, 5])
    assert result.bias == 0
    assert result.high == -result.low == pytest.approx(1.96 * math.sqrt(8))
    assert math.isnan(bland_altman([1], [2]).low)
    assert math.isnan(bland_altman([], []).bias)
    axes = plot_bland_altman([10, 22], [12, 20], unit="ml")
    points = axes.collections[0].get_offsets()
    np.testing.assert_array_equal(points, [[11, -2], [21, 2]])
    plot_bland_altman([1], [2]).figure.draw_without_rendering()


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_a_report_saves_its_picture(tmp_path, ending):
    path = tmp_path / f"dice.{ending}"
    save_plot(filled(), path, "dice", kind="violin")
    assert path.read_bytes()[:5] in (b"\x89PNG\r", b"<?xml")
    with pytest.raises(ValueError, match="no score 'volume'"):
        save_plot(filled(), tmp_path / "other.png", "volume")
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
