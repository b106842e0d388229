"""Where a mask lies on its image: the same frame, exactly turned or cropped, or refused.

One rule for every command and for Python. The affines of two NIfTI files are compared voxel by
voxel. A mask on the image's own grid is taken as it is; one whose axes are stored in another order
or direction is turned; one that covers a part of the image's grid, or more than it, is put in its
place. All three move voxels onto voxels; nothing is interpolated. Whatever else the headers tell
(another place, spacing or angle, or no place at all) is refused in words, unless the user decides
that the arrays lie on each other voxel for voxel (`ignore_affine`).
"""

import warnings
from dataclasses import dataclass
from itertools import product

import numpy as np

from episodes.errors import DataError
from episodes.io.geometry import Geometry
from episodes.io.voxel_grids import TOLERANCE, Grid3, Placement, as_shown, on_lattice

OPTION = "--ignore-affine (in Python ignore_affine=True)"


@dataclass(frozen=True)
class Grid:
    """What is known of the place of an image or a mask.

    Attributes:
        name: the file, or "array", for messages.
        planes: depth, height and width.
        geometry: of a NIfTI file, else None.
    """

    name: str
    planes: Grid3
    geometry: Geometry | None = None


def align_mask(image: Grid, mask: Grid, ignore_affine: bool = False) -> Placement | None:
    """Find how a mask lies on its image.

    Args:
        image, mask: their places.
        ignore_affine: the arrays are matched voxel for voxel, whatever the headers contain.

    Returns:
        The placement; None where neither has a place, so that planes lie on planes.

    Raises:
        DataError: the headers put the mask elsewhere, or one of the two has no place.
    """
    here, there = image.geometry, mask.geometry
    if here is None and there is None:
        return None
    if here is None or there is None:
        return _one_without_place(image, mask, ignore_affine)
    if ignore_affine:
        if here.grid == there.grid:
            return as_shown(here)
        raise DataError(
            f"mask {mask.name} has {_numbers(there.grid)} voxels and its image {image.name} "
            f"{_numbers(here.grid)}; {OPTION} needs the same number. Resample the mask onto the "
            "image"
        )
    found, by_qform = _placed(here, there)
    if found is None:
        raise DataError(
            f"mask {mask.name} does not lie on its image {image.name}: "
            f"{' and '.join(_differences(here, there))}. Resample it onto the image; or, if you "
            f"know that their arrays lie on each other voxel for voxel, say so with {OPTION}"
        )
    for doubt in _doubts(here, there, found, by_qform):
        warnings.warn(f"mask {mask.name} {doubt} (image {image.name})", stacklevel=2)
    return found


def _placed(image: Geometry, mask: Geometry) -> tuple[Placement | None, bool]:
    """Align a mask by the affines of the image's file, and whether it was by the qform."""
    if image.declared != mask.declared:
        return None, False
    candidates = [image.affine] if image.qform is None else [image.affine, image.qform]
    scales = [1.0]
    if image.unit and mask.unit and image.unit != mask.unit:
        scales.append(mask.unit / image.unit)
    for affine, scale in product(candidates, scales):
        other = np.diag([scale, scale, scale, 1.0]) @ mask.affine
        found = on_lattice(affine, image, other, mask.grid)
        # Without an affine the middle of the volume is its origin, which places nothing.
        if found is not None and (image.declared or found.whole):
            return found, affine is image.qform
    return None, False


def _one_without_place(image: Grid, mask: Grid, ignore_affine: bool) -> Placement:
    """Place an array, picture or stack on a NIfTI image, or a NIfTI mask on one of them.

    Raises:
        DataError: nothing decides how, or the shapes fit in no way or in two.
    """
    if image.geometry is not None:
        ways = _planes_on_file(mask.planes, image.geometry)
        lacking, shapes = mask.name, (mask.planes, image.geometry.grid)
        kind = "a NIfTI file with the affine of its image"
    elif mask.geometry is not None:
        ways = _file_on_planes(mask.geometry, image.planes)
        by_itk = _as_itk(mask.geometry, image.planes)
        if by_itk in ways and mask.geometry.declared and _is_itk(mask.geometry):
            return by_itk
        lacking, shapes = image.name, (mask.geometry.grid, image.planes)
        kind = "a picture or stack, as its image is"
    about = f"mask {mask.name} and image {image.name} cannot be laid on each other: {lacking} has "
    if not ignore_affine:
        raise DataError(
            f"{about}no affine and the other has one. Save the mask as {kind}; or, if you know "
            f"that their arrays lie on each other voxel for voxel, say so with {OPTION}"
        )
    if len(ways) != 1:
        raise DataError(
            f"{about}no affine, and {_numbers(shapes[0])} voxels fit on {_numbers(shapes[1])} in "
            f"{len(ways) or 'no'} ways. Save the mask as {kind}"
        )
    return ways.pop()


