import json
import re
import shutil

import numpy as np
import pytest

from episodes.catalog.class_areas import compute_class_areas
from episodes.catalog.loader import Loader
from episodes.errors import DataError
from episodes.io.read import labels_of
from episodes.readers import read_catalog

SQUARE = [[2, 2, 6, 2, 6, 6, 2, 6]]  # 4 x 4 pixels from row 2 and column 2


def content():
    annotations = [
        {"id": 1, "image_id": 7, "category_id": 3, "segmentation": SQUARE, "iscrowd": 0},
        # 8 rows a column: columns 4 and 5, so 16 pixels, 8 of them in the square
        {"id": 2, "image_id": 7, "category_id": 5, "iscrowd": 0}
        | {"segmentation": {"size": [8, 10], "counts": [32, 16, 32]}},
        {"id": 3, "image_id": 9, "category_id": 3, "iscrowd": 1}
        | {"segmentation": {"size": [8, 10], "counts": [0, 8, 72]}},
    ]
    return {
        "images": [
            {"id": number, "file_name": f"{number}.png", "height": 8, "width": 10}
            for number in (7, 8, 9)
        ],
        "categories": [{"id": 3, "name": "cat"}, {"id": 5, "name": "dog"}],
        "annotations": annotations,
    }


@pytest.fixture
def coco(tmp_path, make_png):
    def make(change=lambda data: None):
        data = content()
        change(data)
        for number in (7, 8, 9):
            pixels = np.arange(80, dtype=np.uint8).reshape(8, 10) + number
            make_png(tmp_path / "val2017" / f"{number}.png", pixels)
        (tmp_path / "annotations").mkdir(exist_ok=True)
        path = tmp_path / "annotations" / "instances_val2017.json"
        path.write_text(json.dumps(data), encoding="utf-8")
        (tmp_path / "annotations" / "captions_val2017.json").write_text('{"images": 3}')
        return tmp_path

    return make


def test_polygons_and_runs(coco):
    catalog = compute_class_areas(read_catalog(coco()))
    assert catalog.layout == "coco"
    assert catalog.classes == ("cat", "dog")
    assert [s.key for s in catalog.samples] == [f"val2017/{n}.png" for n in (7, 8, 9)]
    assert [s.areas for s in catalog.samples] == [{"cat": 16, "dog": 16}, {}, {}]
    loader = Loader(32)
    # 8 x 10 is padded to 10 x 10 and enlarged; the classes' overlap is unknown.
    labels = loader.labels(catalog.samples[0], ("cat", "dog"))
    assert set(labels.unique().tolist()) == {0, 1, 2, 255}
    alone = loader.labels(catalog.samples[0], ("cat",))
    inside = alone[4:-4]
    assert set(inside.unique().tolist()) == {0, 1}


def test_a_crowd_is_unknown_and_a_picture_without_annotations_is_background(coco):
    catalog = compute_class_areas(read_catalog(coco()))
    loader = Loader(32)
    crowd = loader.labels(catalog.samples[2], ("cat",))
    assert set(crowd[8:-8, :3].unique().tolist()) == {255}
    assert set(crowd[8:-8, 5:].unique().tolist()) == {0}
    empty = loader.labels(catalog.samples[1], ("cat",))
    assert set(empty[8:-8].unique().tolist()) == {0}


def test_instances_of_one_class_are_joined(coco):
    def change(data):
        second = dict(data["annotations"][0], segmentation=[[4, 4, 8, 4, 8, 8, 4, 8]])
        data["annotations"].append(second)

    assert compute_class_areas(read_catalog(coco(change))).samples[0].areas["cat"] == 16 + 16 - 4


def test_a_label_map_keeps_and_renames_categories(coco):
    assert read_catalog(coco(), label_map={3: "animal"}).classes == ("animal",)
    joined = compute_class_areas(read_catalog(coco(), label_map="animal"))
    assert joined.samples[0].areas == {"animal": 16 + 16 - 8}


