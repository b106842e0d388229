from dataclasses import replace
from pathlib import Path

import numpy as np

from episodes.catalog.mask_counts import count_masks
from episodes.catalog.quality import (
    apply_label_map_leniently,
    class_problems,
    mask_problems,
    split_problems,
)
from episodes.io.pixels import PixelRef
from episodes.readers import read_catalog
from tests.episodes.sampling.test_sampler import toy


def settle(root, **options):
    catalog = read_catalog(root, **options)
    return apply_label_map_leniently(catalog, count_masks(catalog))


def test_every_value_that_nobody_named(index_set):
    catalog, said = settle(index_set, label_map={1: "disc"})
    assert len(said) == 2
    assert said[0].startswith(
        "mask value 2 has no name: 1,152 pixels in 8 mask file(s) (p0_a.png, p0_b.png, p1_a.png, "
        'p1_b.png and 4 more). Add "2": "NAME" to classes.json'
    )
    assert "2=NAME to --classes" in said[0]
    assert said[1].startswith("mask value 3 has no name")
    assert catalog.classes == ("disc", "value 2", "value 3")
    assert catalog.samples[0].areas["value 2"] == 144


def test_nothing_to_say_of_named_values(index_set, class_masks_set, binary_set):
    for root in (index_set, class_masks_set, binary_set):
        catalog, said = settle(root)
        assert said == []
        assert catalog.has_areas


def test_too_many_values_count_as_objects(tmp_path, make_png):
    make_png(tmp_path / "images" / "0.png", np.zeros((20, 20), np.uint8))
    make_png(tmp_path / "masks" / "0.png", np.arange(400, dtype=np.uint16).reshape(20, 20))
    catalog, said = settle(tmp_path)
    assert catalog.classes == ("objects",)
    assert catalog.samples[0].areas == {"objects": 399}
    assert len(said) == 1
    assert "--classes NAME" in said[0]


def test_classes_and_masks():
    rows = [("p", {"a": 500, "b": 3}), ("p", {"a": 20}), ("q", {"b": 50}), ("q", {"test": 99})]
    said = class_problems(toy(rows, ["a", "b", "c", "test"]))
    assert said == [
        "class a occurs in one subject only: support and query cannot come from different "
        "subjects, and no interval can be given",
        "class b has fewer than 16 pixels in 1 image(s): p/0; specks?",
        "class c is named but no mask shows it",
        said[3],
        "class test is called as a part of a split is: a folder with images and masks in it is "
        "taken for a class; inspect the folder test alone",
    ]
    assert class_problems(toy([], ""))[0].startswith("no class at all")


def test_empty_masks_are_named(tmp_path, make_png):
    for number in range(3):
        make_png(tmp_path / "images" / f"{number}.png", np.zeros((9, 9), np.uint8))
        make_png(tmp_path / "masks" / f"{number}.png", np.full((9, 9), number == 1, np.uint8))
    catalog, _ = settle(tmp_path)
    assert mask_problems(catalog) == [
        "2 of 3 images have an empty mask: images/0.png, images/2.png"
    ]


def test_subjects_in_train_and_test():
    catalog = toy([("train/p1", {}), ("Test/p1", {}), ("train/p2", {}), ("val/p3", {})], "")
    root = Path("/data")
    placed = tuple(
        replace(s, image=PixelRef(root / "images" / s.subject / "x.png")) for s in catalog.samples
    )
    said = split_problems(replace(catalog, samples=placed), root)
    assert said == [
        "1 subject(s) lie in more than one of the folders test, train: p1; "
        "training would see what is tested"
    ]
    assert split_problems(catalog, root) == []
