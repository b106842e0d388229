"""Which mask belongs to which image, by names alone; folders as people have them."""

import unicodedata

import numpy as np
import pytest

from episodes.catalog.class_areas import compute_class_areas
from episodes.errors import DataError
from episodes.readers import pairing, read_catalog

PHOTO = np.random.default_rng(0).integers(0, 256, (24, 32, 3)).astype(np.uint8)
MASK = np.zeros((24, 32), np.uint8)
MASK[4:12, 6:20] = 255


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("a", "a_mask"),
        ("a", "a_segmentation"),
        ("a", "a-seg"),
        ("a", "a.label"),
        ("a", "a_gt"),
        ("a", "a_groundtruth"),
        ("a", "a ground truth"),
        ("A", "a_MASK"),
        ("a", "mask_a"),
        ("a", "gt-a"),
        ("a", "Label a"),
        ("img_01", "mask_01"),
        ("001_image", "001_mask"),
        ("001image", "001mask"),
        ("frame_1", "frame_1_gt"),
        ("image", "mask"),
        ("scan_2", "scan_mask_2"),
        ("case_img_2", "case_mask_2"),
        ("ISIC_0000001", "ISIC_0000001_segmentation"),
        ("label_free_1", "label_free_1_mask"),
        ("Zürich", unicodedata.normalize("NFD", "Zürich_mask")),
        ("benign (4)", "benign (4)_mask_1"),
    ],
)
def test_names_that_belong_together(image, mask):
    assert pairing.separate_masks([image, "other", mask]) == ({mask: image}, [])
    assert pairing.match([image, "other"], [mask]) == {mask: image}


def test_names_that_do_not():
    for name in ("unmasked", "gtx", "relabel", "segment", "Annika", "a_masked"):
        assert not pairing.is_mask_name(name)
    assert pairing.separate_masks(["a", "b_mask", "c/a_mask"]) == ({}, ["b_mask", "c/a_mask"])
    assert pairing.separate_masks(["a", "gt_car"]) == ({}, ["gt_car"])


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a", "a_mask", "a_gt"], r"the image 'a' has two masks, 'a_mask' and 'a_gt'"),
        (["b (4)", "b (4)_mask", "b (4)_mask_1"], r"has two masks, .*_mask' and .*_mask_1'"),
        (["img_1", "image-1", "mask_1"], r"the mask 'mask_1' fits the images 'img_1', 'image-1'"),
    ],
)
def test_names_that_fit_twice_are_refused(names, message):
    with pytest.raises(DataError, match=message):
        pairing.separate_masks(names)


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("a.png", "a_mask.png"),
        ("A.PNG", "a_MASK.PNG"),
        ("images/img_1.png", "masks/mask_1.png"),
        ("IMAGES/a.png", "GROUND_TRUTH/a.bmp"),
        ("Original/a.png", "Ground Truth/a.png"),
        ("train_images/a.png", "train_labels/a.png"),
        ("train/a.png", "train_masks/a_mask.png"),
        ("train/images/a.png", "train/masks/a_mask.png"),
        ("pics/a.png", "masks/a.png"),
        ("a.png", "masks/a.png"),
        ("p1/image.png", "p1/mask.png"),
        ("p1/deep/a.png", "p1/deep/a_seg.png"),
        ("Photos/a.pgm", "Segmentations/a_seg.png"),
    ],
)
def test_layouts_of_people(tmp_path, make_png, image, mask):
    make_png(tmp_path / image, PHOTO[..., 0] if image.endswith("pgm") else PHOTO)
    make_png(tmp_path / mask, MASK)
    (tmp_path / "README.txt").write_text("hello")
    (tmp_path / "Thumbs.db").write_bytes(b"\0")
    for path in (tmp_path / image, tmp_path / mask):
        (path.parent / f"._{path.name}").write_bytes(b"\0\5\26\7")
    catalog = compute_class_areas(read_catalog(tmp_path))
    assert [s.key for s in catalog.samples] == [image]
    assert (catalog.samples[0].areas, catalog.notes) == ({"foreground": 112}, ())


