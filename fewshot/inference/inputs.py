"""What users hand over, paths and arrays of any kind, as planes of pixels."""

import warnings
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from os import PathLike
from pathlib import Path

import numpy as np

from episodes.catalog.mask_counts import count_mask
from episodes.errors import DataError, shorten
from episodes.io.axes import Reading, Structure
from episodes.io.mask_colours import value_name
from episodes.io.mask_grid import Grid, align_mask
from episodes.io.mask_pixels import MaskPixels
from episodes.io.pixels import IGNORE
from episodes.io.read import (
    ARRAY_SUFFIXES,
    Geometry,
    interpret_mask,
    read_header,
    read_mask,
    read_planes,
    replace_nonfinite,
    suffix,
)
from episodes.masks.area_cache import MaskCounts
from episodes.masks.label_map import LabelMap, class_map, label_map_classes
from episodes.masks.values import WHITE, Evidence, check_size, infer_label_maps
from fewshot.inference.arrays import TensorLike, image_array, mask_array, say_axes

_SHADES = 16  # more values than this of one class are shades rather than numbers


ImageLike = str | PathLike[str] | np.ndarray | TensorLike


@dataclass(frozen=True, eq=False)
class ImageStack:
    """An image, stack or volume as planes.

    Attributes:
        pixels: [depth height width] or [depth height width 3]; depth 1 for an image.
        name: the file, or "array", for messages.
        path: the file, if there is one.
        volume: whether it has a depth axis, which a result must have, too.
        geometry: how the planes lie in the file.
        structure: the axes of an array or a TIFF, as they were read.
        limits: intensities that become 0 and 1, of a part of a larger image, or one pair for each
            plane where each is a file of its own; by default the image's own.
        selected: planes that are to be segmented; by default all.
        key: names these pixels in caches, whatever array holds them; by default the array does.
    """

    pixels: np.ndarray
    name: str
    path: Path | None = None
    volume: bool = False
    geometry: Geometry | None = None
    structure: Structure | None = None
    limits: tuple[float, float] | tuple[tuple[float, float], ...] | None = None
    selected: tuple[int, ...] | None = None
    key: Hashable = None

    @property
    def chosen(self) -> tuple[int, ...]:
        """Planes that are to be segmented."""
        return tuple(range(len(self.pixels))) if self.selected is None else self.selected

    def with_pixels(self, pixels: np.ndarray) -> "ImageStack":
        """Put other pixels into the place of these, all of them selected."""
        return replace(self, pixels=pixels, selected=None, key=None)

    @property
    def is_array(self) -> bool:
        """Whether a result is indexed as the array was, in memory or in a NumPy file."""
        in_file = self.path is not None and suffix(self.path) not in ARRAY_SUFFIXES
        return self.structure is not None and not in_file

    def describe(self) -> str:
        """Tell how the axes were read, where they are more than a picture's; "" otherwise."""
        found = self.structure
        if found is None or found.axes in ("YX", "YXS"):
            return ""
        return f"{Path(self.name).name}: {found}"


@dataclass(frozen=True)
class Drawn:
    """A mask as planes of numbers, and how its pixels became numbers."""

    planes: ImageStack
    pixels: MaskPixels


def image_planes(image: ImageLike | ImageStack, reading: Reading | None = None) -> ImageStack:
    """Take an image as a path, an array or a tensor; planes stay as they are.

    Arrays are [height width], [height width 3 or 4] or volumes [depth height width]; tensors have
    their channel first, [1 or 3 height width].

    Args:
        image: the image.
        reading: how to read arrays and stacks of other axes, or of more than three channels.

    Raises:
        DataError: a shape or a type that is none of these, no pixel, or no finite value.
    """
    if isinstance(image, ImageStack):
        return image
    reading = reading or Reading()
    if isinstance(image, (str, PathLike)):
        path = Path(image)
        header, pixels = read_header(path, reading), read_planes(path, reading)
        found = ImageStack(
            *(pixels, str(path), path, header.kind == "volume", header.geometry, header.structure)
        )
        if found.is_array and header.structure:
            say_axes(path.name, header.structure)
        return found
    pixels, structure = image_array(image, reading)
    pixels = replace_nonfinite(pixels, "array")
    return ImageStack(pixels, "array", volume=structure.planes > 1, structure=structure)


def mask_planes(
    mask: ImageLike,
    image: ImageStack | None = None,
    ignore_affine: bool = False,
    reading: Reading | None = None,
) -> Drawn:
    """Take a mask as a path, an array or a tensor: numbers, booleans, shares, colours.

    Args:
        mask: the mask; arrays are [height width], [height width 3 or 4] in 8-bit colour, or
            [depth height width].
        image: that it belongs to; planes are put in its order (see `episodes.io.mask_grid`).
        ignore_affine: lay it on the image voxel for voxel, whatever the headers tell.
        reading: as in `image_planes`; of its axes those of channels are left out.

    Raises:
        DataError: it cannot be read, or does not lie on its image.
    """
    reading = reading or Reading()
    if image is not None and image.geometry is not None and reading.axes is None:
        reading = Reading("ZYX")  # an array's axes are then those of the volume's file
    if isinstance(mask, (str, PathLike)):
        path = Path(mask)
        header, placement = read_header(path, reading, mask=True), None
        if image is not None:
            placement = align_mask(_grid(image), header.grid(path), ignore_affine)
        read = read_mask(path, placement, reading)
        placed = placement is not None and image is not None and image.volume
        volume = header.kind == "volume" or placed
        return Drawn(ImageStack(read.labels, str(path), path, volume, header.geometry), read)
    values, structure = mask_array(mask, reading)
    read = interpret_mask(values, "array")
    found = ImageStack(read.labels, "array", volume=structure.planes > 1)
    placement = None if image is None else align_mask(_grid(image), _grid(found), ignore_affine)
    if placement is not None:
        read = replace(read, labels=placement.apply(read.labels))
    return Drawn(replace(found, pixels=read.labels), read)