def annotations(*changes):
    """Change the first annotation, of the square in 7.png, in some fields."""

    def change(data):
        data["annotations"][0].update(bbox=[2, 2, 4, 4])
        for each in changes:
            data["annotations"][0].update(each)

    return change


def values(sample):
    """Count the values in all masks of a sample."""
    masks = [labels_of(mask.pixels)[0] for mask in sample.masks]
    return [
        dict(zip(*map(np.ndarray.tolist, np.unique(m, return_counts=True)), strict=True))
        for m in masks
    ]


@pytest.mark.parametrize(
    ("segmentation", "problem"),
    [
        ([], "an empty outline"),
        (None, "no outline"),
        ([[4.0, 4.0]], "an outline of 1 point"),
        ([[2, 2, 6, 6]], "an outline of 2 points"),
        ([2, 2, 6, 2, 6, 6], "a bare list of numbers as its outline"),
        ([[2, 2, 4, 4, 6, 6]], "an outline without an area"),
        ([[2, 2, 6, 2, 6]], "a polygon of 5 numbers, not of pairs"),
        ([[2, 2, 6, 2, 6, float("nan")]], "a polygon with something else than numbers"),
        ([[2, 2, 6, 2, 6, float("inf")]], "a polygon with something else than numbers"),
        ([["2", "2", "6", "2", "6", "6"]], "a polygon with something else than numbers"),
        ([{"x": 2, "y": 2}], "a polygon that is"),
        ([[2.6, 2.6, 3.4, 2.6, 3.4, 3.4]], "an outline between the centres of pixels"),
        ("52203", "an outline that is '52203'"),
        ({"size": [10, 8], "counts": [80]}, r"run-lengths for the size \[10, 8\]"),
        ({"size": [8, 10], "counts": [1, 2]}, "run-lengths add up to 3; expected 8 x 10"),
        (
            {"size": [8, 10], "counts": [81, -1]},
            "run-lengths hold something else than whole numbers",
        ),
        ({"size": [8, 10], "counts": [80]}, "run-lengths without a pixel"),
        ({"size": [8, 10], "counts": "?\n"}, "compressed run-lengths hold characters that"),
    ],
)
def test_an_odd_annotation_is_named_and_its_box_is_unknown(coco, segmentation, problem):
    catalog = compute_class_areas(read_catalog(coco(annotations({"segmentation": segmentation}))))
    (note,) = catalog.notes
    assert re.search(rf"1 of 3 annotations .* unknown: annotation 1 of 7.png \({problem}", note)
    assert catalog.samples[0].areas == {"dog": 16}  # the others stay
    assert values(catalog.samples[0])[0] == {0: 64, 255: 16}
    labels = Loader(32).labels(catalog.samples[0], ("cat",))
    assert set(labels[4:-4].unique().tolist()) == {0, 255}


@pytest.mark.parametrize(
    ("change", "unknown"),
    [
        ({"bbox": [-3, 6, 5, 9]}, 4),  # clipped to the picture
        ({"bbox": [20, 20, 5, 5]}, 0),  # outside of it
        ({"bbox": [2, 2, 0, 4], "segmentation": [[2, 2, 6, 5]]}, 12),  # what the points span
        ({"bbox": None, "segmentation": [[4, 4]]}, 1),
        ({"bbox": [0, 0, "4", 4]}, 80),  # no place at all: everything
        ({"bbox": [0, 0, 0, 0]}, 80),
    ],
)
def test_where_an_annotation_without_outline_lies(coco, change, unknown):
    catalog = compute_class_areas(read_catalog(coco(annotations({"segmentation": []}, change))))
    assert values(catalog.samples[0])[0].get(255, 0) == unknown
    everything = "have no position, and all pixels outside other outlines are unknown there"
    assert (everything in catalog.notes[0]) == (unknown == 80)


def test_the_good_parts_of_an_outline_stay(coco):
    change = annotations({"segmentation": [*SQUARE, [8, 1, 9, 3]], "bbox": [2, 1, 7, 5]})
    catalog = compute_class_areas(read_catalog(coco(change)))
    assert values(catalog.samples[0])[0] == {0: 80 - 16 - 2, 1: 16, 255: 2}


