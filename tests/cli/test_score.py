"""`fewshot score`: masks of any tool against true ones, by hand."""

import csv
import json
import math

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from fewshot.cli.main import main


def save(path, labels):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, np.asarray(labels, np.uint8))
    else:
        Image.fromarray(np.asarray(labels, np.uint8)).save(path)


def square(top, left, side=4, value=1, size=12):
    labels = np.zeros((size, size), np.uint8)
    labels[top : top + side, left : left + side] = value
    return labels


def run(tmp_path, capsys, *words, code=0):
    """The report of a run, or the message of a refusal; and what was printed."""
    out = tmp_path / "out"
    paths = [str(tmp_path / "pred"), str(tmp_path / "truth")]
    assert main(["score", *paths, "--out", str(out), *words]) == code
    said = capsys.readouterr()
    return (json.loads((out / "scores.json").read_text()), said.out) if code == 0 else said.err


def values(report, score, target=None):
    return [c["value"] for c in report["cases"]
            if c["score"] == score and target in (None, c["target"])]  # fmt: skip


def test_scores_by_hand_and_everything_that_is_odd_is_told(tmp_path, capsys):
    for name, shift in (("a_1", 0), ("a_2", 2), ("b_1", 0)):
        save(tmp_path / "truth" / f"{name}_gt.png", square(2, 2) + square(8, 8, 3, 2))
        save(tmp_path / "pred" / f"{name}-pred.npy", square(2, 2 + shift))
    save(tmp_path / "pred" / "c_1.png", square(2, 2))
    words = ("--subject-pattern", "^[ab]", "--classes", "1=disc", "2=bar")
    report, said = run(tmp_path, capsys, *words, "--metrics", "dice", "iou", "hd", "nsd")
    assert values(report, "dice", "disc") == [1.0, 0.5, 1.0]
    assert values(report, "iou", "disc") == [1.0, pytest.approx(1 / 3), 1.0]
    assert values(report, "hd", "disc") == [0.0, 2.0, 0.0]
    assert values(report, "nsd", "disc") == [1.0, 1.0, 1.0]  # 2 pixels are forgiven
    assert values(report, "dice", "bar") == [0.0] * 3
    assert values(report, "hd", "bar") == ["inf"] * 3
    assert report["settings"]["missing"] == {"hd": pytest.approx(math.hypot(12, 12))}
    disc = report["summary"][0]
    assert disc["interval"]["mean"] == 0.875  # of subject a 0.75, of b 1
    assert (disc["interval"]["low"], disc["interval"]["high"]) == (0.75, 1.0)
    for told in (
        "1 predictions without a truth: c_1",
        "in the truth alone: bar (2)",
        "hd (pixels)",
        "disc 87.5 [75.0, 100.0]",
        "all 43.8 [37.5, 50.0]",
        "3 cases, means over 2 subjects [95 % bootstrap interval]",
        "bar: in 3 cases one side alone has it, which counts as 17.0 pixels in hd",
    ):
        assert told in " ".join(said.split()), told
    rows = list(csv.DictReader((tmp_path / "out" / "cases.csv").read_text().splitlines()))
    assert len(rows) == 3 * 2 * 4
    assert "| disc | 87.5 [75.0, 100.0] |" in (tmp_path / "out" / "scores.md").read_text()
    run(tmp_path, capsys, *words)  # its own files are replaced without a word
    (tmp_path / "out" / "scores.json").write_text('{"mine": 1}')
    assert "exists" in run(tmp_path, capsys, *words, code=2)


def test_a_missing_prediction_is_refused_or_counts_as_empty(tmp_path, capsys):
    for name in "ab":
        save(tmp_path / "truth" / f"{name}.png", square(2, 2))
    save(tmp_path / "pred" / "a.png", square(2, 2))
    assert "1 of 2 true masks have no prediction" in run(tmp_path, capsys, code=2)
    report, said = run(tmp_path, capsys, "--missing", "empty")
    assert values(report, "dice") == [1.0, 0.0]
    assert "1 without a prediction, counted as empty: b" in said
    save(tmp_path / "pred" / "mask_b.png", square(2, 2))
    save(tmp_path / "pred" / "b_label.png", square(2, 2))
    assert "the true mask 'b' has two predictions" in run(tmp_path, capsys, code=2)