def other_view(supports: Sequence[ImageStack], query: ImageStack) -> str | None:
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


def _grid(planes: ImageStack) -> Grid:
    depth, height, width = planes.pixels.shape[:3]
    return Grid(planes.name, (depth, height, width), planes.geometry)


def settle_masks(
    images: Sequence[ImageStack], masks: Sequence[Drawn], label_map: LabelMap | None
) -> tuple[list[np.ndarray], tuple[str, ...], tuple[int, ...]]:
    """Check masks against their images and translate their values.

    Args:
        images, masks: one mask an image.
        label_map: what the values mean; by default found out from them.

    Returns:
        Label maps uint8 [depth height width] (0 background, 1..way, 255 unknown), the class
        names, and the number that stands for each class in mask files.

    Raises:
        DataError: numbers or sizes differ, a value nobody named, values that two people might
            read differently, or no foreground at all.
    """
    if not images or len(images) != len(masks):
        raise DataError(
            f"{len(images)} support images and {len(masks)} masks; expected one mask an image, "
            "in the same order"
        )
    for image, mask in zip(images, masks, strict=True):
        _check_belongs(image, mask.planes)
    names = shorten((mask.planes.name for mask in masks), 3)
    counts = [count_mask(mask.pixels) for mask in masks]
    if not any(each.values for each in counts) and not _names_zero(label_map):
        raise DataError(
            f"the support mask {names} is all background (0); mark at least one pixel of the "
            "structure to be found, with any value from 1 to 254, or 255 in a black-white mask"
        )
    evidence = [
        Evidence(mask.planes.name, count, label_map, partial(getattr, mask.pixels, "labels"))
        for mask, count in zip(masks, counts, strict=True)
    ]
    label_maps, said = infer_label_maps(evidence)
    for sentence in said:
        warnings.warn(sentence, stacklevel=4)
    classes, numbers = _present(label_maps, counts)
    maps = [
        class_map(mask.pixels.labels, label_map, classes, mask.planes.name)
        for mask, label_map in zip(masks, label_maps, strict=True)
    ]
    if not any(((found > 0) & (found != IGNORE)).any() for found in maps):
        raise DataError(
            f"the support mask {names} shows no class: it holds "
            f"{shorten(value_name(v) for v in sorted(set().union(*(c.values for c in counts))))}, "
            f"and --classes names {shorten(label_map_classes(label_maps[0])) or 'no class'} "
            "elsewhere"
        )
    return maps, classes, numbers


def _check_belongs(image: ImageStack, mask: ImageStack) -> None:
    """Raise unless a mask has its image's size and is not the image itself."""
    depth, *size = image.pixels.shape[:3]
    check_size(mask.name, mask.pixels.shape[1:], f"image {image.name}", size)
    if len(mask.pixels) != depth:
        raise DataError(
            f"mask {mask.name} has {len(mask.pixels)} planes but image {image.name} has {depth}; "
            "expected a plane a plane"
        )
    same_file = image.path and mask.path and image.path.resolve() == mask.path.resolve()
    pixels = image.pixels if image.pixels.ndim == 3 else image.pixels[..., 1]
    if same_file or (len(np.unique(pixels)) > 2 and np.array_equal(pixels, mask.pixels)):
        raise DataError(f"mask {mask.name} is the image itself; expected its mask")


def _names_zero(label_map: LabelMap | None) -> bool:
    return isinstance(label_map, Mapping) and bool(label_map.get(0))


def _present(
    label_maps: Sequence[LabelMap], counts: Sequence[MaskCounts]
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return the classes that occur, and the number that stands for each in mask files."""
    held = set().union(*(each.values for each in counts))
    if isinstance(label_maps[0], str):
        white = [value for value in WHITE if held == {value}]
        return (label_maps[0],), (white[0] if white else 1,)
    values_of: dict[str, list[int]] = defaultdict(list)
    for label_map in label_maps:
        for value, name in sorted(label_map.items()) if isinstance(label_map, Mapping) else ():
            if name:
                values_of[name].append(value)
    numbers = {
        name: next(value for value in values if value in held or not value)
        if len(values) < _SHADES
        else values[-1]  # shades above a limit
        for name, values in values_of.items()
        if held.intersection(values) or 0 in values
    }
    named = dict.fromkeys(name for label_map in label_maps for name in label_map_classes(label_map))
    classes = tuple(name for name in named if name in numbers)
    values = [numbers[name] for name in classes]
    if len(values) == 1 and (not values[0] or values[0] > 65535):
        values = [255]
    elif any(not 0 < value < 65536 for value in values):
        values = list(range(1, len(values) + 1))  # colours have no number of their own
    return classes, tuple(values)
