"""`--instances` and `fewshot count`: numbered objects, tables and run-lengths."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from episodes.io.formats.rle import from_pairs
from fewshot.cli.main import main
from fewshot.cli.options import Segment
from fewshot.cli.parse import with_auto
from tests.fewshot.inference.instances.test_predictor import cells

pytestmark = pytest.mark.filterwarnings("default")  # a command prints its warnings


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """An annotated image of ten objects, one of eight, and one of none."""
    root = tmp_path_factory.mktemp("cells")
    image, numbers = cells(0)
    Image.fromarray(image).save(root / "cell.png")
    Image.fromarray(numbers).save(root / "numbers.png")
    (root / "query").mkdir()
    Image.fromarray(cells(1, pairs=4)[0]).save(root / "query" / "eight.png")
    Image.fromarray(np.full((40, 50), 40, np.uint8)).save(root / "query" / "none.png")
    return root


def typed(command, root, out, *more):
    words = ["--support", root / "cell.png", "--mask", root / "numbers.png"]
    words += ["--query", root / "query", "--out", out, "--predictor", "threshold", *more]
    return main([command, *map(str, words)])


def test_count_writes_a_row_an_object_and_a_total_an_image(pictures, tmp_path, capsys):
    out = tmp_path / "out"
    assert typed("count", pictures, out, "--instances", "distance") == 0
    printed = capsys.readouterr()
    assert "10 annotated objects" in printed.out
    assert "8 objects in 2 images" in printed.out
    assert "one intensity alone" in printed.err
    counts = rows_of(out / "counts.csv")
    assert [(row["image"], row["class"], row["count"]) for row in counts] == [
        *(("eight.png", "object", "8"), ("none.png", "object", "0"))
    ]
    objects = rows_of(out / "objects.csv")
    assert len(objects) == 8
    numbers = np.asarray(Image.open(out / "eight_instances.png"))
    runs = [row for row in rows_of(out / "bowl.csv") if row["ImageId"] == "eight"]
    back = np.zeros_like(numbers)
    for number, row in enumerate(runs, 1):
        back[from_pairs(row["EncodedPixels"], numbers.shape)] = number
    np.testing.assert_array_equal(back, numbers)
    assert sum(int(row["pixels"]) for row in objects) == (numbers > 0).sum()
    assert {"ImageId": "none", "EncodedPixels": ""} in rows_of(out / "bowl.csv")
    summary = json.loads((out / "summary.json").read_text())
    assert [image["objects"] for image in summary["images"]] == [8, 0]
    assert summary["instances"]["dark"]["classes"]["object"]["sizes"]["count"] == 10

    (out / "eight.png").unlink()  # is made again; the other is kept, and stays in the tables
    assert typed("count", pictures, out, "--instances", "distance") == 0
    assert rows_of(out / "counts.csv") == counts


def test_numbered_objects_turn_instances_on_and_the_mask_stays_that_of_the_class(
    pictures, tmp_path, capsys
):
    out = tmp_path / "out"
    assert typed("segment", pictures, out, "--classes", "cell") == 0
    assert "numbered objects; instances are written" in capsys.readouterr().out
    assert np.unique(np.asarray(Image.open(out / "eight.png"))).tolist() == [0, 1]
    assert np.asarray(Image.open(out / "eight_instances.png")).max() == 8
    assert (out / "objects.csv").exists()
    assert not (out / "bowl.csv").exists()


def test_numbers_that_are_there_are_counted(pictures, tmp_path, capsys):
    assert main(["count", "--labels", str(pictures / "numbers.png"), "--out", str(tmp_path)]) == 0
    (row,) = rows_of(tmp_path / "counts.csv")
    assert (row["count"], row["image"]) == ("10", "numbers.png")
    assert "10 objects in 1 images" in capsys.readouterr().out
    assert "score" not in rows_of(tmp_path / "objects.csv")[0]


def test_what_is_missing_is_named(tmp_path, capsys):
    assert main(["count", "--out", str(tmp_path)]) == 2
    assert "--support, --mask, --query is missing" in capsys.readouterr().err


def test_instances_may_stand_alone():
    words = ["--instances", "--out", "a", "--instances", "border", "--instances"]
    assert with_auto(Segment, words) == [
        *("--instances", "auto", "--out", "a", "--instances", "border", "--instances", "auto")
    ]
