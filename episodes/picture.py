"""Pictures through Pillow: size limits, EXIF rotation, palettes, transparency, pages.

A picture lies in a file of its own, or in `content`, the bytes of an archive's member; `path` then
only names it in messages.
"""

import contextlib
import warnings
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from episodes.errors import DataError
from episodes.limits import BROKEN, MAX_PIXELS, MAX_VOXELS

BLACK, WHITE = (0, 0, 0), (255, 255, 255)
MOST_GREYS = 16
"""A palette of more greys than this holds shades, and no labels."""

STACK_SUFFIXES = (".tif", ".tiff")
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".ppm", ".pgm", *STACK_SUFFIXES)


def open_picture(path: Path, content: bytes | None = None) -> Image.Image:
    """Open a picture without reading its pixels.

    Raises:
        DataError: the file is missing, no picture, damaged, or larger than the limits.
    """
    if content is None and path.is_dir():
        raise DataError(f"{path} is a folder; expected an image file")
    try:
        with _careful(path):
            image = Image.open(path if content is None else BytesIO(content))
    except FileNotFoundError:
        raise DataError(f"there is no file {path}; check the name and the folder") from None
    except PermissionError:
        raise DataError(f"{path} may not be read; check its permissions") from None
    except UnidentifiedImageError:
        raise DataError(
            f"{path} is not an image: its first bytes are {_start(path, content)!r}; expected one "
            f"of {', '.join(IMAGE_SUFFIXES)}"
        ) from None
    except BROKEN as error:
        raise DataError(f"{path} cannot be read: {error}; is the file complete?") from error
    return _not_too_large(path, image)


def _start(path: Path, content: bytes | None) -> bytes:
    if content is not None:
        return content[:12]
    with path.open("rb") as file:
        return file.read(12)


@contextlib.contextmanager
def _careful(path: Path) -> Iterator[None]:
    """Turn Pillow's alarm about sizes into a DataError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise DataError(
            f"{path} is too large: {error}; at most {MAX_PIXELS:,} pixels are read at once. "
            "Crop or downscale it first"
        ) from None


def _not_too_large(path: Path, image: Image.Image) -> Image.Image:
    if image.width * image.height > MAX_PIXELS:
        image.close()
        raise DataError(
            f"{path} is too large: {image.width} x {image.height} pixels; at most "
            f"{MAX_PIXELS:,} pixels are read at once. Crop or downscale it first"
        )
    return image


def shown_size(path: Path, image: Image.Image) -> tuple[int, int]:
    """Return (height, width) as the picture is shown, EXIF rotation applied."""
    if _swaps_axes(path, image) and image.format != "TIFF":  # Pillow itself turns TIFF
        return image.width, image.height
    return image.height, image.width


def _swaps_axes(path: Path, image: Image.Image) -> bool:
    """Whether the EXIF orientation exchanges height and width."""
    try:
        return int(image.getexif().get(0x0112, 1)) >= 5  # reads a PNG to its end
    except BROKEN as error:
        raise DataError(f"{path} cannot be read: {error}; is the file complete?") from error


def frames(path: Path, image: Image.Image) -> int:
    """Count the pages of a TIFF; the frames of an animation do not count."""
    if image.format != "TIFF":
        return 1
    try:
        count = int(getattr(image, "n_frames", 1))
    except BROKEN as error:
        raise DataError(f"{path} has a broken page list: {error}") from error
    if count * image.width * image.height > MAX_VOXELS:
        raise DataError(
            f"{path} declares {count} pages of {image.width} x {image.height}; at most "
            f"{MAX_VOXELS:,} voxels are read at once. Split the stack first"
        )
    return count


def pages(path: Path, image: Image.Image) -> Iterator[Image.Image]:
    """Go through the pages; each has a header, and may have a size, of its own."""
    for frame in range(frames(path, image)):
        try:
            with _careful(path):
                image.seek(frame)
        except DataError:
            raise
        except BROKEN as error:
            raise DataError(f"{path}: page {frame + 1} cannot be read: {error}") from error
        yield _not_too_large(path, image)


def _upright(path: Path, image: Image.Image) -> Image.Image:
    try:
        if image.format == "TIFF" and _swaps_axes(path, image):
            # Pillow 13 maps an uncompressed file into memory with height and width exchanged.
            image.filename = ""  # type: ignore[attr-defined]
        image.load()
        return ImageOps.exif_transpose(image)
    except BROKEN as error:
        raise DataError(f"{path} cannot be read: {error}; is the file complete?") from error


def image_page(path: Path, image: Image.Image) -> np.ndarray:
    """Read the current page as [height, width] or, in colour, [height, width, 3]."""
    image = _upright(path, image)
    if image.mode == "1":
        image = image.convert("L")
    elif image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or (
        image.mode in ("L", "P", "RGB") and "transparency" in image.info
    ):
        image = Image.alpha_composite(
            Image.new("RGBA", image.size, "white"), image.convert("RGBA")
        ).convert("L" if image.mode in ("L", "LA", "La") else "RGB")
    elif image.mode not in ("L", "I", "F", "RGB") and not image.mode.startswith("I;"):
        image = image.convert("RGB")
    return np.asarray(image)


def mask_page(path: Path, image: Image.Image) -> np.ndarray:
    """Read the current page of a mask: numbers [height, width], or colours [height, width, 4].

    A palette gives its indices, as label palettes do, unless its colours are in the order of a
    picture's: black or white, the background, is not its first, or it holds shades of grey.
    """
    image = _upright(path, image)
    if image.mode == "1":
        return np.asarray(image).astype(np.uint8)
    if image.mode == "P" and "transparency" not in image.info:
        return _palette_page(image)
    if image.mode in ("P", "PA", "LA", "La", "RGBA", "RGBa") or "transparency" in image.info:
        return np.asarray(image.convert("RGBA"))
    if image.mode in ("L", "I", "F") or image.mode.startswith("I;"):
        return np.asarray(image)
    return np.asarray(image.convert("RGB").convert("RGBA"))


def _palette_page(image: Image.Image) -> np.ndarray:
    indices = np.asarray(image)
    used = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)[np.unique(indices)]
    ground = [tuple(colour) for colour in used.tolist()]
    shades = len(used) > MOST_GREYS and (used == used[:, :1]).all()
    reordered = BLACK in ground[1:] or (WHITE in ground and BLACK not in ground)
    return np.asarray(image.convert("RGBA")) if reordered or shades else indices


def is_lossy(path: Path, image: Image.Image, content: bytes | None = None) -> bool:
    """Whether the picture was compressed with loss, so that its values are not those drawn."""
    if image.format == "WEBP":
        return b"VP8L" not in (path.read_bytes()[:64] if content is None else content[:64])
    lossy = image.format in ("JPEG", "MPO", "JPEG2000")
    return lossy or str(image.info.get("compression", "")) in ("jpeg", "webp")