def test_polygons_reach_outside_of_the_picture(coco):
    beyond = [[-5, -5, 3, -5, 3, 3, -5, 3]]
    assert (
        compute_class_areas(read_catalog(coco(annotations({"segmentation": beyond}))))
        .samples[0]
        .areas["cat"]
        == 9
    )
    catalog = compute_class_areas(
        read_catalog(coco(annotations({"segmentation": [[20, 1, 30, 1, 30, 9]]})))
    )
    assert "an outline outside of its picture" in catalog.notes[0]


def test_a_picture_whose_only_annotation_is_odd_is_no_background(coco):
    def change(data):
        data["annotations"] = [{"image_id": 8, "category_id": 3}, *data["annotations"][1:]]

    catalog = compute_class_areas(read_catalog(coco(change)))
    assert "annotation number 1 of 8.png (no outline)" in catalog.notes[0]  # it has no id
    assert values(catalog.samples[1]) == [{255: 80}]


def test_annotations_of_unknown_categories_and_images(coco):
    catalog = compute_class_areas(read_catalog(coco(annotations({"category_id": 4}))))
    assert "annotation 1 of 7.png (the category 4, which is not listed)" in catalog.notes[0]
    assert values(catalog.samples[0]) == [{0: 64, 255: 16}, {0: 64, 1: 16}]
    catalog = compute_class_areas(read_catalog(coco(annotations({"image_id": 4}))))
    assert catalog.notes == (
        "instances_val2017.json: 1 of 3 annotations are of no image that is listed, and left out: "
        "annotation 1 (image 4)",
    )


def test_ids_may_be_text_and_repeated(coco):
    def change(data):
        for image in data["images"]:
            image["id"] = str(image["id"])
        data["categories"] = [{"id": 0, "name": "cat"}, {"id": "dog"}, {"id": 999, "name": "x"}]
        data["annotations"][0].update(id=2, image_id="7", category_id=0.0)
        data["annotations"][1].update(category_id="dog")
        data["annotations"].pop()

    catalog = compute_class_areas(read_catalog(coco(change)))
    assert catalog.classes == ("cat", "dog")
    assert catalog.notes == ("1 categories without an annotation are no classes: x",)
    assert catalog.samples[0].areas == {"cat": 16, "dog": 16}


def test_crowds_however_they_are_written(coco):
    for crowd, values_there in ((True, {0: 64, 255: 16}), ("1", {0: 64, 255: 16}), ("0", None)):
        catalog = read_catalog(coco(annotations({"iscrowd": crowd})))
        assert values(catalog.samples[0])[0] == (values_there or {0: 64, 1: 16})


def test_pictures_that_are_left_out(coco):
    def change(data):
        data["images"] += [
            {"id": 10, "file_name": "gone.png", "height": 8, "width": 10},
            {"id": 11, "file_name": "../../secret.png", "height": 8, "width": 10},
            {"id": 12, "file_name": "/etc/passwd", "height": 8, "width": 10},
            {"id": 13, "height": 8, "width": 10},
        ]
        data["images"][0]["height"] = 9

    catalog = read_catalog(coco(change))
    assert len(catalog) == 2
    for said in (
        "5 of 7 images",
        r"'7.png' has the size \(8, 10\); .* says \(9, 10\)",
        "'gone.png",
    ):
        assert re.search(said, catalog.notes[0])


def test_two_pictures_of_one_id_are_left_out_and_one_of_two_ids_is_joined(coco):
    catalog = read_catalog(coco(lambda d: d["images"][1].update(id=7)))
    assert [s.key for s in catalog.samples] == ["val2017/9.png"]
    assert "'7.png' has the id 7, not one of its own" in catalog.notes[0]
    joined = compute_class_areas(
        read_catalog(coco(lambda d: d["images"][2].update(file_name="7.png")))
    )
    assert [s.key for s in joined.samples] == ["val2017/7.png", "val2017/8.png"]
    assert values(joined.samples[0])[0] == {0: 56, 1: 16, 255: 8}


