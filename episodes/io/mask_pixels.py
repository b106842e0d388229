"""What a mask file holds, as numbers: shades thresholded, colours and transparency separated.

Reading a mask means the same wherever it is read, and depends on the file alone: numbers stay as
they are; a mask of flat levels under smooth edges or JPEG noise becomes these levels; flat colours
get the numbers of `episodes.io.mask_colours`; a drawing on a transparent ground, or on the picture
itself, is taken off it. Whatever was done is told in `note`. What cannot be told is left as it is,
with a `doubt` that has to be settled by naming the values.
"""

from dataclasses import dataclass

import numpy as np

from episodes.errors import DataError, shorten
from episodes.io.mask_colours import COLOUR, colour_codes, value_name
from episodes.io.mask_levels import LOWEST, edge_values, flat_levels, is_graded

_PAINT = 0.0005
"""Smallest share of a picture that a colour painted on it covers."""


@dataclass(frozen=True)
class MaskPixels:
    """The numbers of a mask.

    Attributes:
        labels: whole numbers [depth height width].
        note: what was done to the file's own values; "" for nothing.
        doubt: why the numbers may not be class or object numbers; "" for no reason.
    """

    labels: np.ndarray
    note: str = ""
    doubt: str = ""


def from_integers(labels: np.ndarray, lossy: bool = False) -> MaskPixels:
    """Read whole numbers: shades between flat levels become these levels.

    Args:
        labels: whole numbers from 0 upwards [depth height width].
        lossy: whether the file was compressed with loss, as JPEG is.
    """
    most = int(labels.max()) if labels.size else 0
    if most < LOWEST:
        if lossy and most:
            return MaskPixels(labels, doubt=_LOSSY_NUMBERS.format(most))
        return MaskPixels(labels)
    levels = _as_bytes(labels, most)
    if levels is None:
        return MaskPixels(labels)
    snapped = flat_levels(levels, lossy)
    if snapped is None:
        doubt = _SHADES if is_graded(levels) and len(np.unique(levels)) > 16 else ""
        return MaskPixels(labels, doubt=_LOSSY if lossy and len(np.unique(levels)) > 2 else doubt)
    found = snapped.codes.astype(labels.dtype)
    if most > 255:
        found *= most // 255
    return MaskPixels(found, note=_note(snapped.codes, _NOISE if lossy else "smooth edges"))


