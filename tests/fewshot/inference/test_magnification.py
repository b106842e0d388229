"""Images of many fields of view, of one, and of a part of one."""

import json
import warnings
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from episodes.errors import FewshotError, ModelError
from episodes.io.geometry import Geometry
from fewshot.cli.main import main
from fewshot.inference.inputs import image_planes
from fewshot.inference.magnification import annotated_scale, magnified, vanishing
from fewshot.inference.postprocessing.settings import PostprocessSettings
from fewshot.inference.resolution import structure_width
from fewshot.inference.tiles import parts
from fewshot.models.checkpoint import load_support, save_support
from fewshot.models.scale import AnnotatedScale

ROWS, COLUMNS = np.mgrid[:48, :64]
DISC = (ROWS - 20) ** 2 + (COLUMNS - 30) ** 2 < 12**2


def field(seed: int = 0) -> np.ndarray:
    """A bright disc on dark noise."""
    noise = np.random.default_rng(seed).normal(60, 10, DISC.shape)
    return (noise + 120 * DISC).clip(0, 255).astype(np.uint8)


def dice(found: np.ndarray, truth: np.ndarray) -> float:
    return 2 * (found & truth).sum() / (found.sum() + truth.sum())


def blank(height: int, width: int, spacing: float = 0.0):
    picture = image_planes(np.zeros((height, width), np.uint8))
    if not spacing:
        return picture
    affine = np.diag([spacing, spacing, 5.0, 1.0])
    return replace(picture, geometry=Geometry(affine, (width, height, 1), (2, 1, 0), ()))


@pytest.mark.parametrize("width", [1, 2, 6, 15])
def test_the_width_of_a_strip_is_measured(width):
    strip = np.zeros((1, 60, 100), np.uint8)
    strip[0, 20 : 20 + width] = 1
    # Pixels are as far from the edge as their own middle is, so thin strips count as four.
    assert 100 * structure_width([strip]) == pytest.approx(max(width, 4), abs=2.1)
    both = strip.copy()
    both[0, 50:52, :50] = 2
    assert structure_width([both]) <= structure_width([strip])  # the thinnest class counts
    double = strip.repeat(2, axis=1).repeat(2, axis=2)
    assert structure_width([double]) == pytest.approx(structure_width([strip]), abs=0.021)


def test_what_vanishes_depends_on_the_number_of_fields_and_on_the_size():
    known = AnnotatedScale(width=0.1, side=100)  # 10 pixels; of 256, 25.6 or 3.2 entries of 8
    assert vanishing(known, blank(100, 100), 256, 8) == ""
    assert vanishing(known, blank(310, 310), 256, 8) == ""
    said = vanishing(known, blank(330, 100), 256, 8)
    assert "330 x 100 pixels" in said
    assert "0.97 entries" in said
    assert "3.2 in the annotated images" in said
    assert all(way in said for way in ("--tiles", "--size 384", "--other-magnification"))
    assert vanishing(known, blank(330, 100), 384, 8) == ""
    thin = AnnotatedScale(width=0.02, side=100)
    assert vanishing(thin, blank(190, 190), 256, 8) == ""  # as large as the annotated one, nearly
    assert vanishing(thin, blank(200, 200), 256, 8)
    assert vanishing(None, blank(9000, 9000), 256, 8) == ""


def test_files_that_say_how_wide_a_pixel_is_leave_no_doubt():
    known = AnnotatedScale(width=0.1, side=100, spacing=1.0)
    assert vanishing(known, blank(1600, 1600, 0.0625), 256, 8) == ""  # the same field
    assert "by the width of its pixels" in vanishing(known, blank(400, 400, 1.0), 256, 8)
    assert vanishing(known, blank(150, 150, 10.0), 256, 8)
    assert "at the magnification" in vanishing(known, blank(400, 400), 256, 8)
    shots = [blank(48, 64, 2.0)]
    assert annotated_scale(shots, [DISC[None].astype(np.uint8)]).spacing == 2.0
    assert annotated_scale([blank(48, 64)], [DISC[None].astype(np.uint8)]).spacing == 0.0


def test_a_part_of_one_structure_is_told_of():
    known = AnnotatedScale(width=0.2, side=1000)
    assert "200 pixels wide" in magnified(known, blank(150, 150))
    assert magnified(known, blank(250, 250)) == ""
    assert magnified(known, blank(1000, 1000)) == ""