def test_one_file_against_another_and_one_subject_has_no_interval(tmp_path, capsys):
    save(tmp_path / "truth" / "x.png", square(2, 2) * 255)
    save(tmp_path / "pred" / "y.png", square(2, 4))
    paths = [str(tmp_path / "pred" / "y.png"), str(tmp_path / "truth" / "x.png")]
    assert main(["score", *paths, "--spacing", "0.5", "--metrics", "dice", "hd"]) == 0
    said = capsys.readouterr().out
    assert "foreground 50.0 1.0" in " ".join(said.split())
    assert "hd (mm)" in said
    assert "one subject, so there is no interval" in said
    assert main(["score", paths[0], str(tmp_path / "truth")]) == 2
    assert "a file and a folder" in capsys.readouterr().err


def test_unknown_pixels_of_the_truth_count_nowhere(tmp_path, capsys):
    truth = square(2, 2)
    truth[:, 4:] = 255
    save(tmp_path / "truth" / "a.png", truth)
    save(tmp_path / "pred" / "a.png", square(2, 2))
    words = ("--classes", "1=disc", "255=unknown", "--metrics", "dice", "hd95", "cldice", "assd",
             "boundary_iou", "specificity", "masd", "volumetric_similarity")  # fmt: skip
    report, _ = run(tmp_path, capsys, *words)
    assert {score: values(report, score) for score in ("dice", "hd95", "cldice")} == {
        "dice": [1.0], "hd95": [0.0], "cldice": [1.0]
    }  # fmt: skip
    save(tmp_path / "pred" / "a.png", truth)
    save(tmp_path / "truth" / "a.png", square(2, 2))
    assert "leaves 96 pixels unknown that the truth knows" in run(tmp_path, capsys, *words, code=2)


def test_objects_are_matched_whatever_their_numbers(tmp_path, capsys):
    truth = square(0, 0, 3, 1) + square(0, 6, 3, 2) + square(6, 0, 3, 255)
    save(tmp_path / "truth" / "a.png", truth)
    save(tmp_path / "pred" / "a.png", square(0, 0, 3, 9) + square(0, 6, 3, 4))
    report, said = run(tmp_path, capsys, "--instances", "--classes", "cell")
    assert values(report, "objects_f1") == [0.8]
    assert values(report, "objects_precision") == [1.0]
    assert values(report, "objects_recall") == [pytest.approx(2 / 3)]
    assert values(report, "pq") == [0.8]
    assert values(report, "count_error") == [-1.0]
    assert values(report, "count_mae") == [1.0]
    assert values(report, "dice", "cell") == [0.8]
    assert "-1.0" in said
    error = run(tmp_path, capsys, "--instances", "--classes", "1=cell", "2=dirt", code=2)
    assert "expected one name for all of them" in error


def volume(path, labels, affine):
    path.parent.mkdir(exist_ok=True)
    nib.save(nib.Nifti1Image(labels.astype(np.uint8), affine), path)


def test_volumes_are_laid_on_each_other_and_measured_in_mm(tmp_path, capsys):
    labels = np.zeros((8, 9, 5), np.uint8)
    labels[2:5, 2:5, 1:4] = 1
    affine = np.diag([1.5, 1.5, 4.0, 1.0])
    volume(tmp_path / "truth" / "label_1.nii.gz", labels, affine)
    turned = np.diag([-1.5, 1.5, 4.0, 1.0])
    turned[0, 3] = 1.5 * 7
    moved = np.roll(labels, 2, axis=0)
    volume(tmp_path / "pred" / "image_1.nii.gz", moved[::-1], turned)
    report, said = run(tmp_path, capsys, "--metrics", "dice", "hd")
    assert values(report, "dice") == [pytest.approx(1 / 3)]
    assert values(report, "hd") == [3.0]
    assert report["distances"] == "mm"
    assert "hd (mm)" in said
    affine[0, 3] = 100.0
    volume(tmp_path / "pred" / "image_1.nii.gz", labels, affine)
    assert "does not lie on" in run(tmp_path, capsys, code=2)
    assert run(tmp_path, capsys, "--ignore-affine")[0]["cases"][0]["value"] == 1.0


@pytest.mark.parametrize(
    ("labels", "words", "said"),
    [
        (square(2, 2, size=13), (), "has 13 x 13 pixels"),
        (square(2, 2, value=7), ("--classes", "1=disc"), "holds 7, which nobody named"),
        (square(2, 2), ("--metrics", "dise"), "did you mean dice"),
        (square(2, 2), ("--metrics", "dice", "dice"), "named twice"),
        (square(2, 2), ("--spacing", "1", "2", "3", "4"), "one number, or one an axis"),
    ],
)
def test_what_cannot_be_compared_is_refused(tmp_path, capsys, labels, words, said):
    save(tmp_path / "truth" / "a.png", square(2, 2))
    save(tmp_path / "pred" / "a.png", labels)
    assert said in run(tmp_path, capsys, *words, code=2)
    assert not (tmp_path / "out").exists()
