"""The one place where pixels are read: limits, EXIF rotation, data types, geometry.

Files come from strangers. Sizes are read from the header and checked before anything is
allocated, and a file that lies about itself becomes a `DataError`, never a crash.
"""

import gzip
import math
import struct
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from episodes.errors import DataError, shorten

MAX_PIXELS = 80_000_000
"""Largest image, in pixels; Pillow's own alarm is a little above."""
MAX_VOXELS = 2**29
"""Largest volume or stack, in voxels (2 GiB as float32)."""

VOLUME_SUFFIXES = (".nii", ".nii.gz")
STACK_SUFFIXES = (".tif", ".tiff")
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".ppm", ".pgm", *STACK_SUFFIXES)

# What Pillow and its plugins raise on malformed files, beside OSError and SyntaxError.
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, zlib.error, struct.error, IndexError)


@dataclass(frozen=True)
class Geometry:
    """How the planes of a volume lie in its file, so that a result can be written back in place.

    Attributes:
        affine: voxel index -> millimetres, as in the file [4, 4].
        shape: the file's own array shape.
        axis: the file's axis that is cut into planes.
        flips: the file's axes that run against the display direction.
    """

    affine: np.ndarray
    shape: tuple[int, ...]
    axis: int
    order: tuple[int, int, int]
    flips: tuple[int, ...]

    def to_planes(self, voxels: np.ndarray) -> np.ndarray:
        """Bring an array in file order to [depth, height, width] as a radiologist looks at it."""
        return np.transpose(np.flip(voxels, self.flips), self.order)

    def from_planes(self, planes: np.ndarray) -> np.ndarray:
        """Undo `to_planes`, giving the array in the file's own order and shape."""
        voxels = np.flip(np.transpose(planes, np.argsort(self.order)), self.flips)
        return np.ascontiguousarray(voxels.reshape(self.shape))


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
        return _volume_header(path)[0]
    with _open(path) as image:
        height, width = image.height, image.width
        if image.getexif().get(0x0112, 1) >= 5:  # the EXIF orientations that swap the two axes
            height, width = width, height
        frames = _frames(image, path)
    return Header("volume" if frames > 1 else "image", (height, width), frames)


def read_image(path: Path) -> np.ndarray:
    """Read a picture as [height, width] or, in colour, [height, width, 3], in its own data type.

    EXIF rotation is applied, transparent pixels are shown on white, palettes become colours.

    Raises:
        DataError: see `read_header`; or the file holds a volume, to be read with `read_planes`.
    """
    with _open(path) as image:
        return _pixels(path, image)


def read_planes(path: Path) -> np.ndarray:
    """Read all planes of an image, stack or volume as [depth, height, width(, 3)].

    Voxels that are no finite number become the smallest finite one, with a warning.
    """
    if is_volume(path):
        _, geometry, proxy = _volume_header(path)
        return geometry.to_planes(_voxels(path, proxy))
    with _open(path) as image:
        planes = []
        for frame in range(_frames(image, path)):
            image.seek(frame)
            planes.append(_pixels(path, image))
    if len({plane.shape for plane in planes}) > 1:
        shapes = shorten({plane.shape for plane in planes})
        raise DataError(f"{path} holds pages of different shapes ({shapes}); save them apart")
    return np.stack(planes)


def read_labels(path: Path) -> np.ndarray:
    """Read all planes of a mask as integers [depth, height, width].

    A colour picture is taken only when it is grey in truth (equal channels).

    Raises:
        DataError: see `read_header`; or the values are no whole numbers >= 0, or colours.
    """
    if is_volume(path):
        planes = read_planes(path)
    else:
        with _open(path) as image:
            planes = np.stack(
                [_mask_frame(path, image, frame) for frame in range(_frames(image, path))]
            )
    if planes.dtype == bool:
        return planes.astype(np.uint8)
    if planes.dtype.kind == "f":
        whole = planes.astype(np.int64)
        if not np.array_equal(whole, planes):
            odd = planes[whole != planes].flat[0]
            raise DataError(
                f"mask {path} holds {odd:g}; expected whole numbers (class or object numbers). "
                "A probability map has to be thresholded first"
            )
        planes = whole
    if planes.size and planes.min() < 0:
        raise DataError(f"mask {path} holds {planes.min()}; expected numbers from 0 upwards")
    return planes


# -- pictures ------------------------------------------------------------------------------------


