"""The one place where pixels are read: limits, EXIF rotation, data types, geometry.

Files come from strangers. Sizes are read from the header and checked before anything is
allocated, and a file that lies about itself becomes a `DataError`, never a crash.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from episodes.errors import DataError
from episodes.io.axes import Reading, Structure, arrange, in_planes, shown, shown_on_white
from episodes.io.formats import netpbm, npy, pillow, tiff
from episodes.io.formats.nifti import read_label_voxels, read_volume, volume_geometry
from episodes.io.formats.pillow import (
    IMAGE_SUFFIXES,
    first_bytes,
    image_page,
    is_lossy,
    mask_page,
    numbers_or_colours,
    open_image,
    shown_size,
)
from episodes.io.geometry import Geometry
from episodes.io.limits import check_planes
from episodes.io.mask_grid import Grid
from episodes.io.mask_pixels import MaskPixels, from_colours, from_fractions, from_integers
from episodes.io.pixels import PixelRef
from episodes.io.unsupported import foreign
from episodes.io.values import HAIR, as_integer_labels, replace_nonfinite
from episodes.io.voxel_grids import Placement

VOLUME_SUFFIXES = (".nii", ".nii.gz")


STACK_SUFFIXES = pillow.STACK_SUFFIXES
ARRAY_SUFFIXES = (".npy", ".npz")


@dataclass(frozen=True)
class Header:
    """The header of a file, read without its pixels.

    Attributes:
        kind: "image" or "volume" (a stack is a volume without geometry).
        size: (height, width) of a plane, in pixels.
        planes: number of planes; 1 for an image.
        geometry: where a volume lies in space, None for images and stacks.
        structure: the axes of a TIFF or an array, None for others.
    """

    kind: str
    size: tuple[int, int]
    planes: int
    geometry: Geometry | None = None
    structure: Structure | None = None

    def grid(self, path: Path) -> Grid:
        """The file's place, for `align_mask`."""
        return Grid(str(path), (self.planes, *self.size), self.geometry)


def suffix(path: Path) -> str:
    """The lower-case file ending, with `.nii.gz` counted as one."""
    name = path.name.lower()
    return ".nii.gz" if name.endswith(".nii.gz") else Path(name).suffix


def stem(path: Path) -> str:
    """The file name without its ending."""
    return path.name[: len(path.name) - len(suffix(path))]


def is_volume(path: Path) -> bool:
    """Whether the ending is that of a NIfTI volume."""
    return suffix(path) in VOLUME_SUFFIXES


def is_readable(path: Path) -> bool:
    """Whether `read_header` reads files of this ending."""
    return is_volume(path) or suffix(path) in (*IMAGE_SUFFIXES, *ARRAY_SUFFIXES)


def read_header(path: Path, reading: Reading | None = None, *, mask: bool = False) -> Header:
    """Read size, number of planes, axes and geometry, without pixels.

    Args:
        path: the file.
        reading: how to read arrays and stacks whose axes or channels are not certain.
        mask: whether it holds one label a pixel, and so has no channels.

    Raises:
        DataError: the file is missing, unreadable, not an image, larger than the limits, or an
            array whose axes may be several.
    """
    if is_volume(path):
        geometry = volume_geometry(path, reading.channels if reading and not mask else None)
        depth, height, width = geometry.plane_shape
        check_planes(path, depth)
        return Header("volume", (height, width), depth, geometry)
    found, kind = None, _kind(path)
    if kind == "TIFF":
        found = tiff.structure(path, reading, mask=mask)
    elif kind == "array":
        found = npy.structure(path, reading, mask=mask)
    if found is not None:
        check_planes(path, found.planes)
        name = "volume" if found.planes > 1 else "image"
        return Header(name, found.size, found.planes, structure=found)
    if kind == "Netpbm":
        return Header("image", netpbm.shape(path)[:2], 1)
    if not is_readable(path) and (words := foreign(path)):
        raise DataError(f"{path} is {words}")
    with open_image(path) as image:
        return Header("image", shown_size(path, image), 1)


def _kind(path: Path) -> str:
    """Determine the format of a file by its first bytes; of an array also by its ending."""
    start = first_bytes(path)
    if start[:4] in tiff.MAGIC:
        return "TIFF"
    if start[:2] in netpbm.MAGIC:
        return "Netpbm"
    return "array" if suffix(path) in ARRAY_SUFFIXES else "picture"


def read_image(path: Path, reading: Reading | None = None) -> np.ndarray:
    """Read a picture as [height, width] or, in colour, [height, width, 3], in its own data type.

    EXIF rotation is applied, transparent pixels are shown on white, palettes become colours.

    Raises:
        DataError: see `read_header`; or the file holds a volume, to be read with `read_planes`.
    """
    if is_volume(path):
        raise DataError(f"{path} is a volume; expected a picture. Read it with read_planes")
    header = read_header(path, reading)
    if header.planes > 1:
        axes = header.structure.axes if header.structure else ""
        raise DataError(
            f"{path} has {header.planes} planes (axes {axes}); expected a picture of one. "
            "Read it with read_planes"
        )
    return read_planes(path, reading)[0]


def read_planes(path: Path, reading: Reading | None = None) -> np.ndarray:
    """Read all planes of an image, stack or volume as [depth, height, width(, 3)].

    Voxels that are no finite number become the smallest finite one, with a warning.
    """
    return replace_nonfinite(np.require(_planes(path, reading), requirements=["C", "W"]), str(path))


