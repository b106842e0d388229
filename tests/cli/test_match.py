"""`fewshot match`: from a folder of pictures to matches, a frozen threshold and masks."""

import json
import shutil
import warnings

import numpy as np
import pytest
from PIL import Image

from fewshot.cli.main import main
from tests.conftest import draw, save

pytest.importorskip("pyarrow", reason="the extra 'match' (pyarrow) is not installed")


def photograph(subject, seed):
    """Pictures of one subject have its stripes; noise and shift differ."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[:64, :64]
    angle, width = subject * 0.6, 3 + subject % 3 * 2
    phase = np.sin((rows * np.cos(angle) + columns * np.sin(angle)) / width + generator.random())
    return (128 + 90 * phase + generator.normal(0, 10, phase.shape)).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def album(tmp_path_factory):
    """Six subjects with three pictures each, in a plain folder."""
    root = tmp_path_factory.mktemp("album")
    for subject in range(6):
        for number in range(3):
            save(root / f"p{subject}_{number}.png", photograph(subject, 10 * subject + number))
    return root


@pytest.fixture(scope="module")
def index(album, tmp_path_factory):
    folder = tmp_path_factory.mktemp("match") / "index"
    arguments = ["match", "build", str(album), "--index", str(folder)]
    assert main([*arguments, "--subject-pattern", r"p\d"]) == 0
    return folder


def test_query_finds_the_other_pictures_of_the_subject(index, album, tmp_path, capsys):
    sheet = tmp_path / "sheets" / "matches.png"
    query = ["match", "query", str(album / "p3_1.png"), "--index", str(index)]
    assert main([*query, "--k", "3", "--out", str(sheet)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["rank", "distance", "key", "metadata"]
    rows = [line.split() for line in lines[1:4]]
    assert rows[0][2] == "p3_1.png"
    assert abs(float(rows[0][1])) < 1e-3
    assert {row[2] for row in rows} == {"p3_0.png", "p3_1.png", "p3_2.png"}
    assert "subject=p3" in lines[1]
    with Image.open(sheet) as picture:
        assert picture.width > 4 * 200
    assert main([*query, "--k", "2", "--without-subject", "p3"]) == 0
    assert "p3_" not in capsys.readouterr().out
    assert main([*query, "--where", "subject=p5", "plane=0"]) == 0
    assert capsys.readouterr().out.count("subject=p5") == 3


def test_add_makes_a_picture_findable_and_replaces_it(index, tmp_path, capsys):
    own = tmp_path / "index"
    shutil.copytree(index, own)
    new = save(tmp_path / "p9_0.png", photograph(9, 0))
    for added in ("1 images added, 19 in", "0 images added, 19 in"):
        arguments = ["match", "add", str(new), "--index", str(own), "--subject-pattern", r"p\d"]
        assert main(arguments) == 0
        assert added in capsys.readouterr().out
    assert main(["match", "query", str(new), "--index", str(own), "--k", "1"]) == 0
    assert "subject=p9" in capsys.readouterr().out


def test_a_threshold_is_frozen_audited_and_used(album, tmp_path, capsys):
    frozen = tmp_path / "decision.json"
    arguments = ["match", "threshold", str(album), "--out", str(frozen)]
    assert main([*arguments, "--subject-pattern", r"p\d", "--rule", "far=0.1"]) == 0
    out = capsys.readouterr().out
    assert "frozen in" in out
    assert "audit on 3 other subjects (9 and 9 pairs): FAR" in out
    verify = ["match", "verify", "--threshold", str(frozen)]
    assert main([*verify, str(album / "p1_0.png"), str(album / "p1_0.png")]) == 0
    assert "same subject: cosine 1.0" in capsys.readouterr().out
    assert main([*verify, str(album / "p1_0.png"), str(album / "p4_1.png")]) == 0
    assert "different subjects" in capsys.readouterr().out
    content = json.loads(frozen.read_text())
    frozen.write_text(json.dumps({**content, "model": "another"}))
    assert main([*verify, str(album / "p1_0.png"), str(album / "p1_1.png")]) == 2
    assert "chosen with another model" in capsys.readouterr().err
    frozen.write_text(json.dumps({**content, "model": ""}))
    with warnings.catch_warnings():
        warnings.simplefilter("default")  # a command prints its warnings
        assert main([*verify, str(album / "p1_0.png"), str(album / "p1_1.png")]) == 0
    assert "does not say which model it was chosen with" in capsys.readouterr().err


def test_segment_takes_the_best_support_of_a_gallery(index_set, tmp_path, capsys):
    query = save(tmp_path / "new.png", draw(5)[0])
    out = tmp_path / "masks"
    arguments = ["match", "segment", str(index_set), "--query", str(query), "--out", str(out)]
    assert main([*arguments, "--top", "2"]) == 0
    told = capsys.readouterr().out
    assert "new.png: supports images/p2_b.png, " in told  # the same picture, drawn with seed 5
    with Image.open(out / "new.png") as mask:
        assert mask.size == (56, 40)
        assert set(np.unique(np.asarray(mask))) <= {0, 1, 2, 3}
    summary = json.loads((out / "summary.json").read_text())
    (plane,) = summary["images"][0]["planes"]
    assert len(plane["supports"]) == 2
    assert (out / "new_overlay.png").exists()


def test_slices_of_a_volume_get_slices_of_one_volume_in_order(nifti_set, tmp_path, capsys):
    out = tmp_path / "masks"
    query = tmp_path / "query.nii.gz"
    shutil.copy(nifti_set / "image_1.nii.gz", query)
    arguments = ["match", "segment", str(nifti_set), "--query", str(query), "--out", str(out)]
    assert main([*arguments, "--rule", "slices", "--weight", "0.1"]) == 0
    summary = json.loads((out / "summary.json").read_text())
    supports = [plane["supports"][0] for plane in summary["images"][0]["planes"]]
    assert len(supports) == 6
    assert supports == sorted(supports)
    assert len({key.split("#")[0] for key in supports}) == 1
    assert supports[0].startswith("image_1")
    assert (out / "query.nii.gz").exists()


def test_volumes_are_segmented_in_place(nifti_set, tmp_path):
    """A copy of an annotated volume gets that volume's own masks back, or nearly so."""
    query = tmp_path / "query.nii.gz"
    shutil.copy(nifti_set / "image_1.nii.gz", query)
    arguments = ["match", "segment", str(nifti_set), "--query", str(query), "--out"]
    for name, more in {
        "whole": [],
        "few": ["--annotated", "slices", "--no-smooth", "--top", "2"],
    }.items():
        assert main([*arguments, str(tmp_path / name), *more]) == 0
        summary = json.loads((tmp_path / name / "summary.json").read_text())
        supports = [plane["supports"] for plane in summary["images"][0]["planes"]]
        assert [each[0].split("#")[0] for each in supports] == ["image_1.nii.gz"] * 6
        assert {len(each) for each in supports} == {2 if name == "few" else 1}
        assert 0.5 < summary["images"][0]["agreement"] <= 1


