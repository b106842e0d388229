import shutil

import numpy as np
import pytest
from PIL import Image

from episodes.catalog.class_areas import compute_class_areas
from episodes.errors import DataError
from episodes.readers import naming, read_catalog


def keys(catalog):
    return [sample.key for sample in catalog.samples]


def test_index_masks(index_set):
    catalog = read_catalog(index_set, subject_pattern=r"p\d+")
    assert catalog.name == "shapes"
    assert catalog.classes == ("disc", "bar", "square")
    assert keys(catalog)[:3] == ["images/p0_a.png", "images/p0_b.png", "images/p1_a.png"]
    assert catalog.subjects == ("p0", "p1", "p2", "p3")
    assert catalog.notes == ()
    assert not catalog.has_areas
    sample = catalog.samples[0]
    assert sample.size == (40, 56)
    assert sample.masks[0].pixels.path == index_set / "masks" / "p0_a.png"


def test_a_label_map_given_comes_before_the_file(index_set):
    catalog = read_catalog(index_set, label_map={1: "one", 2: None, 3: None})
    assert catalog.classes == ("one",)
    assert len(catalog.subjects) == 8  # every file is a subject without a pattern


def test_binary_masks_have_no_label_map_before_they_are_measured(binary_set):
    catalog = read_catalog(binary_set)
    assert catalog.classes == ()
    assert [sample.masks[0].label_map for sample in catalog.samples] == [None] * 3
    assert compute_class_areas(catalog).classes == ("foreground",)


def test_class_sub_folders_under_masks(class_masks_set):
    catalog = read_catalog(class_masks_set)
    assert sorted(catalog.classes) == ["bar", "disc"]
    for sample in catalog.samples:
        places = {m.label_map: m.pixels.path.parent.name for m in sample.masks}
        assert places == {"bar": "bar", "disc": "disc"}


def test_class_folders(class_folders_set):
    catalog = read_catalog(class_folders_set)
    assert catalog.classes == ("disc", "square")
    assert keys(catalog) == [
        *("disc/images/0.png", "disc/images/1.png"),
        *("square/images/0.png", "square/images/1.png"),
    ]
    assert [sample.masks[0].label_map for sample in catalog.samples] == ["disc"] * 2 + [
        "square"
    ] * 2


def test_stack_pages_are_samples_of_one_subject(stack_set):
    catalog = read_catalog(stack_set)
    assert keys(catalog) == [f"images/cells.tif#{page}" for page in range(4)]
    assert catalog.subjects == ("cells",)
    assert [sample.image.plane for sample in catalog.samples] == [0, 1, 2, 3]
    assert [sample.masks[0].pixels.plane for sample in catalog.samples] == [0, 1, 2, 3]


def test_sub_folders_are_part_of_the_names(tmp_path, make_png):
    pixels = np.zeros((4, 5), np.uint8)
    for patient in ("a", "b"):
        make_png(tmp_path / "Images" / patient / "1.png", pixels)
        make_png(tmp_path / "GroundTruth" / patient / "1.png", pixels)
    catalog = read_catalog(tmp_path, subject_pattern="^([^/]+)/")
    assert keys(catalog) == ["Images/a/1.png", "Images/b/1.png"]
    assert catalog.subjects == ("a", "b")
    masks = [sample.masks[0].pixels.path for sample in catalog.samples]
    assert [path.parent.name for path in masks] == ["a", "b"]


def test_partners_that_lack_are_noted(index_set, make_png):
    (index_set / "masks" / "p1_a.png").unlink()
    make_png(index_set / "masks" / "stray.png", np.zeros((4, 4), np.uint8))
    catalog = read_catalog(index_set)
    assert catalog.notes == (
        "1 images without a mask: p1_a",
        "1 masks without an image: stray",
    )
    assert [s.masks for s in catalog.samples if s.key == "images/p1_a.png"] == [()]
    assert len(catalog) == 8


def test_hidden_and_foreign_files_are_passed_over(index_set, make_png):
    (index_set / "images" / "notes.txt").write_text("hello")
    (index_set / "images" / ".DS_Store").write_text("")
    make_png(index_set / "images" / ".thumbnails" / "p0_a.png", np.zeros((4, 4), np.uint8))
    assert len(read_catalog(index_set)) == 8


def test_two_files_of_one_name(index_set):
    shutil.copy(index_set / "masks" / "p0_a.png", index_set / "masks" / "p0_a.tif")
    with pytest.raises(DataError, match=r"masks holds p0_a.png and p0_a.tif; expected one file a"):
        read_catalog(index_set)


def test_a_damaged_picture_is_named(index_set):
    (index_set / "images" / "p0_a.png").write_bytes(b"hello")
    with pytest.raises(DataError, match=r"p0_a.png is not an image"):
        read_catalog(index_set)


def test_what_is_no_data_set(tmp_path, index_set):
    with pytest.raises(DataError, match=r"nothing does not exist; expected a folder with images"):
        read_catalog(tmp_path / "nothing")
    with pytest.raises(DataError, match=r"p0_a.png is a file; expected a folder"):
        read_catalog(index_set / "images" / "p0_a.png")
    (tmp_path / "bare").mkdir()
    with pytest.raises(DataError, match=r"bare holds no file that can be read; expected images"):
        read_catalog(tmp_path / "bare")
    for name in ("images", "masks"):
        (tmp_path / "bare" / name).mkdir()
    with pytest.raises(DataError, match=r"bare holds no readable picture; expected files in its"):
        read_catalog(tmp_path / "bare")


@pytest.mark.parametrize("fixture", ["index_set", "class_masks_set", "class_folders_set"])
def test_keys_and_fingerprint_do_not_depend_on_the_place(request, tmp_path, fixture):
    root = request.getfixturevalue(fixture)
    before = compute_class_areas(read_catalog(root))
    root = root.rename(tmp_path / "moved and renamed")
    after = compute_class_areas(read_catalog(str(root)))
    assert keys(after) == keys(before)
    assert after.fingerprint == before.fingerprint
    with Image.open(root / after.samples[0].key) as picture:
        changed = np.zeros(picture.size[::-1], np.uint8)
    Image.fromarray(changed).save(after.samples[0].masks[0].pixels.path)
    assert compute_class_areas(read_catalog(root)).fingerprint != before.fingerprint


@pytest.mark.parametrize(
    ("name", "pattern", "expected"),
    [
        ("SC-HF-I-10-IM-0024", None, "SC-HF-I-10-IM-0024"),
        ("SC-HF-I-10-IM-0024", r"SC-[A-Z]+-[A-Z]+-\d+", "SC-HF-I-10"),
        ("patient7_slice3", r"patient(\d+)_", "7"),
    ],
)
def test_subjects(name, pattern, expected):
    assert naming.subject_of(name, pattern) == expected


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(", r"pattern '\(' is no regular expression"),
        ("x", r"pattern 'x' does not match the name 'p1'; it has to match every"),
        ("p(z*)", r"finds an empty subject in 'p1'"),
        ("p1|(q)", r"finds an empty subject in 'p1'"),
    ],
)
def test_subject_patterns_that_fail(pattern, message):
    with pytest.raises(DataError, match=message):
        naming.subject_of("p1", pattern)
