import json

import numpy as np
import pytest

from episodes.errors import DataError
from episodes.load import Loader
from episodes.measure import measure
from episodes.readers import read

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
    catalog = measure(read(coco()))
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
    catalog = measure(read(coco()))
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

    assert measure(read(coco(change))).samples[0].areas["cat"] == 16 + 16 - 4


def test_a_legend_keeps_and_renames_categories(coco):
    assert read(coco(), legend={3: "animal"}).classes == ("animal",)
    joined = measure(read(coco(), legend="animal"))
    assert joined.samples[0].areas == {"animal": 16 + 16 - 8}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["images"][0].update(file_name="../secret.png"), r"leads out of .*val2017"),
        (lambda d: d["images"][0].update(file_name="/etc/passwd"), r"leads out of .*val2017"),
        (lambda d: d["images"][0].update(file_name="gone.png"), r"no file .*gone.png"),
        (lambda d: d["images"][0].update(height=9), r"7.png has the size \(8, 10\); .*says \(9"),
        (lambda d: d["images"][0].update(height="9"), r"a height is '9'; expected a whole number"),
        (lambda d: d.pop("images"), r"val2017.json cannot be read as COCO JSON: KeyError"),
        (lambda d: d["annotations"][0].update(category_id=4), r"category 4, which nobody listed"),
        (lambda d: d["annotations"][0].update(image_id=4), r"image 4, which it does not list"),
    ],
)
def test_files_that_are_refused(coco, change, message):
    with pytest.raises(DataError, match=message):
        read(coco(change))


def test_a_segmentation_is_read_when_it_is_needed(coco):
    catalog = read(coco(lambda d: d["annotations"][0].update(segmentation=[[1, 2]])))
    with pytest.raises(DataError, match=r"an annotation of .*val2017.json: a polygon is no list"):
        measure(catalog)


def test_what_is_no_json(coco):
    root = coco()
    path = root / "annotations" / "instances_val2017.json"
    path.write_text(path.read_text()[:-20])
    with pytest.raises(DataError, match=r"val2017.json cannot be read as COCO JSON: JSONDecode"):
        read(root)