def test_what_cannot_be_done_is_told(index, album, tmp_path, capsys):
    def error(*arguments):
        assert main(["match", *map(str, arguments)]) == 2
        return capsys.readouterr().err

    assert "holds a match index; add to it" in error("build", album, "--index", index)
    assert "no match index" in error("query", album / "p0_0.png", "--index", tmp_path / "none")
    assert "expected name=value" in error(
        "query", album / "p0_0.png", "--index", index, "--where", "p1"
    )
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "holds no file that can be read" in error("build", empty, "--index", tmp_path / "i")
    assert "holds neither" in error("build", album, "--index", tmp_path / "i", "--model", empty)
    assert "Does --subject-pattern" in error(
        *("threshold", album, "--out", tmp_path / "t.json", "--subject-pattern", "p")
    )
    assert "top is 0" in error(
        *("segment", album, "--query", album / "p0_0.png", "--out", empty, "--top", "0")
    )


def test_help_names_every_action(capsys):
    with pytest.raises(SystemExit):
        main(["match", "--help"])
    out = capsys.readouterr().out
    assert all(word in out for word in ("build", "add", "query", "threshold", "verify", "segment"))


def test_an_image_of_many_fields_is_no_answer(index_set, tmp_path, capsys):
    one = np.asarray(Image.open(index_set / "images" / "p1_a.png"))
    query, out = tmp_path / "query", tmp_path / "out"
    query.mkdir()
    Image.fromarray(np.tile(one, (12, 12))).save(query / "many.png")
    Image.fromarray(one).save(query / "one.png")
    arguments = ["match", "segment", str(index_set), "--query", str(query), "--out", str(out)]
    assert main(arguments) == 2
    told = capsys.readouterr()
    assert "1 of 2 images segmented, 1 too large" in told.out
    assert "Cut it into parts" in told.err
    assert not (out / "many.png").exists()
    rows = json.loads((out / "summary.json").read_text())["images"]
    assert {row["image"]: row["answer"] for row in rows} == {"many.png": False, "one.png": True}
