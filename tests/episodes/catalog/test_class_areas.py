import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from episodes.catalog.class_areas import compute_class_areas
from episodes.errors import DataError
from episodes.io.read import read_labels
from episodes.readers import read_catalog


def folder(root, make_png, masks, label_map=None):
    """Make a data set with one black picture a mask."""
    for number, mask in enumerate(masks):
        pixels = np.asarray(mask)
        make_png(root / "images" / f"{number}.png", np.zeros(pixels.shape, np.uint8))
        make_png(root / "masks" / f"{number}.png", pixels.astype(np.uint16))
    if label_map is not None:
        (root / "classes.json").write_text(json.dumps(label_map))
    return root


def areas(catalog):
    return [dict(sample.areas) for sample in catalog.samples]


def test_areas_by_hand(tmp_path, make_png):
    masks = [[[0, 1, 1], [2, 255, 4]], [[0, 0, 0], [2, 2, 2]], [[0, 0, 0], [0, 0, 4]]]
    label_map = {"1": "liver", "2": "spleen", "4": None}
    with pytest.warns(UserWarning, match="255 has no name beside those of the classes"):
        catalog = compute_class_areas(read_catalog(folder(tmp_path, make_png, masks, label_map)))
    assert areas(catalog) == [{"liver": 2, "spleen": 1}, {"spleen": 3}, {}]
    assert catalog.classes == ("liver", "spleen")
    assert catalog.has_areas
    assert compute_class_areas(catalog) is catalog


def test_two_values_of_one_class_add_up(tmp_path, make_png):
    label_map = {"1": "kidney", "2": "kidney"}
    catalog = compute_class_areas(
        read_catalog(folder(tmp_path, make_png, [[[1, 2, 2, 0]]], label_map))
    )
    assert areas(catalog) == [{"kidney": 3}]


def test_masks_without_a_label_map_are_judged_together(tmp_path, make_png):
    # alone, the first mask would be binary; beside the second it is class 1 of two
    catalog = compute_class_areas(
        read_catalog(folder(tmp_path, make_png, [[[0, 1, 1]], [[0, 2, 2]]]))
    )
    assert catalog.classes == ("1", "2")
    assert areas(catalog) == [{"1": 2}, {"2": 2}]
    assert {m.label_map[1] for s in catalog.samples for m in s.masks} == {"1"}


def test_binary_and_instances(tmp_path, make_png):
    catalog = compute_class_areas(
        read_catalog(folder(tmp_path / "b", make_png, [[[0, 255, 255]], [[0, 0, 0]]]))
    )
    assert areas(catalog) == [{"foreground": 2}, {"foreground": 0}]
    objects = [[[0, 1, 2, 300, 300]]]
    catalog = compute_class_areas(
        read_catalog(folder(tmp_path / "i", make_png, objects, {"instances": "cell"}))
    )
    assert areas(catalog) == [{"cell": 4}]
    assert catalog.classes == ("cell",)


def test_class_masks_of_one_picture(class_masks_set):
    catalog = compute_class_areas(read_catalog(class_masks_set))
    for sample in catalog.samples:
        for mask in sample.masks:
            values = read_labels(mask.pixels.path)
            assert sample.areas[mask.label_map] == np.count_nonzero(values) > 0


def test_stack(stack_set):
    catalog = compute_class_areas(read_catalog(stack_set))
    assert catalog.classes == ("1", "2", "3")
    pages = read_labels(stack_set / "masks" / "cells.tif")
    assert areas(catalog) == [
        {str(value): int((page == value).sum()) for value in (1, 2, 3)} for page in pages
    ]


def test_an_image_without_a_mask_shows_nothing(index_set):
    (index_set / "masks" / "p0_a.png").unlink()
    catalog = compute_class_areas(read_catalog(index_set))
    assert catalog.samples[0].areas == {}
    assert catalog.notes == ("1 images without a mask: p0_a",)


def test_the_other_fields_stay(index_set):
    before = read_catalog(index_set)
    after = compute_class_areas(before)
    assert [replace(s, areas=None) for s in after.samples] == list(before.samples)


def test_a_mask_of_another_size(tmp_path, make_png):
    root = folder(tmp_path, make_png, [np.ones((4, 5))])
    make_png(root / "masks" / "0.png", np.ones((5, 4), np.uint8))
    with pytest.raises(
        DataError, match=r"mask .*0.png has 5 x 4 pixels .* its image has 4 x 5; expected the same"
    ):
        compute_class_areas(read_catalog(root))


def test_a_value_that_nobody_named(tmp_path, make_png):
    root = folder(tmp_path, make_png, [[[0, 1, 7]]], {"1": "liver"})
    with pytest.raises(DataError, match=r"0.png holds 7, which nobody named; .*Add it: 7=NAME"):
        compute_class_areas(read_catalog(root))


def test_object_numbers_without_a_name(tmp_path, make_png):
    root = folder(tmp_path, make_png, [np.arange(400).reshape(20, 20)])
    with pytest.raises(DataError, match=r"0.png: 399 values without names .*--classes NAME"):
        compute_class_areas(read_catalog(root))


@pytest.mark.parametrize("pages", [1, 3, 5])
def test_a_mask_stack_of_another_length(stack_set, pages):
    path = stack_set / "masks" / "cells.tif"
    first, *rest = (Image.fromarray(page) for page in read_labels(path)[[0, 1, 2, 3, 0]][:pages])
    first.save(path, save_all=True, append_images=rest)
    with pytest.raises(
        DataError, match=rf"mask .*cells.tif has {pages} pages and .* has 4; expected"
    ):
        compute_class_areas(read_catalog(stack_set))


def test_a_picture_as_the_mask_of_a_stack(stack_set, make_png):
    (stack_set / "masks" / "cells.tif").unlink()
    make_png(stack_set / "masks" / "cells.png", np.ones((40, 56), np.uint8))
    with pytest.raises(DataError, match=r"cells.png has 1 planes; plane 1 was expected, because"):
        compute_class_areas(read_catalog(stack_set))