def from_fractions(values: np.ndarray) -> MaskPixels:
    """Read probabilities or soft edges from 0 to 1: as 0 and 1 where they are clear, else 0..255.

    Args:
        values: floats from 0 to 1 [depth height width].
    """
    levels = np.floor(values * 255 + 0.5).astype(np.uint8)  # 128 and more is one half and more
    snapped = flat_levels(levels, lossy=False)
    if snapped is not None and set(np.unique(snapped.codes)) == {0, 255}:
        note = "smooth edges (fractions from 0 to 1) were cut at one half"
        return MaskPixels(snapped.codes // 255, note=note)
    return MaskPixels(levels, doubt=_FRACTIONS)


def from_colours(pixels: np.ndarray, name: str, lossy: bool = False) -> MaskPixels:
    """Read a colour picture: grey in truth, flat colours, a drawing on nothing or on a picture.

    Args:
        pixels: uint8 [depth height width 3 or 4], the last channel being opacity.
        name: of the file, for messages.
        lossy: whether the file was compressed with loss.

    Raises:
        DataError: it is a picture rather than a mask.
    """
    if pixels.dtype != np.uint8:
        raise DataError(
            f"mask {name} has colours of {pixels.dtype}; expected 8 bits a channel, or one number "
            "a pixel"
        )
    if pixels.shape[-1] == 4:
        alpha = pixels[..., 3]
        if alpha.min() != alpha.max():
            return _on_nothing(pixels[..., :3], alpha)
        if not alpha.max():
            raise DataError(
                f"mask {name} is transparent everywhere, so nothing is drawn in it; save it "
                "without the transparency (alpha) channel if its colours are the mask"
            )
        pixels = pixels[..., :3]
    red, green, blue = (pixels[..., channel] for channel in range(3))
    if _alike(red, green, lossy) and _alike(green, blue, lossy):
        return from_integers(np.ascontiguousarray(green), lossy)
    return _flat_colours(colour_codes(pixels), name, lossy)


def _alike(first: np.ndarray, second: np.ndarray, lossy: bool) -> bool:
    """Whether two channels are equal, or as good as equal after JPEG."""
    if not lossy:
        return np.array_equal(first, second)
    return int(np.abs(first.astype(np.int16) - second).max()) <= 12


def _flat_colours(codes: np.ndarray, name: str, lossy: bool) -> MaskPixels:
    snapped = flat_levels(codes, lossy)
    if snapped is not None:
        how = _NOISE if lossy else "smooth edges"
        return MaskPixels(snapped.codes, note=_note(snapped.codes, how))
    values, counts = np.unique(codes, return_counts=True)
    if not lossy and len(values) <= LOWEST:
        doubt = _BLENDS if edge_values(codes) >= 8 else ""
        return MaskPixels(codes, f"flat colours were read: {_colours(values)}", doubt)
    painted = None if lossy else _painted(codes, values, counts)
    if painted is None:
        raise DataError(
            f"mask {name} is a colour picture of {len(values):,} colours"
            f"{' saved as JPEG' if lossy else ''}, and none of them is a flat area of paint; "
            "expected a mask: 0 background and one number, or one flat colour, a class, saved "
            "without loss (PNG). Were image and mask exchanged?"
        )
    return painted


def _painted(codes: np.ndarray, values: np.ndarray, counts: np.ndarray) -> MaskPixels | None:
    """Take flat paint off the picture that it was painted on."""
    rgb = values - COLOUR
    channels = np.stack([rgb >> 16, rgb >> 8 & 255, rgb & 255])
    pure = (values >= COLOUR) & (channels.max(axis=0) - channels.min(axis=0) >= 200)
    paint = pure & (counts >= max(8, _PAINT * codes.size))
    rest = counts[pure & ~paint].sum()
    if not paint.any() or paint.sum() > 8 or rest > 0.1 * counts[paint].sum():
        return None
    labels = np.where(np.isin(codes, values[paint]), codes, 0)
    holes = _filled(labels != 0) / np.count_nonzero(labels)
    doubt = _OUTLINE if holes > 1.5 else ""
    named = _listed(values[paint])
    return MaskPixels(labels, f"painted on the picture in {named}; the rest is background", doubt)


def _on_nothing(colours: np.ndarray, alpha: np.ndarray) -> MaskPixels:
    """Read a drawing on a transparent ground, or a cut-out."""
    codes = colour_codes(colours)
    values = np.unique(codes[alpha > 250]) if alpha.max() > 250 else np.zeros(0)
    picture = len(values) > LOWEST or (len(values) > 16 and is_graded(codes))
    if len(values) < 2 or picture:  # one colour, or a picture that was cut out
        found = from_integers(alpha)
        if len(np.unique(found.labels)) == 2:
            found = MaskPixels(np.where(found.labels > alpha.min(), np.uint8(255), np.uint8(0)))
        note = "; ".join(
            filter(None, ("its transparency (alpha) was read as the mask", found.note))
        )
        return MaskPixels(found.labels, note, found.doubt)
    labels = np.where(alpha >= 128, codes, 0)
    if values[0] == 0:
        labels[(alpha >= 128) & (codes == 0)] = COLOUR
        return MaskPixels(labels, "transparent pixels were read as 0", _BLACK_AND_CLEAR)
    snapped = flat_levels(labels, lossy=False)
    labels = labels if snapped is None else snapped.codes
    return MaskPixels(labels, f"opaque colours were read: {_colours(np.unique(labels)[1:])}")


def _as_bytes(labels: np.ndarray, most: int) -> np.ndarray | None:
    """Grey levels of 8 bits; None where the numbers can be no grey levels."""
    if most <= 255:
        return labels.astype(np.uint8, copy=False)
    if most != 65535 or np.count_nonzero(labels == most) < 0.25 * np.count_nonzero(labels):
        return None
    return ((labels.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _note(codes: np.ndarray, how: str) -> str:
    values = np.unique(codes)
    if len(values) == 2 and values[0] == 0:
        return f"{how}: cut at one half between 0 and {value_name(int(values[1]))}"
    return f"{how}: every pixel was given to the nearest level of {_listed(values)}"


def _listed(values: np.ndarray) -> str:
    return shorten((value_name(int(value)) for value in values), 8)


def _colours(values: np.ndarray) -> str:
    greys = {0: "black", 255: "white"}
    return shorten((greys.get(int(value), value_name(int(value))) for value in values), 8)


def _filled(mask: np.ndarray) -> int:
    """Count pixels of a mask [depth height width] with its holes."""
    from scipy.ndimage import binary_fill_holes  # loads slowly, and is rarely needed

    return sum(int(binary_fill_holes(plane).sum()) for plane in mask)


_NOISE = "noise of lossy compression (JPEG)"
_BLENDS = (
    "its edges blend several colours, so that many colours are neither; save it without smoothing, "
    "as PNG"
)
_LOSSY = (
    "it was saved as JPEG, which changes values around every edge, and shows no flat levels; save "
    "it without loss (PNG or TIFF)"
)
_LOSSY_NUMBERS = (
    "it was saved as JPEG, which does not keep class numbers such as 0 to {}; save it without loss "
    "(PNG or TIFF)"
)
_SHADES = (
    "it holds shades that pass into each other, as a picture or a map of probabilities does (were "
    "image and mask exchanged?)"
)
_FRACTIONS = (
    "it holds fractions from 0 to 1 (read as 0 to 255), as a map of probabilities does, and where "
    "its edges lie depends on the cut"
)
_OUTLINE = "the paint is an outline rather than an area; fill it"
_BLACK_AND_CLEAR = (
    "it has black pixels and transparent ones, and either may be the background; save it without "
    "the transparency (alpha) channel"
)
