"""Pictures through Pillow: size limits, EXIF rotation, palettes, transparency; nothing is rounded.

Pillow cuts PNG of 16 bits down to 8 wherever they are more than grey; those go through libpng.

A picture lies in a file of its own, or in `content`, the bytes of an archive's member; `path` then
only names it in messages.
"""

import contextlib
import re
import warnings
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from episodes.errors import DataError, cause
from episodes.io.axes import shown_on_white, upright
from episodes.io.limits import BROKEN, MAX_PIXELS, guarded, too_large

BLACK, WHITE = (0, 0, 0), (255, 255, 255)
MAX_GREYS = 16
"""A palette of more greys than this holds shades, and no labels."""

STACK_SUFFIXES = (".tif", ".tiff")
IMAGE_SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".pam", ".pfm"),
    *STACK_SUFFIXES,
)
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "PPM")


def first_bytes(path: Path) -> bytes:
    """Read how a file begins.

    Raises:
        DataError: there is no such file, or it may not be read.
    """
    if path.is_dir():
        raise DataError(f"{path} is a folder; expected an image file")
    try:
        with path.open("rb") as file:
            return file.read(12)
    except FileNotFoundError:
        raise DataError(f"there is no file {path}; check the name and the folder") from None
    except PermissionError:
        raise DataError(f"{path} may not be read; check its permissions") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {cause(error)}") from error


def open_image(path: Path, content: bytes | None = None) -> Image.Image:
    """Open a picture without reading its pixels.

    Raises:
        DataError: the file is missing, no picture, damaged, or larger than the limits.
    """
    start = first_bytes(path) if content is None else content[:12]
    try:
        with _careful(path):
            image = Image.open(path if content is None else BytesIO(content), formats=_FORMATS)
    except UnidentifiedImageError:
        raise DataError(
            f"{path} is not an image: its first bytes are {start!r}; expected one of "
            f"{', '.join(IMAGE_SUFFIXES)}"
        ) from None
    except BROKEN as error:
        raise DataError(f"{path} cannot be read: {cause(error)}") from error
    return _not_too_large(path, image)


@contextlib.contextmanager
def _careful(path: Path) -> Iterator[None]:
    """Turn Pillow's alarm about sizes into a DataError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        count = re.search(r"\d+", str(error))  # Pillow gives the size in its message alone
        size = f"{int(count[0]):,} pixels" if count else "more than Pillow opens"
        raise too_large(path, size) from None


def _not_too_large(path: Path, image: Image.Image) -> Image.Image:
    if image.width * image.height > MAX_PIXELS:
        image.close()
        raise too_large(path, f"{image.width} x {image.height} pixels")
    return image


def shown_size(path: Path, image: Image.Image) -> tuple[int, int]:
    """Return (height, width) as the picture is shown, EXIF rotation applied."""
    if _orientation(path, image) >= 5:
        return image.width, image.height
    return image.height, image.width


def _orientation(path: Path, image: Image.Image) -> int:
    """Return the EXIF number of how the picture is stored; 1 is upright."""
    try:
        return int(image.getexif().get(0x0112, 1))  # reads a PNG to its end
    except BROKEN as error:
        raise DataError(f"{path} cannot be read: {cause(error)}") from error


def _upright(path: Path, image: Image.Image) -> Image.Image:
    try:
        image.load()
        return ImageOps.exif_transpose(image)
    except BROKEN as error:
        raise DataError(f"{path} cannot be read: {cause(error)}") from error


def _deep(path: Path, image: Image.Image) -> np.ndarray | None:
    """Read a PNG of 16 bits as [height width channel]; None for any other picture."""
    file: Any = getattr(image, "fp", None)
    if image.format != "PNG" or file is None:
        return None
    place = file.tell()
    file.seek(24)  # the depth, in a header that Pillow has checked
    depth, content = file.read(1), b""
    if depth == b"\x10":
        file.seek(0)
        content = file.read()
    file.seek(place)
    if not content:
        return None
    import imagecodecs

    with guarded(path, "PNG"):
        values = imagecodecs.png_decode(content)
        values = values.reshape(image.height, image.width, -1)
    return upright(values[None], _orientation(path, image))[0]


def image_page(path: Path, image: Image.Image) -> np.ndarray:
    """Read a picture as [height, width] or, in colour, [height, width, 3]."""
    deep = _deep(path, image)
    if deep is not None:
        values = shown_on_white(deep, "straight", str(path)) if deep.shape[2] in (2, 4) else deep
        return values[..., 0] if values.shape[2] == 1 else values
    image = _upright(path, image)
    if image.mode == "1":
        image = image.convert("L")
    elif image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or (
        image.mode in ("L", "P", "RGB") and "transparency" in image.info
    ):
        values = shown_on_white(np.asarray(image.convert("RGBA")), "straight", str(path))
        return values[..., 0] if image.mode in ("L", "LA", "La") else values
    elif image.mode not in ("L", "I", "F", "RGB") and not image.mode.startswith("I;"):
        image = image.convert("RGB")
    return np.asarray(image)


def mask_page(path: Path, image: Image.Image) -> np.ndarray:
    """Read the current page of a mask: numbers [height, width], or colours [height, width, 4].

    A palette gives its indices, as label palettes do, unless its colours are in the order of a
    picture's: black or white, the background, is not its first, or it holds shades of grey.
    """
    deep = _deep(path, image)
    if deep is not None:
        return numbers_or_colours(deep)
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
    palette = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
    return palette_numbers(np.asarray(image), palette)


def palette_numbers(indices: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Return a mask's indices, or its colours [... 4] where the palette is that of a picture.

    Args:
        indices: whole numbers of any shape.
        palette: uint8 [index 3].
    """
    used = palette[np.unique(indices)]
    ground = [tuple(colour) for colour in used.tolist()]
    shades = len(used) > MAX_GREYS and (used == used[:, :1]).all()
    reordered = BLACK in ground[1:] or (WHITE in ground and BLACK not in ground)
    if not (reordered or shades):
        return indices
    return np.concatenate([palette[indices], np.full((*indices.shape, 1), 255, np.uint8)], -1)


def numbers_or_colours(samples: np.ndarray) -> np.ndarray:
    """Take one number a pixel where all colours are equal and opaque, else colours [... 3 or 4].

    Args:
        samples: of a mask [... channel]: grey, grey and transparency, RGB, RGB and transparency.
    """
    channels = samples.shape[-1]
    colours = samples[..., : channels - (channels in (2, 4))]
    opaque = channels in (1, 3) or (samples[..., -1] == samples[..., -1].max()).all()
    if channels == 1 or (opaque and samples[..., -1].any() and _is_grey(colours)):
        return colours[..., 0]
    if channels == 2:
        return np.concatenate([colours, colours, samples], axis=-1)
    return samples


def _is_grey(colours: np.ndarray) -> bool:
    return bool((colours == colours[..., :1]).all())


def is_lossy(path: Path, image: Image.Image, content: bytes | None = None) -> bool:
    """Whether the picture was compressed with loss, so that its values are not those drawn."""
    if image.format == "WEBP":
        return b"VP8L" not in (path.read_bytes()[:64] if content is None else content[:64])
    return image.format in ("JPEG", "MPO")
