"""Numbers of masks and pictures: whole ones, and finite ones, with a word where they are mended."""

import warnings

import numpy as np

from episodes.errors import DataError

HAIR = 1e-3  # how far a mask's float may lie from a whole number
_LARGEST = 2**53  # beyond it, floats are not exact


def as_integer_labels(values: np.ndarray, name: str, step: float = 0.0) -> np.ndarray:
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
    """Round what lies within tolerance of whole numbers; see `as_integer_labels`."""
    bad = ~np.isfinite(values)
    if bad.any():
        raise DataError(
            f"mask {name} holds {values[bad].flat[0]:g}; expected whole numbers (class or object "
            f"numbers), and {int(bad.sum()):,} of {values.size:,} are NaN or infinite"
        )
    values = values.astype(np.float32) if values.itemsize < 4 else values  # holds no _LARGEST
    whole = np.rint(values)
    away = np.abs(values - whole)
    tolerance = max(0.499 * step, HAIR) if step < 1 else HAIR
    odd = (away > tolerance) | (np.abs(whole) > _LARGEST)
    if odd.any():
        scaled = f"; its header scales stored integers by {step:g}" if step else ""
        raise DataError(
            f"mask {name} holds {values[odd].flat[0]:g}{scaled}; expected whole numbers (class or "
            "object numbers). A probability map has to be thresholded first"
        )
    if away.max(initial=0) > HAIR:
        at = np.unravel_index(int(away.argmax()), values.shape)
        warnings.warn(
            f"mask {name}: the scale in its header leaves values off whole numbers; they are "
            f"rounded, e.g. {values[at]:g} to {whole[at]:g}",
            stacklevel=3,
        )
    return whole.astype(np.int64)


def replace_nonfinite(values: np.ndarray, name: str) -> np.ndarray:
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
