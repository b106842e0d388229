"""PASCAL VOC, FSS-1000, KITTI road and numbered objects."""

import numpy as np
import pytest
from PIL import Image
from skimage.measure import label

from episodes.catalog.class_areas import compute_class_areas
from episodes.catalog.loader import Loader
from episodes.errors import DataError
from episodes.io.read import labels_of, read_image
from episodes.readers import read_catalog, voc

GREY = np.arange(320, dtype=np.uint16).reshape(16, 20).astype(np.uint8)
COLOUR = np.stack([GREY, GREY, 255 - GREY], 2)


def box(value=1, rows=slice(2, 6), columns=slice(3, 8), dtype=np.uint8):
    mask = np.zeros((16, 20), dtype)
    mask[rows, columns] = value
    return mask


@pytest.fixture
def voc_set(tmp_path, make_png):
    home = tmp_path / "VOCdevkit" / "VOC2012"
    for name in ("2007_1", "2007_2", "2008_3", "2008_4"):
        make_png(home / "JPEGImages" / f"{name}.jpg", COLOUR)
    (home / "SegmentationClass").mkdir()
    for name, value in (("2007_1", 1), ("2007_2", 20)):
        mask = box(value)
        mask[2] = np.where(mask[2], 255, 0)
        picture = Image.fromarray(mask).convert("P")
        picture.putdata(mask.ravel().tolist())
        picture.putpalette(list(range(256)) * 3)
        picture.save(home / "SegmentationClass" / f"{name}.png")
    for name in ("2007_1", "2008_3"):
        make_png(home / "SegmentationClassAug" / f"{name}.png", box(15))
    lists = home / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("2007_1\n2008_3\n")
    (lists / "bad.txt").write_text("2008_4\n")
    return tmp_path


def test_voc(voc_set):
    catalog = compute_class_areas(read_catalog(voc_set))
    assert catalog.layout == "voc"
    assert catalog.classes == voc.NAMES
    assert len(voc.NAMES) == 20
    assert [s.key for s in catalog.samples] == [
        f"JPEGImages/{name}.jpg" for name in ("2007_1", "2007_2", "2008_3")
    ]
    shown = [{k: v for k, v in s.areas.items() if v} for s in catalog.samples]
    # The first row of each palette mask is border; the further mask of 2007_1 comes second.
    assert shown == [{"aeroplane": 15}, {"tvmonitor": 15}, {"person": 20}]
    labels = Loader(32).labels(catalog.samples[0], ("aeroplane",))
    assert set(labels[5:-5].unique().tolist()) == {0, 1, 255}


def test_voc_lists(voc_set):
    assert len(voc.read(voc_set, split="train")) == 2
    with pytest.raises(DataError, match=r"names 1 pictures without a mask, such as 2008_4"):
        voc.read(voc_set, split="bad")
    with pytest.raises(DataError, match=r"leads out of .*Segmentation"):
        voc.read(voc_set, split="../../../secret")
    with pytest.raises(DataError, match=r"there is no file .*gone.txt"):
        voc.read(voc_set, split="gone")


def test_voc_pictures_of_any_ending_and_masks_without_one(voc_set):
    home = voc_set / "VOCdevkit" / "VOC2012"
    pictures = home / "JPEGImages"
    (pictures / "2007_1.jpg").rename(pictures / "2007_1.JPG")
    (pictures / "2007_2.jpg").unlink()
    (home / "SegmentationClass" / "._2007_1.png").write_bytes(b"")
    catalog = read_catalog(voc_set)
    assert [s.key for s in catalog.samples] == ["JPEGImages/2007_1.JPG", "JPEGImages/2008_3.jpg"]
    assert catalog.notes == ("1 masks without an image: 2007_2",)


CVAT = "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncell: wall:255,0,124::\nvoid:9,9,9::\n"


