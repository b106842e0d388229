"""The one place where pixels are read: limits, EXIF rotation, data types, geometry.

Files come from strangers. Sizes are read from the header and checked before anything is
allocated, and a file that lies about itself becomes a `DataError`, never a crash.
"""

import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from episodes import tiff
from episodes.catalog import PixelRef
from episodes.errors import DataError, shorten
from episodes.foreign import foreign
from episodes.lattice import Placement
from episodes.limits import check_planes
from episodes.mask_grid import Grid
from episodes.mask_pixels import MaskPixels, of_colours, of_numbers, of_shares
from episodes.picture import (
    IMAGE_SUFFIXES,
    STACK_SUFFIXES,
    frames,
    image_page,
    is_lossy,
    mask_page,
    open_picture,
    pages,
    shown_size,
)
from episodes.volume import Geometry, read_label_voxels, read_volume, volume_geometry

VOLUME_SUFFIXES = (".nii", ".nii.gz")

_HAIR = 1e-3  # how far a mask's float may lie from a whole number
_LARGEST = 2**53  # beyond it, floats are not exact


@dataclass(frozen=True)
class Header:
    """What a file says of itself, read without its pixels.

    Attributes:
        kind: "image" or "volume" (a stack is a volume without geometry).
        size: (height, width) of a plane, in pixels.
        planes: number of planes; 1 for an image.
        geometry: where a volume lies in space, None for images and stacks.
    """

    kind: str
    size: tuple[int, int]
    planes: int
    geometry: Geometry | None = None

    def grid(self, path: Path) -> Grid:
        """The file's place, for `place_mask`."""
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
    """Whether the ending is one that `read_header` knows."""
    return is_volume(path) or suffix(path) in IMAGE_SUFFIXES


def read_header(path: Path) -> Header:
    """Read size, number of planes and geometry, without pixels.

    Raises:
        DataError: the file is missing, unreadable, not an image, or larger than the limits.
    """
    if is_volume(path):
        geometry = volume_geometry(path)
        depth, height, width = geometry.plane_shape
        check_planes(path, depth)
        return Header("volume", (height, width), depth, geometry)
    if found := _structure(path):
        check_planes(path, found.planes)
        return Header("volume" if found.planes > 1 else "image", found.size, found.planes)
    if path.is_file() and not is_readable(path) and (words := foreign(path)):
        raise DataError(f"{path} is {words}")
    with open_picture(path) as image:
        size, planes = shown_size(path, image), frames(path, image)
        check_planes(path, planes)
    return Header("volume" if planes > 1 else "image", size, planes)


def read_image(path: Path) -> np.ndarray:
    """Read a picture as [height, width] or, in colour, [height, width, 3], in its own data type.

    EXIF rotation is applied, transparent pixels are shown on white, palettes become colours.

    Raises:
        DataError: see `read_header`; or the file holds a volume, to be read with `read_planes`.
    """
    if is_volume(path):
        raise DataError(f"{path} is a volume; expected a picture. Read it with read_planes")
    if found := _structure(path):
        planes = read_planes(path)
        if len(planes) > 1:
            raise DataError(
                f"{path} has {len(planes)} planes (axes {found.axes}); expected a picture of one. "
                "Read it with read_planes"
            )
        return planes[0]
    with open_picture(path) as image:
        count = frames(path, image)
        if count > 1:
            raise DataError(
                f"{path} has {count} pages; expected a picture of one. Read it with read_planes"
            )
        return finite(image_page(path, image), str(path))


def read_planes(path: Path) -> np.ndarray:
    """Read all planes of an image, stack or volume as [depth, height, width(, 3)].

    Voxels that are no finite number become the smallest finite one, with a warning.
    """
    if is_volume(path):
        return finite(read_volume(path), str(path))
    if found := _structure(path):
        return finite(tiff.read(path, found), str(path))
    with open_picture(path) as image:
        planes = _stack(path, [image_page(path, page) for page in pages(path, image)])
    return finite(planes, str(path))


def read_labels(path: Path, placement: Placement | None = None) -> np.ndarray:
    """Read all planes of a mask as integers [depth, height, width]; see `read_mask`."""
    return read_mask(path, placement).labels