def test_what_is_left_over_is_named(tmp_path, make_png):
    for name in ("a", "b", "c"):
        make_png(tmp_path / f"{name}.png", PHOTO)
    for name in ("a_mask", "b_mask", "d_mask"):
        make_png(tmp_path / f"{name}.png", MASK)
    catalog = read_catalog(tmp_path)
    assert catalog.layout == "beside"
    assert catalog.notes == ("1 images without a mask: c", "1 masks without an image: d_mask")
    make_png(tmp_path / "a_mask.bmp", MASK)
    with pytest.raises(DataError, match=r"holds a_mask.bmp and a_mask.png, one of a pair"):
        read_catalog(tmp_path)


def test_a_photograph_is_no_mask_because_of_its_name(tmp_path, make_png):
    for name in ("car", "bus", "dog", "cat", "cow", "gt_car", "label"):
        make_png(tmp_path / f"{name}.png", PHOTO)
    catalog = read_catalog(tmp_path)
    assert (catalog.layout, len(catalog)) == ("pictures", 7)
    make_png(tmp_path / "bus_mask.png", MASK)
    catalog = read_catalog(tmp_path)
    assert catalog.layout == "beside"
    assert [s.key for s in catalog.samples if s.masks] == ["bus.png"]
    assert len(catalog) == 7
    assert catalog.notes[-1] == (
        "2 pictures are called as masks and look like photographs, as which they are taken: "
        "gt_car, label"
    )


def test_two_folders_of_masks_and_folders_that_are_not_read(tmp_path, make_png):
    for part, pixels in (("images", PHOTO), ("masks", MASK), ("manual", MASK)):
        make_png(tmp_path / part / "a.png", pixels)
    assert read_catalog(tmp_path).notes == (
        "1 folder(s) beside images and masks are not read: manual",
    )
    make_png(tmp_path / "labels" / "a.png", MASK)
    with pytest.raises(DataError, match=r"masks and .*labels both hold masks of .*images"):
        read_catalog(tmp_path)


def test_two_masks_of_one_image_in_a_folder_of_masks(tmp_path, make_png):
    make_png(tmp_path / "images" / "a.png", PHOTO)
    for name in ("a", "a_label"):
        make_png(tmp_path / "masks" / f"{name}.png", MASK)
    with pytest.raises(DataError, match=r"image 'a' has two masks, 'a' and 'a_label'"):
        read_catalog(tmp_path)


def test_values_of_masks_that_roboflow_names(tmp_path, make_png):
    for part in ("train", "valid"):
        make_png(tmp_path / part / "a_jpg.rf.1.jpg", PHOTO)
        make_png(tmp_path / part / "a_jpg.rf.1_mask.png", MASK // 255)
        (tmp_path / part / "_classes.csv").write_text(
            "Pixel Value, Class\n0, background\n1, cell\n"
        )
    catalog = compute_class_areas(read_catalog(tmp_path))
    assert (catalog.classes, [s.areas for s in catalog.samples]) == (("cell",), [{"cell": 112}] * 2)
    (tmp_path / "train" / "_classes.csv").write_text("a\n1,2,3\n")
    with pytest.raises(DataError, match=r"other columns than pixel value and class"):
        read_catalog(tmp_path)


@pytest.mark.parametrize(
    ("image", "mask", "layout"),
    [
        ("p1/a.npy", None, "pictures"),
        ("a.npy", "a_mask.npy", "beside"),
        ("images/a.npy", "masks/a.npy", "folder"),
    ],
)
def test_arrays_are_pictures_too(tmp_path, image, mask, layout):
    for name, pixels in ((image, PHOTO[..., 0] / 7), (mask, MASK // 255)):
        if name is not None:
            (tmp_path / name).parent.mkdir(exist_ok=True)
            np.save(tmp_path / name, pixels)
    catalog = compute_class_areas(read_catalog(tmp_path))
    assert (catalog.layout, [s.key for s in catalog.samples]) == (layout, [image])
    assert catalog.samples[0].areas == ({"foreground": 112} if mask else {})