@pytest.mark.parametrize("kind", ["RGB", "P"])
def test_cvat(tmp_path, make_png, kind):
    colours = np.zeros((16, 20, 3), np.uint8)
    colours[2:6, 3:8] = (255, 0, 124)
    colours[10] = 9
    make_png(tmp_path / "JPEGImages" / "sub" / "a.PNG", COLOUR)
    mask = Image.fromarray(colours)
    mask = mask.convert("P", palette=Image.Palette.ADAPTIVE) if kind == "P" else mask
    (tmp_path / "SegmentationClass" / "sub").mkdir(parents=True)
    mask.save(tmp_path / "SegmentationClass" / "sub" / "a.png")
    mask.save(tmp_path / "SegmentationClass" / "sub" / "b.png")
    (tmp_path / "labelmap.txt").write_text(CVAT)
    catalog = compute_class_areas(read_catalog(tmp_path))
    assert (catalog.layout, catalog.classes) == ("voc", ("cell: wall",))
    assert catalog.notes == ("1 masks without an image: sub/b",)
    (sample,) = catalog.samples
    assert (sample.key, sample.areas) == ("JPEGImages/sub/a.PNG", {"cell: wall": 20})
    labels = labels_of(sample.masks[0].pixels)[0]
    assert dict(zip(*np.unique(labels, return_counts=True), strict=True)) == {
        0: 280,
        1: 20,
        255: 20,
    }
    (tmp_path / "labelmap.txt").write_text("cell:255,0,0::")
    with pytest.raises(DataError, match=r"a.png holds the colour .*\(255, 0, 124\), which label"):
        compute_class_areas(read_catalog(tmp_path))
    (tmp_path / "JPEGImages").rename(tmp_path / "away")
    with pytest.raises(DataError, match=r"holds masks and labelmap.txt, but no pictures"):
        read_catalog(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cell", r"line 1: 'cell'; expected name:red,green,blue"),
        ("cell:256,0,0::", r"line 1: .*expected name"),
        ("a:1,2,3::\nb:1,2,3::", r"line 2: b has the colour of another label"),
        ("cell:0,0,0::", r"cell is black, as the background is"),
        ("background:0,0,0::", r"names 0 labels; expected 1"),
    ],
)
def test_label_maps_that_are_refused(tmp_path, make_png, text, message):
    make_png(tmp_path / "JPEGImages" / "a.png", COLOUR)
    make_png(tmp_path / "SegmentationClass" / "a.png", COLOUR)
    (tmp_path / "labelmap.txt").write_text(text)
    with pytest.raises(DataError, match=message):
        read_catalog(tmp_path)


def test_fss1000(tmp_path, make_png):
    for name in ("abacus", "zucchini"):
        for number in (1, 2, 10):
            make_png(tmp_path / name / f"{number}.jpg", COLOUR)
            soft = np.repeat(box(200)[..., None], 3, 2)
            soft[0, 0] = 127  # a soft edge below the middle
            make_png(tmp_path / name / f"{number}.png", soft)
    (tmp_path / "zucchini" / "10.png").unlink()
    catalog = compute_class_areas(read_catalog(tmp_path))
    assert catalog.layout == "fss1000"
    assert catalog.classes == ("abacus", "zucchini")
    assert [s.key for s in catalog.samples][:3] == [f"abacus/{n}.jpg" for n in (1, 2, 10)]
    assert catalog.samples[0].areas == {"abacus": 20}
    assert catalog.notes == ("1 images without a mask: zucchini/10",)
    assert read_catalog(tmp_path, label_map="thing").classes == ("thing",)
    with pytest.raises(DataError, match="masks are binary"):
        read_catalog(tmp_path, label_map={1: "thing"})


def test_kitti_road(tmp_path, make_png):
    colours = np.zeros((16, 20, 3), np.uint8)
    colours[8:] = (255, 0, 0)
    colours[8:, 5:10] = (255, 0, 255)
    training = tmp_path / "data_road" / "training"
    for name in ("um_000000", "uu_000003", "umm_000001"):
        make_png(training / "image_2" / f"{name}.png", COLOUR)
    make_png(training / "gt_image_2" / "um_road_000000.png", colours)
    make_png(training / "gt_image_2" / "um_lane_000000.png", colours)
    make_png(training / "gt_image_2" / "uu_road_000003.png", colours[..., 0])
    catalog = read_catalog(tmp_path, subject_pattern=r"[a-z]+_\d+")
    assert catalog.layout == "kitti_road"
    assert catalog.notes == (
        "scenes: 1 um, 1 umm, 1 uu",
        "1 images without a mask: umm_000001",
    )
    labels = labels_of(catalog.samples[0].masks[0].pixels)[0]
    assert (labels[:8] == 255).all()
    assert (labels[8:, 5:10] == 1).all()
    assert (labels[8:, :5] == 0).all()
    with pytest.raises(DataError, match=r"uu_road_000003.png is grey; expected magenta"):
        compute_class_areas(catalog)
    first = compute_class_areas(catalog.of_subjects(["um_000000"]))
    assert first.samples[0].areas == {"road": 40}


def test_numbered_objects_need_no_label_map(tmp_path, make_png):
    make_png(tmp_path / "images" / "a.png", GREY)
    make_png(tmp_path / "instances" / "a.png", box(40_000, dtype=np.uint16))
    catalog = read_catalog(tmp_path)
    assert (catalog.layout, compute_class_areas(catalog).samples[0].areas) == (
        "instances",
        {"object": 20},
    )
    (tmp_path / "classes.json").write_text('{"instances": "cell"}')
    assert read_catalog(tmp_path).classes == ("cell",)
    make_png(tmp_path / "masks" / "a.png", box())
    assert read_catalog(tmp_path).layout == "folder"  # masks/ says more than instances/


@pytest.fixture
def stage1(tmp_path, make_png):
    for name in ("0a", "0b"):
        make_png(tmp_path / name / "images" / f"{name}.png", COLOUR)
    make_png(tmp_path / "0a" / "masks" / "x.png", box(255))
    make_png(tmp_path / "0a" / "masks" / "y.png", box(255, slice(10, 12), slice(0, 2)))
    # Rows 2 to 5 of columns 3 and 4: 16 rows a column, from 1.
    (tmp_path / "stage1_train_labels.csv").write_text(
        "ImageId,EncodedPixels\n0b,51 4 67 4\n0b,161 2\n", encoding="utf-8"
    )
    return tmp_path


