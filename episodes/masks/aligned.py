"""Mask files as references, read onto the grid of their images (see `episodes.io.mask_grid`)."""

from pathlib import Path

import numpy as np

from episodes.errors import DataError
from episodes.io.mask_grid import Grid, align_mask
from episodes.io.pixels import PixelRef
from episodes.io.read import read_header, read_labels
from episodes.io.voxel_grids import Placement, as_shown


def mask_source(image: Grid, mask: Path, ignore_affine: bool = False) -> PixelRef:
    """Refer to all planes of a mask, in the order of its image's planes.

    Args:
        image: where the image lies.
        mask: a mask file of any kind.
        ignore_affine: see `align_mask`.

    Raises:
        DataError: the mask does not lie on its image, or its header is damaged.
    """
    header = read_header(mask)
    placement = align_mask(image, header.grid(mask), ignore_affine)
    if placement is None and header.planes != image.planes[0]:
        raise DataError(
            f"mask {mask} has {header.planes} pages and its image {image.name} has "
            f"{image.planes[0]}; expected a page a page"
        )
    plain = header.geometry is not None and placement == as_shown(header.geometry)
    if placement is None or plain:
        return PixelRef(mask)
    return PixelRef(mask, None, read_aligned, placement.member)


def read_aligned(path: Path, member: str) -> np.ndarray:
    """Read a mask by its placement: integers [depth height width]."""
    return read_labels(path, Placement.of_member(member))
