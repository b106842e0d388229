"""The bundled brain: the ICBM 2009 average T1 image with grey and white matter."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
from bundle_files import write_json, write_nifti
from bundle_packages import read

STEP = 4  # millimetres between the slices that are kept; the source has 1 mm
THRESHOLD = 0.5 * 255  # the tissue maps are probabilities scaled to 0..255
FEWEST = 300  # labelled voxels that a slice needs to be kept
_MEMBER = "nilearn/datasets/data/mni_icbm152_{}_tal_nlin_sym_09a_converted.nii.gz"


def make_brain(packages: Path, folder: Path) -> None:
    """Write the T1 image, its labels and the class names into ``folder``."""
    members = {key: _MEMBER.format(key) for key in ("t1", "gm", "wm")}
    contents = read(packages, "nilearn", members.values())
    source = {key: _open(contents[member]) for key, member in members.items()}
    grey, white = np.asarray(source["gm"].dataobj), np.asarray(source["wm"].dataobj)
    labels = np.zeros(grey.shape, np.uint8)
    labels[(grey >= white) & (grey > THRESHOLD)] = 1
    labels[(white > grey) & (white > THRESHOLD)] = 2
    image = np.asarray(source["t1"].dataobj)

    kept = np.flatnonzero((labels > 0).sum(axis=(0, 1)) >= FEWEST)
    start, stop = int(kept[0]), int(kept[-1]) + 1
    affine = source["t1"].affine.copy()
    affine[:3, 3] += start * affine[:3, 2]
    affine[:3, 2] *= STEP
    for name, voxels in (("image_icbm", image), ("label_icbm", labels)):
        chosen = np.ascontiguousarray(voxels[:, :, start:stop:STEP])
        write_nifti(folder / f"{name}.nii.gz", chosen, affine, "mm")
    write_json(folder / "classes.json", {"1": "grey_matter", "2": "white_matter"})


def _open(zipped: bytes) -> nib.Nifti1Image:
    return nib.Nifti1Image.from_bytes(gzip.decompress(zipped))
