"""Any scores of the queries: pooled as Dice is, in millimetres where the files name them."""

import numpy as np
import pytest
import torch

from episodes.catalog.class_areas import compute_class_areas
from episodes.catalog.spacing import pixel_spacing
from episodes.errors import FewshotError
from episodes.readers import read_catalog
from episodes.sampling.episode import Plan
from fewshot.evaluation.query_scores import QueryScores
from tests.cli.scans import write_scans
from tests.cli.test_score import save, square


@pytest.fixture
def scans(tmp_path):
    return compute_class_areas(read_catalog(write_scans(tmp_path / "scans", count=2)))


def test_volumes_name_their_spacing_and_pictures_none(scans, tmp_path):
    assert {pixel_spacing(sample) for sample in scans.samples} == {(1.0, 1.0)}
    for kind in ("images", "masks"):
        save(tmp_path / "pictures" / kind / "a.png", square(2, 2))
    pictures = compute_class_areas(read_catalog(tmp_path / "pictures"))
    assert [pixel_spacing(sample) for sample in pictures.samples] == [None]
    assert QueryScores(["hd"], 1.0, pictures).unit == "pixels"


def test_overlaps_are_pooled_and_distances_are_of_the_file(scans):
    """Slices of 40 x 36 (or 36 x 40) mm in a square of 80: half a millimetre a pixel."""
    scores = QueryScores(["dice", "hd", "nsd"], 1.0, scans)
    assert scores.unit == "mm"
    first, second = scans.samples[0], scans.samples[1]
    truth = np.full((2, 80, 80), 255, np.uint8)
    truth[:, 8:72, 8:72] = 0
    truth[:, 20:30, 20:30] = 1
    labels = np.zeros_like(truth)
    labels[0, 20:30, 24:34] = 1  # moved by 4 of the square's pixels
    plan = Plan(0, ("liver",), (("s",),), (first.key, second.key), ("one", "one"))
    scores.add_episode("model", plan, torch.from_numpy(labels), torch.from_numpy(truth))
    report = scores.report()
    assert report.values("dice", target="liver", method="model")[0] == pytest.approx(
        [2 * 60 / (2 * 60 + 40 + 140)]
    )
    distances, subjects, _ = report.values("hd", target="liver", method="model")
    assert subjects == ["one", "one"]
    assert distances == pytest.approx([2.0, 80 / 2 * 2**0.5])  # the second was missed
    assert report.missing == {"hd": pytest.approx(40 * 2**0.5)}
    assert report.values("nsd", target="liver", method="model")[0][1] == 0.0
    text = scores.text(report)
    assert "hd (mm)" in text
    assert "in 1 cases one side alone has it, which counts as 56.6 mm" in text
    assert "one subject" in text


def test_a_metric_that_is_not_there_is_refused(scans):
    with pytest.raises(FewshotError, match=r"no metric 'hd96'.*did you mean hd95"):
        QueryScores(["hd96"], 1.0, scans)