def _planes(path: Path, reading: Reading | None) -> np.ndarray:
    if is_volume(path):
        return shown(read_volume(path, reading.channels if reading else None))
    kind = _kind(path)
    if kind == "TIFF":
        return tiff.read(path, reading)
    if kind == "array":
        return arrange(*npy.read(path, reading), str(path), reading)
    if kind == "Netpbm":
        pixels, transparent = netpbm.read(path)
        pixels = shown_on_white(pixels, "straight", str(path)) if transparent else pixels
        return (pixels[..., 0] if pixels.shape[2] == 1 else pixels)[None]
    with open_image(path) as image:
        return image_page(path, image)[None]


def read_labels(
    path: Path, placement: Placement | None = None, reading: Reading | None = None
) -> np.ndarray:
    """Read all planes of a mask as integers [depth, height, width]; see `read_mask`."""
    return read_mask(path, placement, reading).labels


def read_mask(
    path: Path, placement: Placement | None = None, reading: Reading | None = None
) -> MaskPixels:
    """Read all planes of a mask, with notes on how pixels became labels.

    Args:
        path: the file.
        placement: how it lies on its image, from `align_mask`; by default it is read as if it were
            an image.
        reading: how to read arrays and stacks whose axes are not certain.

    Raises:
        DataError: see `read_header`; or the values are no whole numbers >= 0, or it is a picture.
    """
    if is_volume(path):
        geometry, voxels, step = read_label_voxels(path)
        planes = geometry.to_planes(voxels) if placement is None else placement.apply(voxels)
        return interpret_mask(planes, str(path), step=step)
    if placement is not None:
        read = read_mask(path, reading=reading)
        return replace(read, labels=placement.apply(read.labels))
    planes, lossy = _mask_planes(path, reading)
    return interpret_mask(np.require(planes, requirements=["C", "W"]), str(path), lossy)


def _mask_planes(path: Path, reading: Reading | None) -> tuple[np.ndarray, bool]:
    """Read the numbers or colours of a mask, and whether they were compressed with loss."""
    kind, lossy = _kind(path), False
    if kind == "picture":
        with open_image(path) as image:
            return mask_page(path, image)[None], is_lossy(path, image)
    if kind == "TIFF":
        values, lossy = tiff.read_mask(path, reading)
    elif kind == "array":
        values, found = npy.read(path, reading, mask=True)
        values = in_planes(values, found)
        if found.channels > 1 and not found.rgb:
            raise DataError(
                f"mask {path} has {found.channels} channels (axes {found.axes}); expected one "
                "number a pixel"
            )
    else:
        values = netpbm.read(path)[0][None]
    return numbers_or_colours(values), lossy


def interpret_mask(
    planes: np.ndarray, name: str, lossy: bool = False, step: float = 0.0
) -> MaskPixels:
    """Turn the planes of a mask into numbers.

    Args:
        planes: [depth height width], or with 3 or 4 channels of 8-bit colour.
        name: for messages.
        lossy: whether they were compressed with loss.
        step: between neighbouring values where stored integers are scaled, else 0.

    Raises:
        DataError: the values are no whole numbers >= 0, or it is a picture.
    """
    if planes.ndim == 4:
        return from_colours(planes, name, lossy)
    if _are_shares(planes, max(HAIR, 0.49 * step)):
        return from_fractions(planes)
    return from_integers(as_integer_labels(planes, name, step), lossy)


def _are_shares(values: np.ndarray, tolerance: float) -> bool:
    """Whether these are fractions from 0 to 1, further from whole numbers than rounding gets."""
    if values.dtype.kind != "f" or not values.size:
        return False
    if not (values.min() >= 0 and values.max() <= 1):  # false for NaN, too
        return False
    return bool((np.abs(values - np.rint(values)) > tolerance).any())


def planes_of(pixels: PixelRef) -> np.ndarray:
    """Read the source of a reference to an image, all planes, as `read_planes` does.

    Raises:
        DataError: the source cannot be read, or is larger than the limits.
    """
    if pixels.reader is None:
        return read_planes(pixels.path)
    planes = _through(pixels)
    return replace_nonfinite(planes, pixels.name)


def labels_of(pixels: PixelRef) -> np.ndarray:
    """Read the source of a reference to a mask, all planes, as `read_labels` does."""
    return mask_of(pixels).labels


def mask_of(pixels: PixelRef) -> MaskPixels:
    """Read the source of a reference to a mask, all planes, as `read_mask` does.

    Raises:
        DataError: the source cannot be read, or holds no whole numbers >= 0.
    """
    if pixels.reader is None:
        return read_mask(pixels.path)
    return interpret_mask(_through(pixels), pixels.name)


def _through(pixels: PixelRef) -> np.ndarray:
    """Call the reference's own reader and check what it returns."""
    if pixels.reader is None:
        raise DataError(f"{pixels.name} has no reader of its own")
    planes = pixels.reader(pixels.path, pixels.member)
    planes = planes[None] if planes.ndim == 2 else planes
    colour = planes.ndim == 4 and planes.shape[3] == 3
    if not (planes.ndim == 3 or colour) or planes.dtype.kind not in "buif" or not planes.size:
        raise DataError(
            f"{pixels.name} was read as {planes.dtype} of shape {planes.shape}; expected numbers "
            "[height width], [depth height width] or [depth height width 3]"
        )
    return planes