@pytest.mark.parametrize(
    "name",
    [
        "val2017\\7.png",
        "/home/me/val2017/7.png",
        "C:\\data\\val2017\\7.png",
        "https://images.org/val2017/7.png?size=1",
        "../val2017/7.png",
        "somewhere/7.PNG",
    ],
)
def test_names_of_other_machines(coco, name):
    catalog = read_catalog(coco(lambda d: d["images"][0].update(file_name=name)))
    assert (catalog.samples[0].key, catalog.notes) == ("val2017/7.png", ())


def test_absolute_names_below_the_folder_and_names_that_fit_twice(coco, make_png):
    root = coco()
    here = str((root / "val2017" / "7.png").resolve())
    catalog = read_catalog(coco(lambda d: d["images"][0].update(file_name=here)))
    assert catalog.samples[0].key == "val2017/7.png"
    make_png(root / "other" / "x.png", np.zeros((8, 10), np.uint8))
    make_png(root / "third" / "x.png", np.zeros((8, 10), np.uint8))
    catalog = read_catalog(coco(lambda d: d["images"][0].update(file_name="x.png")))
    assert "could be" in catalog.notes[0]
    catalog = read_catalog(coco(lambda d: d["images"][0].update(file_name="C:/a/third/x.png")))
    assert catalog.samples[0].key == "third/x.png"


def test_a_file_in_each_part_beside_its_pictures(tmp_path, make_png):
    for part, number in (("train", 1), ("valid", 2)):
        make_png(tmp_path / part / f"{number}_jpg.rf.png", np.zeros((8, 10), np.uint8))
        data = content()
        data["images"] = [{"id": 0, "file_name": f"{number}_jpg.rf.png", "height": 8, "width": 10}]
        data["annotations"] = [dict(data["annotations"][0], id=0, image_id=0)]
        (tmp_path / part / "_annotations.coco.json").write_text(json.dumps(data))
    catalog = compute_class_areas(read_catalog(tmp_path))
    assert [s.key for s in catalog.samples] == ["train/1_jpg.rf.png", "valid/2_jpg.rf.png"]
    assert [s.areas for s in catalog.samples] == [{"cat": 16}] * 2
    shutil.copy(tmp_path / "train" / "_annotations.coco.json", tmp_path / "train" / "copy.json")
    with pytest.raises(DataError, match=r"_annotations.coco.json and .*copy.json both list train/"):
        read_catalog(tmp_path)


def test_pictures_of_a_file_without_annotations_are_not_annotated(coco):
    assert [s.masks for s in read_catalog(coco(lambda d: d.pop("annotations"))).samples] == [()] * 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.pop("images"), r"val2017.json has no list of images; expected the JSON"),
        (lambda d: d.update(images=[3]), r"val2017.json has no list of images"),
        (lambda d: d.update(images=[]), r"holds no picture that can be used"),
        (lambda d: d.update(categories=[]), r"lists annotations and no category"),
        (lambda d: d["categories"][1].update(id=3), r"category 'dog' has the id 3; expected an id"),
        (lambda d: [n.pop("segmentation") for n in d["annotations"]], r"boxes alone are no masks"),
        (
            lambda d: [image.update(height=9) for image in d["images"]],
            r"no picture that can be used.*3 of 3 images are left out: '7.png' has the size",
        ),
    ],
)
def test_files_that_are_refused(coco, change, message):
    with pytest.raises(DataError, match=message):
        read_catalog(coco(change))


def test_a_label_map_of_other_ids(coco):
    with pytest.raises(DataError, match=r"no category has the id 1; there are 3 cat, 5 dog"):
        read_catalog(coco(), label_map={1: "cat"})


def test_what_is_no_json(coco):
    root = coco()
    path = root / "annotations" / "instances_val2017.json"
    path.write_text(path.read_text()[:-20])
    with pytest.raises(DataError, match=r"val2017.json cannot be read as COCO JSON: it is no JSON"):
        read_catalog(root)
