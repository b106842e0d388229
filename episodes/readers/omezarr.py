"""OME-Zarr (NGFF), Zarr version 2 and 3: one group an image, labels inside it.

    cells.zarr/                    the folder itself, or several of them in it
        .zattrs or zarr.json       multiscales: axes, and the array of each level; the first is read
        0/                         pixels
        labels/nuclei/             the same for label images; `image-label` may name the values

Axes that are no space and no channel become planes (see `episodes.io.axes`). Values of a label
image are named by the `class`, `name` or `label` of its `image-label` properties; without them
every non-zero value is an object of the class that the label image is called after.

Moore et al.: OME-Zarr, Histochemistry and Cell Biology 160 (2023).
"""

import json
from pathlib import Path

from episodes.catalog.catalog import Catalog, Sample
from episodes.errors import DataError
from episodes.io.axes import Reading, Structure, check_channels
from episodes.io.formats.zarr import (
    finest_array,
    grid_transform,
    group_attributes,
    read_array,
    structure_of,
)
from episodes.io.limits import guarded, inside
from episodes.io.mask_grid import OPTION
from episodes.io.pixels import MaskRef, PixelRef
from episodes.masks.label_map import LabelMap
from episodes.readers import naming


def recognises(root: Path) -> bool:
    """Whether the folder is a Zarr group with multiscales, or holds folders named *.zarr."""
    return bool(_groups(root))


def read(
    root: Path,
    *,
    subject_pattern: str | None = None,
    label_map: LabelMap | None = None,
    channel: int | None = None,
    ignore_affine: bool = False,
) -> Catalog:
    """Read the headers of all images; each plane is a sample, each image a subject.

    Args:
        root: see the module.
        subject_pattern: searched in the group's name, e.g. `cells.zarr`.
        label_map: meaning of mask values; by default that of the label images.
        channel: the only channel to read, from 0; None for all, which must be at most three.
        ignore_affine: match label images to their images voxel for voxel, whatever spacing and
            position their metadata give.

    Raises:
        DataError: metadata are damaged, an array is larger than the limits, or a label image lies
            elsewhere than its image.
    """
    samples: list[Sample] = []
    for group in _groups(root):
        image = finest_array(group)
        structure = structure_of(group, image)
        reading = None if channel is None else Reading(channels=(channel,))
        check_channels(structure, str(group), reading)
        member = json.dumps({"group": "", "array": image, "channel": channel})
        masks = _masks(group, structure, label_map, ignore_affine)
        subject = naming.subject_of(group.name, subject_pattern)
        samples += [
            Sample(
                key=f"{group.name}#{plane}",
                image=PixelRef(group, plane, read_array, member),
                masks=tuple(
                    MaskRef(PixelRef(group, plane, read_array, text), meaning)
                    for text, meaning in masks
                ),
                subject=subject,
                size=structure.size,
            )
            for plane in range(structure.planes)
        ]
    return naming.catalog_of(root, samples)


def _groups(root: Path) -> list[Path]:
    if _metadata(root):
        return [root]
    return [sub for sub in naming.folders(root) if sub.suffix == ".zarr" and _metadata(sub)]


def _metadata(folder: Path) -> bool:
    return (folder / ".zattrs").is_file() or (folder / "zarr.json").is_file()


def _masks(
    group: Path, image: Structure, label_map: LabelMap | None, ignore_affine: bool
) -> list[tuple[str, LabelMap | None]]:
    """List the label images of a group: how to read each, and what its values mean."""
    folder = group / "labels"
    if not _metadata(folder):
        return []
    masks: list[tuple[str, LabelMap | None]] = []
    with guarded(folder, "OME-Zarr"):
        for name in group_attributes(folder)["labels"]:
            labels = inside(folder, str(name))
            array = finest_array(labels)
            structure = structure_of(labels, array)
            if (structure.planes, structure.size) != (image.planes, image.size):
                raise DataError(
                    f"label image {labels} has {structure.planes} planes of {structure.size}; its "
                    f"image has {image.planes} of {image.size}"
                )
            if not ignore_affine:
                _same_place(group, labels)
            place = labels.relative_to(group).as_posix()
            member = json.dumps({"group": place, "array": array, "channel": None})
            masks.append((member, label_map or _label_map(labels, str(name))))
    return masks


def _same_place(group: Path, labels: Path) -> None:
    """Raise where a label image has another spacing or position; writers often give it none."""
    here, there = grid_transform(group), grid_transform(labels)
    for axis in sorted(here.keys() & there.keys(), reverse=True):
        (step, start), (other, first) = here[axis], there[axis]
        if abs(other - step) > 0.01 * abs(step) or abs(first - start) > 0.1 * abs(step):
            raise DataError(
                f"label image {labels} does not lie on its image {group}: along {axis} it has "
                f"steps of {other:g} from {first:g} on, and the image of {step:g} from {start:g}. "
                f"Resample it; or, if their arrays lie on each other voxel for voxel, {OPTION}"
            )


def _label_map(labels: Path, name: str) -> LabelMap:
    """Find the names of values in the `image-label` properties."""
    properties = group_attributes(labels).get("image-label", {}).get("properties", [])
    found: dict[int, str | None] = {}
    for entry in properties:
        words = [entry[key] for key in ("class", "name", "label") if entry.get(key)]
        if words and int(entry["label-value"]):
            found[int(entry["label-value"])] = str(words[0])
    return found or name
