"""Tiny data sets made on the spot, and the real ones where they are at hand."""

import gc
import json
import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from nibabel.orientations import axcodes2ornt, inv_ornt_aff, io_orientation, ornt_transform
from PIL import Image

from tests import shape_checks

shape_checks.install()

from episodes import registry  # noqa: E402

torch.set_num_threads(1)  # tensors here are tiny


HEIGHT, WIDTH = 40, 56
CLASSES = {"1": "disc", "2": "bar", "3": "square"}


def pytest_collection_finish():
    """Keep what was imported out of every later collection: a benchmark collects for each cell."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    """Keep the user's cache folder out of the tests."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(autouse=True)
def _own_registries():
    """Forget what a test registered, as an example of the guides does, in the tests after it."""
    before = _registering_modules()
    yield
    for module in _registering_modules() - before:
        if module.partition(".")[0] not in ("episodes", "fewshot"):
            registry.forget(module)


def _registering_modules() -> set[str]:
    entries = (each._entries.values() for each in registry._REGISTRIES)
    return {entry.module for each in entries for entry in each}


def draw(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A grey picture and its class numbers: a disc, a bar and a square that do not touch."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    down, right = generator.integers(-2, 3, 2)
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[(rows - 10 - down) ** 2 + (columns - 12 - right) ** 2 <= 36] = 1
    labels[28 + down : 34 + down, 6 + right : 30 + right] = 2
    labels[8 + down : 20 + down, 36 + right : 48 + right] = 3
    image = labels * 60 + generator.integers(0, 40, labels.shape)
    return image.astype(np.uint8), labels


def save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def make_png():
    """Write pixels to a path, making its folders."""
    return save


@pytest.fixture
def index_set(tmp_path) -> Path:
    """Four subjects with two pictures each; masks of class numbers; classes.json."""
    root = tmp_path / "shapes"
    for number in range(8):
        image, labels = draw(number)
        name = f"p{number // 2}_{'ab'[number % 2]}.png"
        save(root / "images" / name, image)
        save(root / "masks" / name, labels)
    (root / "classes.json").write_text(json.dumps(CLASSES), encoding="utf-8")
    return root


@pytest.fixture
def binary_set(tmp_path) -> Path:
    """Three pictures whose masks are 0 and 255, without a label map."""
    root = tmp_path / "binary"
    for number in range(3):
        image, labels = draw(number)
        save(root / "images" / f"{number}.png", image)
        save(root / "masks" / f"{number}.png", (labels == 1) * np.uint8(255))
    return root


@pytest.fixture
def class_masks_set(tmp_path) -> Path:
    """masks/disc/0.png and masks/bar/0.png beside images/0.png."""
    root = tmp_path / "organs"
    for number in range(3):
        image, labels = draw(number)
        save(root / "images" / f"{number}.png", image)
        for value, name in ((1, "disc"), (2, "bar")):
            save(root / "masks" / name / f"{number}.png", (labels == value) * np.uint8(255))
    return root


@pytest.fixture
def class_folders_set(tmp_path) -> Path:
    """disc/images/0.png, disc/masks/0.png, square/images/0.png, square/masks/0.png."""
    root = tmp_path / "fewclass"
    for value, name in ((1, "disc"), (3, "square")):
        for number in range(2):
            image, labels = draw(10 * value + number)
            save(root / name / "images" / f"{number}.png", image)
            save(root / name / "masks" / f"{number}.png", (labels == value).astype(np.uint8))
    return root


@pytest.fixture
def stack_set(tmp_path) -> Path:
    """One TIFF stack of four pages and its mask stack of the values 0, 1, 2, 3."""
    root = tmp_path / "stacks"
    pages = [draw(number) for number in range(4)]
    for folder, part in (("images", 0), ("masks", 1)):
        (root / folder).mkdir(parents=True)
        first, *rest = (Image.fromarray(page[part]) for page in pages)
        first.save(root / folder / "cells.tif", save_all=True, append_images=rest)
    return root


def phantom() -> np.ndarray:
    """Voxels in RAS order [x to right, y to anterior, z to superior] that tell every direction."""
    x, y, z = np.mgrid[:7, :6, :5]
    return (100 * x + 10 * y + z).astype(np.int16)


def orient(voxels: np.ndarray, affine: np.ndarray, codes: str) -> nib.Nifti1Image:
    """Store RAS voxels with other axes: equal places in space, another order in the file."""
    change = ornt_transform(io_orientation(affine), axcodes2ornt(codes))
    image = nib.Nifti1Image(voxels, affine)
    turned = nib.orientations.apply_orientation(voxels, change)
    return nib.Nifti1Image(turned, image.affine @ inv_ornt_aff(change, voxels.shape))


@pytest.fixture
def make_phantom():
    """Build the phantom with axes such as "LPS" and a spacing (right, anterior, superior)."""

    def make(codes: str, spacing: tuple[float, float, float] = (1, 1, 4)) -> nib.Nifti1Image:
        affine = np.diag([*spacing, 1.0])
        affine[:3, 3] = (-3, 5, 40)
        return orient(phantom(), affine, codes)

    return make


def volumes(images: Path, labels: Path, image_name: str, label_name: str) -> None:
    """Write three volumes of 28 x 24 x 6 voxels whose axes differ, with labels 1 and 2."""
    affine = np.diag([1.0, 1.0, 5.0, 1.0])
    for number, codes in enumerate(("LAS", "RPS", "SAR")):
        truth = np.zeros((28, 24, 6), np.uint8)
        truth[4:12, 5:15, 1:5] = 1
        truth[16:24, 8 : 16 + number, 2:6] = 2
        noise = np.random.default_rng(number).integers(0, 50, truth.shape)
        image = (truth * 200 + noise).astype(np.int16)
        nib.save(orient(image, affine, codes), images / image_name.format(number))
        nib.save(orient(truth, affine, codes), labels / label_name.format(number))


@pytest.fixture
def nifti_set(tmp_path) -> Path:
    """image_0.nii.gz and label_0.nii.gz in one folder; classes.json."""
    root = tmp_path / "pairs"
    root.mkdir()
    volumes(root, root, "image_{}.nii.gz", "label_{}.nii.gz")
    (root / "classes.json").write_text('{"1": "liver", "2": "spleen"}', encoding="utf-8")
    return root


@pytest.fixture
def nnunet_set(tmp_path) -> Path:
    """imagesTr/case_0_0000.nii.gz and labelsTr/case_0.nii.gz."""
    root = tmp_path / "Dataset001"
    (root / "imagesTr").mkdir(parents=True)
    (root / "labelsTr").mkdir()
    volumes(root / "imagesTr", root / "labelsTr", "case_{}_0000.nii.gz", "case_{}.nii.gz")
    return root


@pytest.fixture
def real_data():
    """Return the folder of a real data set by its name, or skip."""
    beside = Path(__file__).resolve().parents[1] / "../shared/data"
    root = Path(os.environ.get("FEWSHOT_DATA", beside))

    def find(name: str) -> Path:
        folder = (root / name).resolve()
        if not folder.is_dir():
            pytest.skip(f"real data {name!r} is not in {root}; set FEWSHOT_DATA to its folder")
        return folder

    return find
