"""Arrays and tensors that users hand over, as planes.

See `episodes.io.array_axes` for their axes.
"""

import warnings
from typing import Any, Protocol, runtime_checkable

import numpy as np

from episodes.errors import DataError
from episodes.io.array_axes import structure_of_array
from episodes.io.axes import Reading, Structure, arrange, in_planes
from episodes.io.formats.pillow import numbers_or_colours


@runtime_checkable
class TensorLike(Protocol):
    """A torch tensor, known by its way to NumPy: reading files need not wait for torch."""

    def detach(self) -> Any:
        """Leave the gradient's graph."""
        ...

    def cpu(self) -> Any:
        """Move to the processor's memory."""
        ...


def image_array(image: np.ndarray | TensorLike, reading: Reading) -> tuple[np.ndarray, Structure]:
    """Bring an image to [depth height width] or [depth height width 3], and name its axes.

    Tensors of three axes have their channel first where there are 1 or 3; the axes of others, and
    of arrays, are those of `reading`, or follow from the shape.

    Raises:
        DataError: it holds no numbers, or its axes may be several.
    """
    if isinstance(image, TensorLike):
        values = _numbers(image.detach().cpu().numpy(), "image")
        if reading.axes is None and values.ndim == 3 and values.shape[0] in (1, 3):
            reading = Reading("CYX", reading.channels)
    else:
        values = _numbers(image, "image")
    found = structure_of_array(values.shape, "the array", reading)
    say_axes("the array", found)
    return arrange(values, found, "the array", reading), found


def mask_array(mask: np.ndarray | TensorLike, reading: Reading) -> tuple[np.ndarray, Structure]:
    """Bring a mask to numbers [depth height width] or colours [depth height width 3 or 4].

    Raises:
        DataError: it holds no numbers, or its axes may be several.
    """
    values = mask.detach().cpu().numpy() if isinstance(mask, TensorLike) else mask
    values = _numbers(values, "mask")
    found = structure_of_array(values.shape, "the mask", reading, mask=True)
    if found.channels > 1 and not found.rgb:
        raise DataError(
            f"the mask has {found.channels} channels (axes {found.axes}); expected one number a "
            "pixel"
        )
    return numbers_or_colours(in_planes(values, found)), found


def say_axes(name: str, found: Structure) -> None:
    """Warn where an array's axes are a guess that may be wrong."""
    if not found.certain:
        warnings.warn(
            f"{name}: {found}, which its shape leaves open; choose with --axes (axes= in Python)",
            stacklevel=4,
        )


def _numbers(values: object, what: str) -> np.ndarray:
    pixels = np.asarray(values)
    if pixels.dtype.kind not in "buif" or pixels.dtype.itemsize > 8:
        raise DataError(f"the {what} holds {pixels.dtype}; expected numbers of at most 64 bits")
    if not pixels.size:
        raise DataError(f"the {what} has shape {pixels.shape}; expected at least one pixel")
    pixels = pixels.view(np.uint8) if pixels.dtype == bool else pixels
    return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
