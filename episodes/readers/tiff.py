"""TIFF stacks beside their masks in one folder, or with masks in one of their channels.

    a.tif  a_mask.tif                    pairs that differ in a word (a_masks.tif, a_seg.ome.tif)
    images/a.tif  masks/a.tif            with `read(root, channel=0)`; else the folder reader has it

Axes come from the OME-XML or ImageJ metadata (see `episodes.io.axes`): Z and T become planes, C and
S colour. A file is a subject.
"""

from pathlib import Path

import numpy as np

from episodes.catalog.catalog import Catalog, Sample
from episodes.errors import DataError
from episodes.io.axes import Reading
from episodes.io.pixels import MaskRef, PixelRef
from episodes.io.read import STACK_SUFFIXES, read_header, read_planes, suffix
from episodes.masks.label_map import LabelMap, read_label_map
from episodes.readers import naming, pairing


def recognises(root: Path) -> bool:
    """Whether TIFF files lie in the folder itself, masks and images told apart by a word."""
    if naming.subfolder(root, naming.IMAGE_WORDS) or not any(map(_is_tiff, root.iterdir())):
        return False
    images, masks = pairing.pairs(root, _is_tiff)
    return bool(set(images) & set(masks))


def read(
    root: Path,
    *,
    subject_pattern: str | None = None,
    label_map: LabelMap | None = None,
    channel: int | None = None,
) -> Catalog:
    """Read a data set of TIFF files; each plane is a sample.

    Args:
        root: the folder.
        subject_pattern: searched in an image's name; by default each file is a subject.
        label_map: what mask values mean; by default from classes.json, or found out from them.
        channel: the only channel of the images to read, from 0; None for all.

    Raises:
        DataError: a header is damaged, or an image and its mask have other planes or sizes.
    """
    label_map = read_label_map(root) if label_map is None else label_map
    images, masks = pairing.pairs(root, _is_tiff)
    samples: list[Sample] = []
    for name, path in images.items():
        header = read_header(path)
        mask = masks.get(name)
        if mask is not None:
            there = read_header(mask)
            if (there.planes, there.size) != (header.planes, header.size):
                raise DataError(
                    f"mask {mask} has {there.planes} planes of {there.size} and its image {path} "
                    f"has {header.planes} planes of {header.size}; expected the same"
                )
        reader, member = (None, "") if channel is None else (read_channel, str(channel))
        subject = naming.subject_of(name, subject_pattern)
        samples += [
            Sample(
                key=f"{path.relative_to(root).as_posix()}#{plane}",
                image=PixelRef(path, plane, reader, member),
                masks=() if mask is None else (MaskRef(PixelRef(mask, plane), label_map),),
                subject=subject,
                size=header.size,
            )
            for plane in range(header.planes)
        ]
    notes = naming.partner_note("images", [n for n in images if n not in masks], "a mask")
    notes += naming.partner_note("masks", [n for n in masks if n not in images], "an image")
    return naming.catalog_of(root, samples, notes)


def read_channel(path: Path, member: str) -> np.ndarray:
    """Read one channel of a TIFF: [depth height width]; `member` is its number, from 0.

    Raises:
        DataError: the file has no such channel.
    """
    return read_planes(path, Reading(channels=(int(member),)))


def _is_tiff(path: Path) -> bool:
    return suffix(path) in STACK_SUFFIXES
