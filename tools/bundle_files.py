"""Write the files of the bundled data so that the same content always gives the same bytes."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

import nibabel as nib
import numpy as np
from PIL import Image


def write_json(path: Path, content: object) -> None:
    """Write indented JSON with a final newline."""
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def write_png(path: Path, pixels: np.ndarray) -> None:
    """Write a uint8 or uint16 array [height width] or a uint8 array [height width 3] as PNG."""
    Image.fromarray(pixels).save(path, optimize=True)


def write_jpeg(path: Path, pixels: np.ndarray) -> None:
    """Write a uint8 array [height width 3] as JPEG of quality 90."""
    Image.fromarray(pixels).save(path, quality=90, optimize=True)


def write_nifti(path: Path, voxels: np.ndarray, affine: np.ndarray, unit: str) -> None:
    """Write an array [x y z] as ``.nii.gz``.

    The stream carries neither a file name nor a time, which nibabel's own writer does not promise.

    Args:
        path: where to write.
        voxels: the array, of the type in which it is stored.
        affine: voxel index to position, 4 x 4, in ``unit``.
        unit: "mm" or "micron", as in the header field ``xyzt_units``.
    """
    image = nib.Nifti1Image(voxels, affine)
    image.header.set_xyzt_units(xyz=unit)
    image.set_sform(affine, code="mni" if unit == "mm" else "scanner")
    image.set_qform(affine, code="mni" if unit == "mm" else "scanner")
    stream = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=stream, mtime=0) as zipped:
        zipped.write(image.to_bytes())
    path.write_bytes(stream.getvalue())
