"""Folders of pictures without masks, in every command that takes a data set."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from episodes.errors import DataError
from episodes.readers import read_catalog
from fewshot.cli.main import main
from fewshot.experiments.model_card import model_card

TINY = ["--size", "64", "--steps", "1", "--batch", "1"]


def picture(seed, side=72):
    noise = np.random.default_rng(seed).normal(60, 12, (side, side))
    noise[20:50, 15 + seed % 9 : 40] += 90
    return noise.clip(0, 255).astype(np.uint8)


@pytest.fixture
def people(tmp_path):
    """Three people with three pictures each, as faces are kept, and what systems leave there."""
    root = tmp_path / "orl"
    for person in range(3):
        (root / f"s{person}").mkdir(parents=True)
        for number in range(3):
            pixels = picture(10 * person + number, 72 + number)
            Image.fromarray(pixels).save(root / f"s{person}" / f"{number}.pgm")
        (root / f"s{person}" / "._0.pgm").write_bytes(b"\0\5\26\7")
        (root / f"s{person}" / "Thumbs.db").write_bytes(b"\1")
    (root / "__MACOSX").mkdir()
    (root / "__MACOSX" / "0.pgm").write_bytes(b"\0\5\26\7")
    (root / "README.txt").write_text("faces")
    return root


def test_a_sub_folder_is_a_subject(people):
    catalog = read_catalog(people)
    assert (catalog.layout, len(catalog), catalog.classes) == ("pictures", 9, ())
    assert catalog.subjects == ("s0", "s1", "s2")
    assert catalog.has_areas
    assert read_catalog(people, subject_pattern=r"/(\d)").subjects == ("0", "1", "2")
    assert read_catalog(people / "s0").subjects == ("0", "1", "2")  # flat: a file is a subject
    deep = people.parent / "deep" / "all"
    deep.parent.mkdir()
    people.rename(deep)
    (deep / "s0").rename(deep / "train")
    (deep / "train" / "s0").mkdir()
    (deep / "train" / "0.pgm").rename(deep / "train" / "s0" / "0.pgm")
    assert read_catalog(deep.parent).subjects == ("all/train/1", "all/train/2", "s0", "s1", "s2")


def test_pictures_that_cannot_be_opened_are_named(people):
    (people / "s0" / "0.pgm").write_bytes(b"")
    (people / "s1" / "1.pgm").write_bytes(b"no picture")
    catalog = read_catalog(people)
    assert len(catalog) == 7
    assert "2 pictures cannot be read and are left out: " in catalog.notes[1]
    assert "0.pgm is not an image" in catalog.notes[1]
    for path in people.rglob("[0-9].pgm"):
        path.write_bytes(b"")
    with pytest.raises(DataError, match=r"none of 9 pictures can be read: .*0.pgm is not an image"):
        read_catalog(people)


def test_inspect(people, capsys):
    assert main(["inspect", str(people)]) == 0
    said = capsys.readouterr().out
    assert "9 images (0 annotated) of 3 subjects, read as pictures" in said
    assert "9 pictures without masks, of 3 subjects" in said
    assert "no class" not in said
    assert main(["inspect", ".", "--layouts"]) == 0
    assert "  pictures: Pictures without masks" in capsys.readouterr().out


def test_train_on_everything_without_labels(people, tmp_path, capsys):
    out = tmp_path / "run"
    assert main(["train", str(people), "--test-share", "0", "--out", str(out), *TINY]) == 0
    said = capsys.readouterr().out
    assert "9 training images of 3 subjects, no base classes" in said
    assert "held out: no subject, so there is none to evaluate on" in said
    assert "next: fewshot segment" in said
    assert len(json.loads((out / "split.json").read_text())["train_subjects"]) == 3
    card = model_card(out, "faces")
    assert "- held out: nothing; every subject of the data was trained on" in card
    assert "- classes: none, as there were no masks" in card
    assert main(["evaluate", str(out)]) == 2
    assert "was trained on every subject (--test-share 0)" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "DATA", "--superpixels", "0", "--out", "OUT", *TINY],
        ["match", "train", "DATA", "--identity", "class", "--out", "OUT"],
        ["match", "train", "DATA", "--regions", "--out", "OUT"],
        ["match", "score", "DATA", "--identity", "class"],
        ["match", "segment", "DATA", "--query", "DATA/s0/0.pgm", "--out", "OUT"],
        ["protocol", "DATA", "--protocols", "one-image"],
    ],
)
def test_what_needs_masks_says_so_at_once(people, tmp_path, capsys, arguments):
    places = {"DATA": str(people), "OUT": str(tmp_path / "out")}
    typed = [a.replace("DATA", places["DATA"]).replace("OUT", places["OUT"]) for a in arguments]
    assert main(typed) == 2
    first, *rest = capsys.readouterr().err.strip().splitlines()[-2:]
    assert re.search(r"error: orl holds [69] pictures without masks; ", first), (first, rest)
    assert first.endswith("needs masks.")


def test_match_on_pictures(people, tmp_path, capsys):
    out = str(tmp_path / "pairs")
    small = ["--network", "small", "--widths", "8", "8", "--blocks", "1", "--size", "32"]
    typed = ["match", "train", str(people), "--out", out, "--steps", "1", "--test-share", "0"]
    assert main([*typed, "--classes-per-batch", "2", "--images-per-class", "2", *small]) == 0
    assert "held out: 0 images" in capsys.readouterr().out
    index = str(tmp_path / "index")
    assert main(["match", "build", str(people), "--index", index, "--model", out]) == 0
    assert "9 images in" in capsys.readouterr().out
    flat = ["match", "train", str(people / "s0"), "--out", str(tmp_path / "o"), *small]
    assert main([*flat, "--test-share", "0"]) == 2
    assert "name the subjects with --subject-pattern" in capsys.readouterr().err


@pytest.mark.parametrize("share", ["1", "nan", "-0.1"])
def test_shares_that_are_none(index_set, tmp_path, capsys, share):
    out = str(tmp_path / "run")
    assert main(["train", str(index_set), f"--test-share={share}", "--out", out, *TINY]) == 2
    assert re.search(
        rf"test-share is {share}.*; expected a (share|number) from 0 ", capsys.readouterr().err
    )


def test_few_subjects(index_set, tmp_path, capsys):
    common = ["train", str(index_set), "--out", str(tmp_path / "run"), *TINY]
    assert main([*common, "--subject-pattern", "p"]) == 2
    assert "there is one subject (p)" in capsys.readouterr().err
    assert main([*common, "--subject-pattern", "[ab]$", "--test-subjects", "a", "b"]) == 2
    assert "all 2 subjects are held out" in capsys.readouterr().err


def test_classes_can_be_held_out_without_subjects(index_set, tmp_path, capsys):
    out = tmp_path / "run"
    typed = ["train", str(index_set), "--novel", "disc", "--test-share", "0", "--out", str(out)]
    assert main([*typed, *TINY]) == 0
    assert "2 base classes: bar, square" in capsys.readouterr().out


def test_images_without_a_mask_are_said_in_every_command(index_set, tmp_path, capsys):
    (index_set / "masks" / "p1_a.png").unlink()
    main(["train", str(index_set), "--novel", "no", "--out", str(tmp_path / "o"), *TINY])
    assert "note: 1 images without a mask: p1_a" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["masks/a", "masks/b"], r"the folder masks/ is called as one of masks"),
        (["SegmentationClass/a"], r"the folder SegmentationClass/ is called as one of masks"),
        (["a_mask", "b_mask"], r"2 are called as masks \(a_mask.png, b_mask.png\)"),
        (["truth/a", "photo_of/a"], r"truth/a.png looks like the mask of photo_of/a.png"),
        (["a", "a_roi"], r"a_roi.png looks like the mask of a.png"),
    ],
)
def test_masks_are_not_taken_for_pictures(tmp_path, make_png, names, message):
    for name in names:
        is_mask = any(word in name for word in ("mask", "truth", "roi", "Class"))
        make_png(
            tmp_path / f"{name}.png", (picture(0) > 120) * np.uint8(255) if is_mask else picture(0)
        )
    with pytest.raises(DataError, match=message):
        read_catalog(tmp_path)


def test_blank_pictures_are_no_masks(people):
    Image.fromarray(np.zeros((72, 72), np.uint8)).save(people / "s1" / "0.pgm")
    Image.fromarray((picture(0) > 120) * np.uint8(255)).save(people / "s2" / "0.pgm")
    assert len(read_catalog(people)) == 9


def test_names_of_classes_name_nothing_without_masks(people):
    with pytest.raises(DataError, match="--classes names nothing"):
        read_catalog(people, label_map="face")