def _open(path: Path) -> Image.Image:
    if path.is_dir():
        raise DataError(f"{path} is a folder; expected an image file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(path)
    except FileNotFoundError:
        raise DataError(f"there is no file {path}; check the name and the folder") from None
    except PermissionError:
        raise DataError(f"{path} may not be read; check its permissions") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise DataError(
            f"{path} is too large: {error}; at most {MAX_PIXELS:,} pixels are read at once. "
            "Crop or downscale it first"
        ) from None
    except UnidentifiedImageError:
        with path.open("rb") as file:
            start = file.read(12)
        raise DataError(
            f"{path} is not an image: its first bytes are {start!r}; expected one of "
            f"{', '.join((*IMAGE_SUFFIXES, *VOLUME_SUFFIXES))}"
        ) from None
    except _BROKEN as error:
        raise DataError(f"{path} cannot be read: {error}; is the file complete?") from error
    if image.width * image.height > MAX_PIXELS:
        raise DataError(
            f"{path} is too large: {image.width} x {image.height} pixels; at most "
            f"{MAX_PIXELS:,} pixels are read at once. Crop or downscale it first"
        )
    return image


def _frames(image: Image.Image, path: Path) -> int:
    if suffix(path) not in STACK_SUFFIXES:
        return 1
    try:
        frames = int(getattr(image, "n_frames", 1))
    except _BROKEN as error:
        raise DataError(f"{path} has a broken page list: {error}") from error
    if frames * image.width * image.height > MAX_VOXELS:
        raise DataError(
            f"{path} declares {frames} pages of {image.width} x {image.height}; at most "
            f"{MAX_VOXELS:,} voxels are read at once. Split the stack first"
        )
    return frames


def _upright(path: Path, image: Image.Image) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image.load()
            return ImageOps.exif_transpose(image)
    except _BROKEN as error:
        raise DataError(f"{path} cannot be read: {error}; is the file complete?") from error


def _pixels(path: Path, image: Image.Image) -> np.ndarray:
    image = _upright(path, image)
    if image.mode == "1":
        image = image.convert("L")
    elif image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or (
        image.mode == "P" and "transparency" in image.info
    ):
        image = Image.alpha_composite(
            Image.new("RGBA", image.size, "white"), image.convert("RGBA")
        ).convert("L" if image.mode in ("LA", "La") else "RGB")
    elif image.mode not in ("L", "I", "F", "RGB") and not image.mode.startswith("I;"):
        image = image.convert("RGB")
    return _finite(np.asarray(image), path)


def _mask_frame(path: Path, image: Image.Image, frame: int) -> np.ndarray:
    image.seek(frame)
    image = _upright(path, image)
    if image.mode == "1":
        return np.asarray(image).astype(np.uint8)
    if image.mode in ("LA", "PA"):
        return np.asarray(image)[..., 0]
    values = np.asarray(image)
    if values.ndim == 3:
        if image.mode not in ("RGB", "RGBA") or (values[..., :3] != values[..., :1]).any():
            raise DataError(
                f"mask {path} is a colour picture (mode {image.mode}); expected one number a "
                "pixel: a grey PNG or TIFF with 0 for background and 1, 2, … or 255 for classes"
            )
        values = values[..., 0]
    return values


# -- volumes -------------------------------------------------------------------------------------


def _volume_header(path: Path) -> tuple[Header, Geometry, object]:
    import nibabel as nib
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError

    try:
        image = nib.load(path)
    except FileNotFoundError:
        raise DataError(f"there is no file {path}; check the name and the folder") from None
    except (ImageFileError, HeaderDataError, *_BROKEN, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is no readable NIfTI volume: {error}") from error
    shape = tuple(int(n) for n in image.shape)
    if math.prod(shape) > MAX_VOXELS or min(shape, default=0) < 1:
        raise DataError(
            f"{path} declares {' x '.join(map(str, shape))} = {math.prod(shape):,} voxels; "
            f"between 1 and {MAX_VOXELS:,} are read. Is the header damaged? Otherwise crop it"
        )
    spatial = tuple(n for n in shape[3:] if n > 1)
    if spatial or len(shape) < 2:
        raise DataError(
            f"{path} has {len(shape)} axes {shape}; expected a volume of three. "
            "Save one time point or channel a file"
        )
    if image.get_data_dtype().fields is not None or image.get_data_dtype().kind == "c":
        raise DataError(f"{path} holds {image.get_data_dtype()}; expected one real number a voxel")
    geometry = _geometry(image.affine, shape, image.header.get_zooms())
    depth, height, width = (tuple((*shape, 1, 1))[axis] for axis in geometry.order)
    return Header("volume", (height, width), depth, geometry), geometry, image.dataobj


def _geometry(affine: np.ndarray, shape: tuple[int, ...], zooms: tuple[float, ...]) -> Geometry:
    """Choose the plane axis and the directions in which a radiologist looks at the planes.

    Planes are cut across the axis of the largest spacing (the way the scan was acquired), across
    the body's long axis where all are equal. Rows run to posterior or inferior, columns to the
    patient's left.
    """
    from nibabel.orientations import io_orientation

    if affine is None or not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        affine = np.diag([*(float(z) or 1.0 for z in (*zooms, 1.0, 1.0)[:3]), 1.0])
    world, direction = io_orientation(affine).T  # the world axis (R, A, S) of each file axis
    spacing = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    body = int(np.argmax(world == 2))
    axis = int(np.argmax(spacing)) if spacing.max() > 1.2 * np.median(spacing) else body
    if len(shape) == 2:
        axis = 2
    # Rows and columns: the world axes in the order S, A, R; S and A shown first.
    rest = sorted((a for a in range(3) if a != axis), key=lambda a: -world[a])
    flips = []
    for file_axis in range(3):
        is_plane_axis = file_axis == axis
        towards = +1 if is_plane_axis else -1  # columns to L, rows to P or I, planes to R, A or S
        if direction[file_axis] != towards:
            flips.append(file_axis)
    return Geometry(affine, shape, axis, (axis, rest[0], rest[1]), tuple(flips))


def _voxels(path: Path, proxy: object) -> np.ndarray:
    try:
        voxels = np.asanyarray(proxy)
    except (*_BROKEN, gzip.BadGzipFile, MemoryError) as error:
        raise DataError(
            f"{path} ends before its voxels do, or is damaged: {error}; copy it again"
        ) from error
    if voxels.dtype == np.float64:
        voxels = voxels.astype(np.float32)  # scaled integers arrive as float64
    return _finite(voxels.reshape((*voxels.shape, 1, 1)[:3]), path)


def _finite(values: np.ndarray, path: Path) -> np.ndarray:
    if values.dtype.kind != "f":
        return values
    bad = ~np.isfinite(values)
    count = int(bad.sum())
    if not count:
        return values
    if count == values.size:
        raise DataError(f"{path} holds no finite number at all; expected an image")
    low = values[~bad].min()
    warnings.warn(
        f"{path}: {count:,} of {values.size:,} pixels are NaN or infinite; "
        f"they are read as {low:g}, the smallest finite value",
        stacklevel=2,
    )
    return np.where(bad, low, values)
