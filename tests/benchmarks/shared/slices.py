"""Slices of real scans as plain picture files, so that every library can read them."""

import os
from pathlib import Path

import numpy as np
from PIL import Image

from episodes import bundled
from episodes.catalog.letterbox import intensity_range
from episodes.io.read import read_labels, read_planes

SIZE = 256


def prepare(folder: Path) -> str:
    """Write images/, masks/ and classes.json; returns what the images are."""
    (folder / "images").mkdir()
    (folder / "masks").mkdir()
    (folder / "classes.json").write_text('["1", "2", "3", "4"]')
    beside = Path(__file__).resolve().parents[3] / "../shared/data"
    chaos = Path(os.environ.get("FEWSHOT_DATA", beside)) / "chaos_t2"
    if chaos.is_dir():
        for path in sorted(chaos.glob("image_*.nii.gz")):
            name = path.name.removeprefix("image_").removesuffix(".nii.gz")
            labels = read_labels(path.with_name(f"label_{name}.nii.gz"))
            for plane, pixels in enumerate(read_planes(path)):
                store(folder, f"p{name}_{plane}", pixels, labels[plane])
        return "CHAOS"
    root = bundled.path("nuclei")
    for path in sorted((root / "images").iterdir()):
        pixels, labels = read_planes(path)[0], read_labels(root / "masks" / path.name)[0]
        for row in range(0, pixels.shape[0] - SIZE + 1, 64):
            for column in range(0, pixels.shape[1] - SIZE + 1, 64):
                window = np.s_[row : row + SIZE, column : column + SIZE]
                name = f"p{path.stem}_{row}_{column}"
                store(folder, name, pixels[window], (labels[window] > 0) * (1 + row // 64 % 2))
    return "bundled nuclei"


def store(folder: Path, name: str, pixels: np.ndarray, labels: np.ndarray) -> None:
    """Write 8 bits whose 0 to 255 is the range that ours would find, as peers divide by 255."""
    low, high = intensity_range(pixels)
    scaled = np.clip((pixels.astype(float) - low) / max(high - low, 1e-12), 0, 1) * 255
    for kind, values in (("images", np.round(scaled)), ("masks", labels)):
        path = folder / kind / f"{name}.png"
        Image.fromarray(values.astype(np.uint8)).save(path, compress_level=1)
