"""How large a pixel of a sample is, where its file names it."""

import json
from functools import lru_cache
from pathlib import Path

from episodes.catalog.catalog import Sample
from episodes.io import read
from episodes.io.dicom.pixels import read_series
from episodes.io.dicom.planes import planes_of_file, read_header
from episodes.io.pixels import PixelRef


def pixel_spacing(sample: Sample) -> tuple[float, float] | None:
    """Distance of rows and of columns in mm; None where the image names none.

    NIfTI volumes and DICOM series name it. The resolution of a picture is that of a print or a
    screen, and is not taken.
    """
    return _spacing(sample.image.source)


@lru_cache(maxsize=4096)
def _spacing(source: PixelRef) -> tuple[float, float] | None:
    if source.reader is read_series:
        name = Path(str(json.loads(source.member)[0][0]))
        path = source.path / name
        found = next(planes_of_file(path, name.as_posix(), read_header(path))).spacing
        return None if found is None else (found[0], found[1])
    if source.reader is not None or not read.is_volume(source.path):
        return None
    geometry = read.read_header(source.path).geometry
    return None if geometry is None else geometry.plane_spacing[1:]
