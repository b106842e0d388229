"""A small set of scans, and the commands that are tried on it."""

import json

import nibabel as nib
import numpy as np

TOY = ("--fold-count", "3", "--steps", "3", "--batch", "1", "--size", "64")
METHODS = ("--methods", "superpixels-local")


def write_scans(folder, count=6):
    """Scans of six slices with two organs that move a little."""
    folder.mkdir()
    for number in range(1, count + 1):
        labels = np.zeros((40, 36, 6), np.uint8)
        labels[4:16, 5:15, 1:5] = 1
        labels[20 + number % 3 : 32, 8:20, 2:6] = 2
        noise = np.random.default_rng(number).integers(0, 50, labels.shape)
        for name, voxels in (("image", labels * 200 + noise), ("label", labels)):
            image = nib.Nifti1Image(voxels.astype(np.int16), np.diag([1.0, 1.0, 5.0, 1.0]))
            nib.save(image, folder / f"{name}_{number}.nii.gz")
    (folder / "classes.json").write_text('{"1": "liver", "2": "spleen"}', encoding="utf-8")
    return folder


def read(out):
    return json.loads((out / "benchmark.json").read_text())


def benchmark_command(data, out, *more):
    protocols = ("--protocols", "alpnet", "full-thirds", "--folds", "0", "1")
    return ["benchmark", str(data), *METHODS, *protocols, *TOY, *more, "--out", str(out)]