def read_mask(path: Path, placement: Placement | None = None) -> MaskPixels:
    """Read all planes of a mask, and tell how its pixels became numbers.

    Args:
        path: the file.
        placement: how it lies on its image, from `place_mask`; by default it is read as if it were
            an image.

    Raises:
        DataError: see `read_header`; or the values are no whole numbers >= 0, or it is a picture.
    """
    if is_volume(path):
        geometry, voxels, step = read_label_voxels(path)
        planes = geometry.to_planes(voxels) if placement is None else placement.apply(voxels)
        return interpret_mask(planes, str(path), step=step)
    if placement is not None:
        read = read_mask(path)
        return replace(read, labels=placement.apply(read.labels))
    if found := _structure(path):
        if found.channels > 1 and not (found.channels in (3, 4) and found.axes.endswith("C")):
            raise DataError(
                f"mask {path} has {found.channels} channels (axes {found.axes}); expected one "
                "number a pixel"
            )
        return interpret_mask(tiff.read(path, found), str(path))
    with open_picture(path) as image:
        lossy = is_lossy(path, image)
        planes = _stack(path, [mask_page(path, page) for page in pages(path, image)])
    return interpret_mask(planes, str(path), lossy)


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
        return of_colours(planes, name, lossy)
    if _are_shares(planes, max(_HAIR, 0.49 * step)):
        return of_shares(planes)
    return of_numbers(whole_numbers(planes, name, step), lossy)


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
    return finite(planes, pixels.name)


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


def whole_numbers(values: np.ndarray, name: str, step: float = 0.0) -> np.ndarray:
    """Return mask values as integers; booleans become 0 and 1.

    Values that rounding left a hair off whole numbers are rounded: those within 0.001; or, where a
    header scales stored integers, those to which a whole number was stored, which may lie half a
    step away (2.988 for 3, of steps of 254/255).

    Args:
        values: of any shape.
        name: for messages.
        step: between neighbouring values where stored integers are scaled; 0 where they are not.

    Raises:
        DataError: a value is negative, no whole number, or may stand for two.
    """
    if values.dtype == bool:
        return values.astype(np.uint8)
    if values.dtype.kind == "f":
        values = _rounded(values, name, step)
    if values.size and values.min() < 0:
        raise DataError(f"mask {name} holds {values.min()}; expected numbers from 0 upwards")
    return values.astype(values.dtype.newbyteorder("="), copy=False)  # torch takes no other


def _rounded(values: np.ndarray, name: str, step: float) -> np.ndarray:
    """Round what lies within tolerance of whole numbers; see `whole_numbers`."""
    bad = ~np.isfinite(values)
    if bad.any():
        raise DataError(
            f"mask {name} holds {values[bad].flat[0]:g}; expected whole numbers (class or object "
            f"numbers), and {int(bad.sum()):,} of {values.size:,} are NaN or infinite"
        )
    whole = np.rint(values)
    away = np.abs(values - whole)
    tolerance = max(0.499 * step, _HAIR) if step < 1 else _HAIR
    odd = (away > tolerance) | (np.abs(whole) > _LARGEST)
    if odd.any():
        scaled = f"; its header scales stored integers by {step:g}" if step else ""
        raise DataError(
            f"mask {name} holds {values[odd].flat[0]:g}{scaled}; expected whole numbers (class or "
            "object numbers). A probability map has to be thresholded first"
        )
    if away.max(initial=0) > _HAIR:
        at = np.unravel_index(int(away.argmax()), values.shape)
        warnings.warn(
            f"mask {name}: the scale in its header leaves values off whole numbers; they are "
            f"rounded, e.g. {values[at]:g} to {whole[at]:g}",
            stacklevel=3,
        )
    return whole.astype(np.int64)


def finite(values: np.ndarray, name: str) -> np.ndarray:
    """Replace NaN and infinite values by the smallest finite one, with a warning.

    Raises:
        DataError: there is no finite value.
    """
    if values.dtype.kind != "f":
        return values
    bad = ~np.isfinite(values)
    count = int(bad.sum())
    if not count:
        return values
    if count == values.size:
        raise DataError(f"{name} holds no finite number at all; expected an image")
    low = values[~bad].min()
    warnings.warn(
        f"{name}: {count:,} of {values.size:,} pixels are NaN or infinite; "
        f"they are read as {low:g}, the smallest finite value",
        stacklevel=2,
    )
    return np.where(bad, low, values)


def _structure(path: Path) -> tiff.Structure | None:
    is_file = suffix(path) in STACK_SUFFIXES and path.is_file()
    return tiff.structure(path) if is_file else None


def _stack(path: Path, planes: list[np.ndarray]) -> np.ndarray:
    shapes = dict.fromkeys(plane.shape for plane in planes)
    if len(shapes) > 1:
        raise DataError(
            f"{path} holds pages of different shapes ({shorten(shapes)}); expected one shape. "
            "Save them apart"
        )
    return np.stack(planes)