def test_one_mask_an_object_and_run_lengths(stage1):
    catalog = read_catalog(stage1)
    assert catalog.layout == "instances"
    numbers = [labels_of(s.masks[0].pixels)[0] for s in catalog.samples]
    np.testing.assert_array_equal(numbers[0], box() + box(2, slice(10, 12), slice(0, 2)))
    expected = box(1, slice(2, 6), slice(3, 5)) + box(2, slice(0, 2), slice(10, 11))
    np.testing.assert_array_equal(numbers[1], expected)
    assert [s.areas for s in compute_class_areas(catalog).samples] == [
        {"nucleus": 24},
        {"nucleus": 10},
    ]
    assert [s.key for s in catalog.samples] == ["0a/images/0a.png", "0b/images/0b.png"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0b", r"labels.csv, line 2: \['0b'\]; expected two columns"),
        ('0b,"1 2', r"labels.csv cannot be read as CSV"),
    ],
)
def test_lines_that_are_refused(stage1, line, message):
    (stage1 / "stage1_train_labels.csv").write_text(f"ImageId,EncodedPixels\n{line}\n")
    with pytest.raises(DataError, match=message):
        compute_class_areas(read_catalog(stage1))


@pytest.mark.parametrize(
    ("line", "note"),
    [
        ("0b,1 2 3", "object 2: run-lengths are '1 2 3'; expected pairs of start and length"),
        ("0b,320 2", "object 2: run-lengths reach outside the image of 16 x 20 pixels"),
    ],
)
def test_an_odd_line_is_named_and_its_image_counts_as_not_annotated(stage1, line, note):
    path = stage1 / "stage1_train_labels.csv"
    path.write_text(f"ImageId,EncodedPixels\n0b,1 2\n{line}\n0c,1 2\n")
    catalog = compute_class_areas(read_catalog(stage1))
    assert [len(s.masks) for s in catalog.samples] == [1, 0]
    assert catalog.notes == (
        "1 names in the CSV file without a picture: 0c",
        f"1 images count as not annotated, for an odd line: 0b ({note})",
    )


def test_object_masks_of_another_size(stage1, make_png):
    make_png(stage1 / "0a" / "masks" / "z.png", GREY[:5])
    with pytest.raises(DataError, match=r"z.png has \(5, 20\) pixels; the first one has \(16, 20"):
        compute_class_areas(read_catalog(stage1))


def test_the_real_nuclei(real_data, tmp_path, make_png):
    root = real_data("dsb2018")
    catalog = read_catalog(root)
    assert (catalog.layout, len(catalog), catalog.classes) == ("instances", 471, ("object",))
    # One picture in the two layouts of the competition gives the same pixels.
    sample = next(s for s in catalog.samples if s.size == (256, 256))
    numbers = labels_of(sample.masks[0].pixels)[0]
    name = sample.image.path.stem
    picture = read_image(sample.image.path)
    lines = ["ImageId,EncodedPixels"]
    for folder in ("masks", "runs"):
        make_png(tmp_path / folder / name / "images" / f"{name}.png", picture)
    for number in np.unique(numbers)[1:]:
        one = numbers == number
        make_png(tmp_path / "masks" / name / "masks" / f"{number:05}.png", one * np.uint8(255))
        flat = np.flatnonzero(one.ravel(order="F"))
        starts = flat[np.diff(flat, prepend=-2) > 1]
        ends = flat[np.diff(flat, append=flat[-1] + 2) > 1]
        pairs = [f"{a + 1} {b - a + 1}" for a, b in zip(starts, ends, strict=True)]
        lines.append(f"{name},{' '.join(pairs)}")
    (tmp_path / "runs" / "labels.csv").write_text("\n".join(lines))
    for folder in ("masks", "runs"):
        found = labels_of(read_catalog(tmp_path / folder).samples[0].masks[0].pixels)[0]
        np.testing.assert_array_equal(found > 0, numbers > 0)
        assert found.max() == len(np.unique(numbers)) - 1
        assert label(found > 0).max() <= found.max()


def test_the_real_hearts_have_their_subject_in_the_name(real_data):
    catalog = read_catalog(real_data("sunnybrook"), subject_pattern=r"SC-[A-Z]+-(?:N?I-)?\d+")
    assert (catalog.layout, len(catalog), len(catalog.subjects)) == ("folder", 805, 45)
    parts = {part: set() for part in ("Train", "Test")}
    for sample in catalog.samples:
        parts[sample.key.partition("/")[0]].add(sample.subject)
    assert not parts["Train"] & parts["Test"]
    some = compute_class_areas(catalog.of_subjects(["SC-HF-I-10"]))
    assert some.classes == ("foreground",)
