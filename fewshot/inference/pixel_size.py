"""How large a pixel is, in the unit that the image's own file names."""

from dataclasses import dataclass
from pathlib import Path

from episodes.io.formats import tiff
from episodes.io.formats.pillow import first_bytes
from episodes.io.formats.tiff_spacing import tiff_spacing
from fewshot.inference.inputs import ImageStack

MILLIMETRES = {"nm": 1e-6, "um": 1e-3, "mm": 1.0, "cm": 10.0, "m": 1000.0}
"""Units of length in millimetres."""
ASSUMED = "the header names no unit of length; millimetres are assumed"
UNKNOWN = "the file tells no size of a pixel; areas and volumes are counted in pixels"


@dataclass(frozen=True)
class PixelSize:
    """Distances of neighbouring planes, rows and columns.

    Attributes:
        plane: None where it is not known.
        row, column: 1 where nothing is known.
        unit: nm, um, mm, cm or m; px where nothing is known.
        note: what was assumed, or is missing; "" where the file tells everything.

    >>> PixelSize(None, 0.5, 0.5, "um").measure(1)
    (0.25, 'um2')
    """

    plane: float | None = None
    row: float = 1.0
    column: float = 1.0
    unit: str = "px"
    note: str = UNKNOWN

    def measure(self, depth: int) -> tuple[float, str]:
        """Area of a pixel, or volume of a voxel of a stack, and its unit.

        Args:
            depth: planes of the stack; 1 of an image.

        Returns:
            (1, "px") where it is not known.
        """
        if self.unit == "px" or (depth > 1 and self.plane is None):
            return 1.0, "px"
        area = self.row * self.column
        if depth > 1 and self.plane is not None:
            return area * self.plane, f"{self.unit}3"
        return area, f"{self.unit}2"


def pixel_size(picture: ImageStack) -> PixelSize:
    """Read the size of a pixel from an image's header: NIfTI, OME-TIFF, ImageJ TIFF.

    Args:
        picture: an image, stack or volume; of an array nothing is known.

    Returns:
        Lengths in the header's own unit.
    """
    geometry = picture.geometry
    if geometry is not None:
        if not geometry.declared:
            return PixelSize()
        depth, row, column = (float(geometry.spacing[axis]) for axis in geometry.order)
        for unit, length in MILLIMETRES.items():
            if geometry.unit is not None and abs(geometry.unit / length - 1) < 1e-6:
                return PixelSize(depth, row, column, unit, "")
        scale = geometry.unit or 1.0  # a unit of another name, in mm
        note = "" if geometry.unit else ASSUMED
        return PixelSize(depth * scale, row * scale, column * scale, "mm", note)
    if picture.path is None or picture.structure is None or not _is_tiff(picture.path):
        return PixelSize()
    found = tiff_spacing(picture.path)
    if found is None:
        return PixelSize()
    plane, row, column, unit = found
    flat = len(picture.pixels) > 1 and plane is None
    return PixelSize(plane, row, column, unit, UNKNOWN if flat else "")


def _is_tiff(path: Path) -> bool:
    return first_bytes(path)[:4] in tiff.MAGIC