def test_a_large_image_is_no_answer_unless_in_tiles(segmenter, tmp_path):
    support = segmenter.learn(field(), DISC)
    many, truth = np.tile(field(1), (6, 6)), np.tile(DISC, (6, 6))
    with pytest.warns(UserWarning, match="too many to be compared at once"):
        whole = segmenter.segment(many, support)
    assert whole.no_answer
    assert whole.summary()["answer"] is False
    assert whole.summary()["reason"] == whole.no_answer
    again = load_support(save_support(support, tmp_path / "s.safetensors"))
    assert again.annotated == support.annotated
    tiled = segmenter.segment(many, again, tiles=True)
    assert tiled.summary()["answer"] is True
    assert tiled.mask.shape == many.shape
    assert dice(tiled.labels[0] == 1, truth) >= 0.8 > dice(whole.labels[0] == 1, truth)
    np.testing.assert_allclose(tiled.probabilities.sum(axis=0, dtype=np.float32), 1, atol=5e-3)
    stacked = segmenter.segment(np.stack([many[:96, :128]] * 2), again, tiles=True, axes="ZYX")
    assert stacked.labels.shape == (2, 96, 128)
    assert (stacked.labels[0] == stacked.labels[1]).all()


def test_the_same_scene_at_a_higher_resolution_is_an_answer(segmenter):
    support = segmenter.learn(field(), DISC)
    fine = field(1).repeat(6, axis=0).repeat(6, axis=1)
    found = segmenter.segment(fine, support, other_magnification=True)
    assert found.no_answer == ""
    assert dice(found.labels[0] == 1, DISC.repeat(6, axis=0).repeat(6, axis=1)) > 0.8
    one = segmenter.segment(field(1), support, tiles=True)  # hardly larger: not cut
    np.testing.assert_array_equal(one.labels, segmenter.segment(field(1), support).labels)


def test_an_empty_part_of_an_image_stays_empty(segmenter):
    """The range of intensities is the whole image's; a part's own would make discs of noise."""
    support = segmenter.learn(field(), DISC)
    noise = np.random.default_rng(5).normal(60, 10, (144, 192)).clip(0, 255).astype(np.uint8)
    noise[:48, :64] = field(1)
    found = segmenter.segment(noise, support, tiles=True).labels[0] == 1
    assert found[80:, 100:].mean() < 0.02
    assert found[8:33, 18:43].mean() > 0.5


def test_what_tiles_cannot_do_is_told(segmenter):
    support = segmenter.learn(field(), DISC)
    for settings in (PostprocessSettings(keep="largest"), PostprocessSettings(fill=True)):
        with pytest.raises(ModelError, match="needs the whole picture"):
            segmenter.segment(field(), support, settings, tiles=True)
    with pytest.raises(ModelError, match="an earlier version learned the support"):
        segmenter.segment(field(), replace(support, annotated=None), tiles=True)
    with pytest.raises(ModelError, match="no support"):
        segmenter.segment(field(), [], tiles=True)


@pytest.mark.parametrize(
    ("height", "width", "side"), [(5, 9, 4), (4, 4, 4), (100, 7, 8), (9, 3, 1)]
)
def test_parts_cover_an_image_and_overlap(height, width, side):
    seen = np.zeros((height, width), int)
    for rows, columns in parts(height, width, side):
        seen[rows, columns] += 1
        assert seen[rows, columns].shape == (min(side, height), min(side, width))
    assert seen.min() >= 1


def test_the_command_never_calls_it_an_answer(tmp_path, capsys):
    for name, pixels in {"a": field(), "m": DISC * np.uint8(255)}.items():
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    (tmp_path / "queries").mkdir()
    Image.fromarray(np.tile(field(1), (40, 40))).save(tmp_path / "queries" / "many.png")
    Image.fromarray(field(2)).save(tmp_path / "queries" / "one.png")
    pair = ["--support", str(tmp_path / "a.png"), "--mask", str(tmp_path / "m.png")]
    asked = ["segment", *pair, "--query", str(tmp_path / "queries"), "--size", "128", "--out"]
    out = tmp_path / "out"
    assert main([*asked, str(out)]) == 2
    told = capsys.readouterr()
    assert "1 of 2 images segmented, 1 too large" in told.out
    assert "--tiles cuts it" in told.err
    assert not (out / "many.png").exists()
    rows = {row["image"]: row for row in json.loads((out / "summary.json").read_text())["images"]}
    assert rows["one.png"]["answer"] is True
    assert rows["many.png"]["answer"] is False
    assert "structures cover" in rows["many.png"]["reason"]
    assert main([*asked, str(tmp_path / "x"), "--tiles", "--other-magnification"]) == 2
    assert "leave out --other-magnification" in capsys.readouterr().err


def test_nothing_is_warned_of_where_nothing_is_wrong(segmenter):
    support = segmenter.learn(field(), DISC)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for query in (field(1), np.tile(field(1), (2, 2)), field(1)[10:34, 20:52]):
            assert segmenter.segment(query, support).no_answer == ""
    with pytest.raises(FewshotError):
        segmenter.segment(np.zeros((0, 4)), support)
