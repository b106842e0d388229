"""What users hand over, paths and arrays of any kind, as planes of pixels."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from os import PathLike
from pathlib import Path

import numpy as np
from torch import Tensor

from episodes import decode
from episodes.catalog import IGNORE
from episodes.errors import DataError, shorten
from episodes.legend import Legend, class_map, guess_legend, legend_classes
from episodes.mask_grid import Grid, place_mask

ImageLike = str | PathLike[str] | np.ndarray | Tensor


@dataclass(frozen=True)
class Planes:
    """An image, stack or volume as planes.

    Attributes:
        pixels: [depth height width] or [depth height width 3]; depth 1 for an image.
        name: the file, or "array", for messages.
        path: the file, if there is one.
        volume: whether it has a depth axis, which a result must have, too.
        geometry: how the planes lie in the file.
    """

    pixels: np.ndarray
    name: str
    path: Path | None = None
    volume: bool = False
    geometry: decode.Geometry | None = None


def image_planes(image: ImageLike | Planes) -> Planes:
    """Take an image as a path, an array or a tensor; planes stay as they are.

    Arrays are [height width], [height width 3 or 4] or volumes [depth height width]; tensors have
    their channel first, [1 or 3 height width].

    Raises:
        DataError: a shape or a type that is none of these, no pixel, or no finite value.
    """
    if isinstance(image, Planes):
        return image
    if isinstance(image, (str, PathLike)):
        return _from_file(Path(image), decode.read_planes)
    if isinstance(image, Tensor):
        image = image.detach().cpu().numpy()
        if image.ndim == 3 and image.shape[0] in (1, 3):
            image = image[0] if image.shape[0] == 1 else np.moveaxis(image, 0, 2)
    pixels = _array(image, "image")
    if pixels.ndim == 3 and pixels.shape[2] in (1, 3, 4) and min(pixels.shape[:2]) > 4:
        colour = pixels[..., 0] if pixels.shape[2] == 1 else pixels[..., :3]
        return Planes(decode.finite(colour, "array")[None], "array")
    return _from_array(decode.finite(pixels, "array"))


def mask_planes(
    mask: ImageLike, image: Planes | None = None, ignore_affine: bool = False
) -> Planes:
    """Take a mask as a path, an array or a tensor of whole numbers or booleans.

    Args:
        mask: the mask.
        image: that it belongs to; planes are put in its order (see `episodes.mask_grid`).
        ignore_affine: lay it on the image voxel for voxel, whatever the headers tell.

    Raises:
        DataError: it cannot be read, or does not lie on its image.
    """
    if isinstance(mask, (str, PathLike)):
        path = Path(mask)
        placement = None
        if image is not None:
            there = decode.read_header(path).grid(path)
            placement = place_mask(_grid(image), there, ignore_affine)
        found = _from_file(path, partial(decode.read_labels, placement=placement))
        return found if placement is None or image is None else replace(found, volume=image.volume)
    if isinstance(mask, Tensor):
        mask = mask.detach().cpu().numpy()
    pixels = _array(mask, "mask")
    if pixels.ndim == 3 and 1 in (pixels.shape[0], pixels.shape[2]):
        pixels = pixels.squeeze(0 if pixels.shape[0] == 1 else 2)
    found = _from_array(decode.whole_numbers(pixels, "array"))
    placement = None if image is None else place_mask(_grid(image), _grid(found), ignore_affine)
    return found if placement is None else replace(found, pixels=placement.apply(found.pixels))


def other_view(supports: Sequence[Planes], query: Planes) -> str | None:
    """Say that a query's slices cut the body otherwise than those of all supports; else None.

    Slices are cut across the largest spacing, so that an axial and a sagittal scan of one body show
    other planes of it.
    """
    views = {s.geometry.view for s in supports if s.geometry is not None and s.geometry.view}
    view = query.geometry.view if query.geometry is not None else ""
    if not view or not views or view in views:
        return None
    return (
        f"{query.name} has {view} slices and the annotated volumes {' and '.join(sorted(views))} "
        "ones: other planes of the body are compared. Resample one like the other"
    )


def _grid(planes: Planes) -> Grid:
    depth, height, width = planes.pixels.shape[:3]
    return Grid(planes.name, (depth, height, width), planes.geometry)


def settle_masks(
    images: Sequence[Planes], masks: Sequence[Planes], legend: Legend | None
) -> tuple[list[np.ndarray], tuple[str, ...], tuple[int, ...]]:
    """Check masks against their images and translate their values.

    Args:
        images, masks: one mask an image.
        legend: what the values mean; by default found out from them.

    Returns:
        Label maps uint8 [depth height width] (0 background, 1..way, 255 unknown), the class
        names, and the number that stands for each class in mask files.

    Raises:
        DataError: numbers or sizes differ, a value nobody named, or no foreground at all.
    """
    if not images or len(images) != len(masks):
        raise DataError(
            f"{len(images)} support images and {len(masks)} masks; expected one mask an image"
        )
    for image, mask in zip(images, masks, strict=True):
        if image.pixels.shape[:3] != mask.pixels.shape:
            raise DataError(
                f"mask {mask.name} has (depth, height, width) {mask.pixels.shape} but image "
                f"{image.name} has {image.pixels.shape[:3]}; expected the same size"
            )
    values = {int(v) for mask in masks for v in np.unique(mask.pixels)}
    names = shorten((mask.name for mask in masks), 3)
    if not values - {0}:
        raise DataError(
            f"the support mask {names} is all background (0); mark at least one pixel of the "
            "structure to be found, with any value from 1 to 254, or 255 in a black-white mask"
        )
    legend = guess_legend(values, names) if legend is None else legend
    classes, numbers = _present(legend, values)
    if not classes:
        raise DataError(
            f"the support mask {names} shows no class: it holds {shorten(sorted(values))}; "
            f"expected {legend}"
        )
    maps = [class_map(mask.pixels, legend, classes, mask.name) for mask in masks]
    if not any(((found > 0) & (found != IGNORE)).any() for found in maps):
        raise DataError(f"the support mask {names} is all background or unknown (255)")
    return maps, classes, numbers


def _present(legend: Legend, values: set[int]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return the legend's classes that occur, and the first number of each."""
    if not isinstance(legend, Mapping):
        return (legend,), (255 if values - {0} == {255} else 1,)
    numbers: dict[str, int] = {}
    for value, name in sorted(legend.items()):
        if name and value in values:
            numbers.setdefault(name, value)
    classes = tuple(name for name in legend_classes(legend) if name in numbers)
    return classes, tuple(numbers[name] for name in classes)


def _from_file(path: Path, reader: Callable[[Path], np.ndarray]) -> Planes:
    header = decode.read_header(path)
    pixels = reader(path)
    return Planes(pixels, str(path), path, header.kind == "volume", header.geometry)


def _from_array(pixels: np.ndarray) -> Planes:
    if pixels.ndim not in (2, 3):
        raise DataError(
            f"an array of shape {pixels.shape}; expected (height, width), (height, width, 3) or a "
            "volume (depth, height, width)"
        )
    volume = pixels.ndim == 3
    return Planes(pixels if volume else pixels[None], "array", volume=volume)


def _array(values: object, what: str) -> np.ndarray:
    pixels = np.asarray(values)
    if pixels.dtype.kind not in "buif":
        raise DataError(f"the {what} holds {pixels.dtype}; expected numbers")
    if not pixels.size:
        raise DataError(f"the {what} has shape {pixels.shape}; expected at least one pixel")
    return pixels