def _planes_on_file(planes: Grid3, image: Geometry) -> set[Placement]:
    """List how an array or stack fits: in the order of the image's file, or as it is shown."""
    ways = set()
    if _same(planes, image.grid):
        ways.add(as_shown(image))
    if planes == image.plane_shape:
        ways.add(Placement(planes, (0, 1, 2), (), (0, 0, 0), planes))
    return ways


def _file_on_planes(mask: Geometry, planes: Grid3) -> set[Placement]:
    """List how a NIfTI mask fits on planes: index for index, or as ITK saves it."""
    ways = set()
    if _same(mask.grid, planes):
        ways.add(Placement(planes, (0, 1, 2), (), (0, 0, 0), planes))
    if _as_itk(mask, planes).whole:
        ways.add(_as_itk(mask, planes))
    return ways


def _as_itk(mask: Geometry, planes: Grid3) -> Placement:
    """Put a file's first axis along rows, its second along columns, as ITK saves pictures."""
    return Placement(mask.grid, (2, 1, 0), (), (0, 0, 0), planes)


def _is_itk(mask: Geometry) -> bool:
    """Whether the axes run to the left, to posterior and to superior: rows, columns, planes."""
    return (mask.order, mask.flips) == ((2, 1, 0), ())


def _same(one: Grid3, other: Grid3) -> bool:
    """Whether two shapes are the same but for axes of length one."""
    return [n for n in one if n > 1] == [n for n in other if n > 1]


def _differences(image: Geometry, mask: Geometry) -> list[str]:
    """Describe how two grids differ."""
    names = {id(image): "the image", id(mask): "the mask"}
    for one, other in ((mask, image), (image, mask)):
        if other.declared and not one.declared:
            return [f"{names[id(one)]} has no affine and {names[id(other)]} has one"]
        if np.array_equal(one.affine, np.eye(4)) and not np.array_equal(other.affine, np.eye(4)):
            return [
                f"the affine of {names[id(one)]} is the identity, as programs write it that know "
                f"no place, and that of {names[id(other)]} is not"
            ]
    both = bool(image.unit and mask.unit)
    here, there = (
        np.diag([*[(g.unit or 1.0) if both else 1.0] * 3, 1.0]) @ g.affine for g in (image, mask)
    )
    sizes, wide = (np.linalg.norm(affine[:3, :3], axis=0) for affine in (here, there))
    found = []
    if not np.allclose(np.sort(sizes), np.sort(wide), rtol=0.01):
        found.append(f"its voxels measure {_numbers(wide)} mm and the image's {_numbers(sizes)} mm")
    cosines = np.abs((here[:3, :3] / sizes).T @ (there[:3, :3] / wide)).max(axis=0)
    angle = float(np.degrees(np.arccos(np.clip(cosines, 0, 1))).max())
    if angle > 0.1:
        found.append(f"its axes are turned by {angle:.1f} degrees")
    if sorted(image.grid) != sorted(mask.grid):
        found.append(f"it has {_numbers(mask.grid)} voxels and the image {_numbers(image.grid)}")
    shift = float(np.linalg.norm(_middle(here, image.grid) - _middle(there, mask.grid)))
    if not found or shift > TOLERANCE * sizes.min():
        found.append(f"its middle lies {shift:.3g} mm away from the image's")
    return found


def _middle(affine: np.ndarray, grid: Grid3) -> np.ndarray:
    found: np.ndarray = affine[:3, :3] @ (np.array(grid) - 1) / 2 + affine[:3, 3]
    return found


def _numbers(values: object) -> str:
    return " x ".join(f"{value:.4g}" for value in np.asarray(values))


def _doubts(image: Geometry, mask: Geometry, found: Placement, by_qform: bool) -> list[str]:
    """Describe doubts: another extent, other units, contradicting headers."""
    doubts = []
    if not found.whole:
        doubts.append(
            f"has {_numbers(found.covered)} voxels (depth x height x width) and its image "
            f"{_numbers(found.shape)}; it is put where its affine places it, and what it does not "
            "cover is background"
        )
    if image.unit and mask.unit and image.unit != mask.unit:
        doubts.append(
            f"is measured in units of {mask.unit:g} mm and its image in units of {image.unit:g} "
            "mm; their voxels are taken to lie on each other"
        )
    if by_qform:
        doubts.append("lies on the qform of its image and not on its sform; it is put there")
    return doubts
